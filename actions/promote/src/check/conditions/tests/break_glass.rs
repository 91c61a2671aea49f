//! The rules that a break-glass overrides, and the people who may.

use super::*;

#[test]
fn the_old_gate_of_a_promotion_is_gone_past_only_while_github_cannot_tell() {
    for (answer, past) in [(Answer::Fail, false), (Answer::Unknown, true)] {
        let scene = with_break_glass(&["dora"]);
        let mut decision = scene.decide();
        let finding = crate::check::answer::finding(answer, "an older gate");
        decision.rules.push(finding.named("policy"));
        let (setting, subject) = (&scene.setting, &scene.subject);
        let conditions = Some(&scene.conditions);
        let by = apply_break_glass(&mut decision, "x", setting, subject, conditions);
        assert_eq!(by.is_some(), past);
        assert_eq!(refusing(&decision).is_empty(), past);
        let policy = decision.rules.iter().find(|rule| rule.rule == "policy");
        let fact = &policy.unwrap().fact;
        assert_eq!(fact.starts_with("unknown: an older"), past, "{fact}");
    }
}

#[test]
fn a_reason_is_one_line_that_says_something() {
    assert_eq!(reason("  the shop is down ").unwrap(), "the shop is down");
    let longest = "é".repeat(500);
    assert_eq!(reason(&longest).unwrap(), longest);
    for text in ["", "  ", "one\ntwo", "a\u{1b}[2J", &"é".repeat(501)] {
        assert!(reason(text).is_err(), "{text:?}");
    }
}

fn with_break_glass(people: &[&str]) -> Scene {
    let mut scene = Scene::new();
    scene.setting.gate.break_glass = Some(BreakGlass {
        people: people.iter().map(|login| (*login).to_owned()).collect(),
        expires: 3600,
    });
    scene.conditions.ahead = Some(Err(unseen()));
    scene.calendar(closed(None));
    scene
}

#[test]
fn a_listed_person_overrides_refusing_rules() {
    assert_eq!(with_break_glass(&["ada", "Dora"]).forced(), (vec![], true));
    // Once more while it is open, whoever used it.
    let mut again = with_break_glass(&["dora"]);
    again.after(&[deployed('a'), forced('b', "dora")]);
    again.conditions.now = at("2026-11-21T18:59:59Z").unwrap();
    assert_eq!(again.forced(), (vec![], true));
}

#[test]
fn nobody_else_overrides_any_rule() {
    let all = vec!["forward", "calendar", "break-glass"];
    let mut stranger = with_break_glass(&["ada"]);
    assert_eq!(stranger.forced(), (all.clone(), false));
    let mut both = with_break_glass(&["dora"]);
    both.conditions.promoter = Ok(vec![actor("dora"), actor("eve")]);
    assert_eq!(both.forced(), (all.clone(), false));
    let mut undeclared = with_break_glass(&["dora"]);
    undeclared.setting.gate.break_glass = None;
    assert_eq!(undeclared.forced(), (all.clone(), false));
    let mut nobody = with_break_glass(&["dora"]);
    nobody.conditions.promoter = Err(unseen());
    assert_eq!(nobody.forced(), (all, false));
    let mut expired = with_break_glass(&["dora"]);
    expired.after(&[deployed('a'), forced('b', "dora")]);
    expired.conditions.now = at("2026-11-21T19:00:00Z").unwrap();
    let (rules, broken) = expired.forced();
    assert!(!broken && rules.contains(&"debt"), "{rules:?}");
}

#[test]
fn break_glass_does_not_override_a_digest_without_a_record() {
    let mut scene = with_break_glass(&["dora"]);
    scene.subject.evidence = None;
    let mut decision = scene.decide();
    let digest = crate::check::answer::fail("no record of this digest in staging", "deploy it");
    decision.rules.insert(0, digest.named("digest"));
    let (setting, subject) = (&scene.setting, &scene.subject);
    let by = apply_break_glass(
        &mut decision,
        "x",
        setting,
        subject,
        Some(&scene.conditions),
    );
    assert_eq!((refusing(&decision), by), (vec!["digest"], None));
    // One that failed before has been seen.
    scene.subject.evidence = Some(failed('c'));
    let subject = &scene.subject;
    let by = apply_break_glass(
        &mut decision,
        "x",
        setting,
        subject,
        Some(&scene.conditions),
    );
    assert_eq!(refusing(&decision), [] as [&str; 0]);
    assert!(by.is_some());
}

#[test]
fn break_glass_is_not_applied_if_every_rule_passes() {
    let mut scene = with_break_glass(&["dora"]);
    scene.conditions.ahead = Some(Ok("ahead".to_owned()));
    scene.conditions.calendars[1].1 = scene.conditions.calendars[0].1.clone();
    assert_eq!(scene.forced(), (vec![], false));
}
