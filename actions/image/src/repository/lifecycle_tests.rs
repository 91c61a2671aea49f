use super::*;
use serde_json::json;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

/// A digest that holds a name.
fn digest_of(name: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Digest::sha256(bytes)
}

fn name_of(digest: &Digest) -> String {
    let digit = |at: usize| u8::from_str_radix(&digest.hex()[at..at + 2], 16).unwrap();
    let bytes = (0..64).step_by(2).map(digit);
    bytes
        .take_while(|byte| *byte != 0)
        .map(char::from)
        .collect()
}

fn image(name: &str, tags: &[&str], days: i64) -> Image {
    Image {
        digest: digest_of(name),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        pushed: Some(NOW - Duration::days(days)),
        pulled: None,
        archived: false,
    }
}

fn rule(priority: i64, status: &str, tags: &[&str], kind: &str, number: i64) -> Value {
    let mut selection = json!({"tagStatus": status, "countType": kind, "countNumber": number});
    if !tags.is_empty() {
        selection["tagPrefixList"] = json!(tags);
    }
    if kind.starts_with("sinceImage") {
        selection["countUnit"] = json!("days");
    }
    json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}})
}

fn policy(rules: &[Value]) -> Policy {
    Policy::parse(&json!({ "rules": rules }).to_string(), "it").unwrap()
}

/// The rule that takes each image, and the time.
fn later(rules: &[Value], images: &[Image]) -> Vec<String> {
    let policy = policy(rules);
    let of = |image: &Image| {
        let (rule, when) = policy.later(&image.digest, images, NOW)?;
        Some(format!("{} {rule} {when}", name_of(&image.digest)))
    };
    images.iter().filter_map(of).collect()
}

#[test]
fn an_image_goes_once_enough_newer_ones_are_selected() {
    let images = [
        image("new", &["a1"], 1),
        image("old", &["a3"], 3),
        image("same", &["a4"], 3),
        image("other", &["b1"], 9),
    ];
    assert_eq!(
        later(
            &[rule(1, "tagged", &["a"], "imageCountMoreThan", 3)],
            &images
        ),
        // Of two that came in the same second, either may count as the older one.
        [
            "new 1 once 3 more are pushed that it selects",
            "old 1 once 1 more are pushed that it selects",
            "same 1 once 1 more are pushed that it selects"
        ]
    );
}

#[test]
fn age_counts_from_the_push_whatever_was_tagged_since() {
    let mut unknown = image("unknown", &["c"], 0);
    unknown.pushed = None;
    let images = [image("a", &["c1", "production"], 13), unknown];
    assert_eq!(
        later(&[rule(1, "any", &[], "sinceImagePushed", 14)], &images),
        [
            "a 1 in 2 days",
            "unknown 1 at a time that is not known here"
        ]
    );
    // A criterion of a newer ECR.
    assert_eq!(
        later(&[rule(1, "any", &[], "sinceFullMoon", 14)], &images[..1]),
        ["a 1 at a time that is not known here"]
    );
}

#[test]
fn a_rule_of_lower_priority_cannot_take_what_an_earlier_one_selects() {
    let images = [image("release", &["prod-1", "c1"], 1), image("a", &[], 2)];
    let rules = [
        rule(2, "any", &[], "imageCountMoreThan", 3),
        rule(1, "tagged", &["prod-"], "imageCountMoreThan", 50),
    ];
    assert_eq!(
        later(&rules, &images),
        [
            "release 1 once 50 more are pushed that it selects",
            "a 2 once 2 more are pushed that it selects"
        ]
    );
}

