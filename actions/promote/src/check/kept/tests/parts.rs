//! The parts of a permit that its evidence has to bear out.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_part_of_a_permit_that_does_not_follow_from_its_evidence_is_named() {
    type Change = fn(&mut Case);
    let changes: [(&str, Change); 28] = [
        ("another digest", |case| case.permit.digest = digest('b')),
        ("another policy", |case| case.permit.policy = None),
        ("another policy", |case| case.kept.contract.gate.push(' ')),
        ("another contract", |case| {
            case.permit.permit.as_mut().unwrap().contract = None;
        }),
        ("another contract", |case| {
            let file = case.kept.host.contract.as_mut().unwrap();
            file.text.push('\n');
        }),
        ("another contract_path", |case| {
            case.permit.contract_path = Some("other.yaml".to_owned());
        }),
        ("another contract_path", |case| {
            case.permit.contract_path = None
        }),
        ("`range` is another one", |case| {
            let permit = case.permit.permit.as_mut().unwrap();
            permit.range = Some("r".repeat(64));
        }),
        ("another rollback", |it| it.permit.rollback = None),
        ("its `rollback.from` is another one", |it| {
            it.permit.rollback = Some(ledger::Rollback { from: None });
        }),
        ("its `previous` is another one", |it| {
            it.permit.previous = Some(digest('b'));
        }),
        ("another plan", |it| {
            it.permit.permit.as_mut().unwrap().plan = Some("p".to_owned());
        }),
        ("another plan", |case| case.kept.plan = Some("p".to_owned())),
        ("names no plan, and the gate asks for one", |case| {
            let mut setting = setting();
            setting.gate.plan = true;
            case.kept.contract.gate = serde_json::to_string(&setting.gate).unwrap();
            case.permit.policy = Some(setting.policy().unwrap());
            case.permit.rollback = None;
            let promotion = Promotion {
                break_glass: None,
                calendars: Vec::new(),
                missing_before: None,
                anchored: None,
                provenance: None,
                github: None,
            };
            case.kept.judged = DecisionInputs::Promotion(promotion);
        }),
        ("another environment", |case| {
            case.permit.environment = "staging".to_owned();
        }),
        ("another account", |case| {
            case.permit.account = Some("123456789012".parse().unwrap());
        }),
        ("another run", |case| {
            case.permit.run = Some("https://ci.example/7".to_owned());
        }),
        ("mallory is not who promoted", |case| {
            case.permit.actor = actor("mallory");
        }),
        ("names no file of the contract", |case| {
            case.kept.host.lock_file = None;
        }),
        ("another commit", |case| {
            case.permit.commit = "f".repeat(40).parse().unwrap();
        }),
        ("`head` is another one", |case| {
            let permit = case.permit.permit.as_mut().unwrap();
            permit.head = GENESIS.to_owned();
        }),
        ("`pulls` is another one", |case| {
            let permit = case.permit.permit.as_mut().unwrap();
            permit.pulls = vec![1];
        }),
        ("`expires` is another one", |case| {
            let permit = case.permit.permit.as_mut().unwrap();
            permit.expires = "2026-11-21T23:00:00Z".to_owned();
        }),
        ("not when it was decided", |case| {
            case.kept.now = "2026-11-20T18:00:00Z".to_owned();
        }),
        ("record 3 is not what it was judged by", |case| {
            case.known = known(&stored(&[deployed('a'), deployed('a'), failed('c')]));
        }),
        ("before deployment 4 was recorded", |case| {
            case.known = known_with(&records(), &[deployed('b')]);
        }),
        ("older records were left out", |case| {
            case.kept.own.truncate(1);
        }),
        ("rolled back answers", |case| {
            case.kept.rules[1].answer = Answer::Pass
        }),
    ];
    for (expected, change) in changes {
        let mut case = sound();
        change(&mut case);
        let why = wrong(&case).unwrap_or_default();
        assert!(why.contains(expected), "{expected}: {why}");
    }
}

#[test]
fn a_permit_is_written_within_ten_minutes_of_its_decision() {
    let mut case = sound();
    case.kept.now = "2026-11-21T18:30:00Z".to_owned();
    let mut written = |at: &str, expires: &str| {
        case.permit.at = at.to_owned();
        case.permit.permit.as_mut().unwrap().expires = expires.to_owned();
        wrong(&case)
    };
    assert_eq!(
        written("2026-11-21T18:30:00Z", "2026-11-21T19:30:00Z"),
        None
    );
    assert_eq!(
        written("2026-11-21T18:40:00Z", "2026-11-21T19:40:00Z"),
        None
    );
    for (at, expires) in [
        ("2026-11-21T18:29:59Z", "2026-11-21T19:29:59Z"),
        ("2026-11-21T18:40:01Z", "2026-11-21T19:40:01Z"),
    ] {
        let why = written(at, expires).unwrap();
        assert!(why.contains("not when it was decided"), "{why}");
    }
}