#[test]
fn all_of_a_rules_tags_must_fit() {
    let images = [
        image("both", &["alpha-1", "beta-1"], 9),
        image("one", &["alpha-2"], 9),
        image("none", &[], 9),
    ];
    let selected = |rule: Value| {
        let all = later(&[rule], &images);
        all.iter()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let tagged = |tags| rule(1, "tagged", tags, "sinceImagePushed", 90);
    assert_eq!(selected(tagged(&["alpha", "beta"])), ["both"]);
    assert_eq!(
        selected(rule(1, "untagged", &[], "sinceImagePushed", 90)),
        ["none"]
    );
    let mut pattern = tagged(&[]);
    pattern["selection"]["tagPatternList"] = json!(["*pha-*"]);
    assert_eq!(selected(pattern), ["both", "one"]);
}

#[test]
fn recently_pulled_and_already_archived_images_are_kept() {
    let mut pulled = image("pulled", &["a"], 90);
    pulled.pulled = Some(NOW - Duration::days(2));
    let mut archived = image("archived", &["a"], 90);
    archived.archived = true;
    let images = [pulled, archived];
    let since_pull = [rule(1, "any", &[], "sinceImagePulled", 30)];
    assert_eq!(later(&since_pull, &images), ["pulled 1 in 29 days"]);
    let since_archival = [rule(1, "any", &[], "sinceImageTransitioned", 30)];
    assert_eq!(
        later(&since_archival, &images),
        ["archived 1 at a time that is not known here"]
    );
    assert_eq!(
        policy(&since_pull).later(&digest_of("gone"), &images, NOW),
        None
    );
}

#[test]
fn text_that_has_not_the_form_of_a_policy_is_refused() {
    let good = rule(1, "any", &[], "imageCountMoreThan", 5);
    let with = |path: &str, value: Value| {
        let mut rule = good.clone();
        *rule.pointer_mut(path).unwrap() = value;
        json!({ "rules": [rule] }).to_string()
    };
    for text in [
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        with("/rulePriority", json!("1")),
        with("/selection/tagStatus", json!(1)),
        with("/selection/countNumber", json!(-1)),
        with("/action", json!("expire")),
    ] {
        let error = Policy::parse(&text, "FILE").unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage, "{text}");
        assert_eq!(error.message, "FILE is not a lifecycle policy");
    }
}

/// ECR refuses these too, but only once the repository is there.
#[test]
fn a_policy_that_ecr_cannot_take_is_refused_with_all_its_mistakes() {
    let good = rule(1, "tagged", &["v"], "sinceImagePushed", 5);
    let with = |path: &str, value: Value| {
        let mut rule = good.clone();
        *rule.pointer_mut(path).unwrap() = value;
        vec![rule]
    };
    let causes = |rules: &[Value]| {
        let error = Policy::parse(&json!({ "rules": rules }).to_string(), "FILE").unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert_eq!(error.message, "FILE is not a lifecycle policy");
        assert!(!error.hints.is_empty());
        error.causes()
    };
    assert_eq!(
        causes(&[good.clone(), good.clone()]),
        ["two rules have the rulePriority 1"]
    );
    assert_eq!(
        causes(&with("/selection/countNumber", json!(0))),
        ["rule 1: countNumber is 0"]
    );
    assert_eq!(
        causes(&with("/selection/tagPrefixList", json!([]))),
        ["rule 1: tagStatus `tagged` needs a tagPatternList or a tagPrefixList"]
    );
    let mut both = with("/selection/countUnit", Value::Null);
    both.extend([rule(2, "tagged", &[], "imageCountMoreThan", 0)]);
    assert_eq!(
        causes(&both),
        [
            "rule 1: countType `sinceImagePushed` needs a countUnit",
            "rule 2: countNumber is 0",
            "rule 2: tagStatus `tagged` needs a tagPatternList or a tagPrefixList"
        ]
    );
    // A policy that is there is ECR's to judge.
    let there = json!({ "rules": both }).to_string();
    assert!(Policy::shown(&there).starts_with("1: expire tagged v"));
}

#[test]
fn an_empty_list_of_tags_is_the_same_as_none() {
    let ours = rule(1, "any", &[], "imageCountMoreThan", 5);
    let mut theirs = ours.clone();
    theirs["selection"]["tagPrefixList"] = json!([]);
    theirs["selection"]["tagPatternList"] = json!([]);
    let text = |rule: &Value| json!({ "rules": [rule] }).to_string();
    assert!(policy(std::slice::from_ref(&ours)).says_the_same(&text(&theirs)));
    assert!(policy(&[theirs.clone()]).says_the_same(&text(&ours)));
    theirs["selection"]["tagPrefixList"] = json!(["v"]);
    assert!(!policy(&[ours]).says_the_same(&text(&theirs)));
}

#[test]
fn the_same_in_another_order_is_the_same() {
    let (a, b) = (
        rule(1, "tagged", &["x", "y"], "imageCountMoreThan", 5),
        rule(2, "any", &[], "imageCountMoreThan", 9),
    );
    let ours = policy(&[a.clone(), b.clone()]);
    let mut turned = a.clone();
    turned["selection"]["tagPrefixList"] = json!(["y", "x"]);
    let seen = json!({ "rules": [b, turned] }).to_string();
    assert!(ours.says_the_same(&seen));
    assert!(!ours.says_the_same(&json!({ "rules": [a] }).to_string()));
    assert!(!ours.says_the_same("no policy"));
    assert_eq!(
        Policy::shown(&ours.text),
        "1: expire tagged x+y imageCountMoreThan 5; 2: expire any imageCountMoreThan 9"
    );
}
