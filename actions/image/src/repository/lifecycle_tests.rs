use super::*;
use serde_json::json;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn image(digest: &str, tags: &[&str], days: i64) -> Image {
    Image {
        digest: digest.to_owned(),
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
    if kind != "imageCountMoreThan" {
        selection["countUnit"] = json!("days");
    }
    json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}})
}

fn policy(rules: &[Value]) -> Policy {
    Policy::parse(&json!({ "rules": rules }).to_string(), "it").unwrap()
}

fn taken(rules: &[Value], images: &[Image]) -> Vec<(String, i64)> {
    let policy = policy(rules);
    images
        .iter()
        .filter_map(|image| match policy.fate(&image.digest, images, NOW) {
            Fate::Taken { rule, .. } => Some((image.digest.clone(), rule)),
            _ => None,
        })
        .collect()
}

fn pairs(of: &[(&str, i64)]) -> Vec<(String, i64)> {
    of.iter()
        .map(|(digest, rule)| ((*digest).to_owned(), *rule))
        .collect()
}

#[test]
fn the_oldest_beyond_the_number_go() {
    let images = [
        image("new", &["a1"], 1),
        image("middle", &["a2"], 2),
        image("old", &["a3"], 3),
        image("other", &["b1"], 9),
    ];
    let keep = |number| [rule(1, "tagged", &["a"], "imageCountMoreThan", number)];
    assert_eq!(taken(&keep(3), &images), []);
    assert_eq!(taken(&keep(2), &images), pairs(&[("old", 1)]));
    assert_eq!(
        taken(&keep(1), &images),
        pairs(&[("middle", 1), ("old", 1)])
    );
}

#[test]
fn either_of_two_of_the_same_second_may_be_the_older() {
    let images = [image("a", &["v1"], 1), image("b", &["v2"], 1)];
    let rules = [rule(1, "any", &[], "imageCountMoreThan", 1)];
    assert_eq!(taken(&rules, &images), pairs(&[("a", 1), ("b", 1)]));
}

#[test]
fn age_counts_from_the_push_whatever_was_tagged_since() {
    let images = [
        image("a", &["c1", "production"], 15),
        image("b", &["c2"], 13),
    ];
    let rules = [rule(1, "any", &[], "sinceImagePushed", 14)];
    assert_eq!(taken(&rules, &images), pairs(&[("a", 1)]));
    assert_eq!(
        policy(&rules).fate("b", &images, NOW),
        Fate::Later {
            rule: 1,
            when: "in 2 days".to_owned()
        }
    );
    let mut unknown = image("u", &["c"], 0);
    unknown.pushed = None;
    assert_eq!(taken(&rules, &[unknown]), pairs(&[("u", 1)]));
}

#[test]
fn a_rule_of_lower_priority_cannot_take_what_an_earlier_one_selects_but_counts_it() {
    let images = [
        image("release", &["prod-1", "c1"], 1),
        image("new", &["c2"], 2),
        image("old", &["c3"], 3),
    ];
    let rules = [
        rule(2, "any", &[], "imageCountMoreThan", 2),
        rule(1, "tagged", &["prod-"], "imageCountMoreThan", 50),
    ];
    assert_eq!(taken(&rules, &images), pairs(&[("old", 2)]));
    let aged = [
        rule(1, "tagged", &["prod-"], "imageCountMoreThan", 50),
        rule(2, "any", &[], "sinceImagePushed", 1),
    ];
    assert_eq!(taken(&aged, &images), pairs(&[("new", 2), ("old", 2)]));
}

#[test]
fn all_of_a_rules_tags_must_fit() {
    let images = [
        image("both", &["alpha-1", "beta-1"], 9),
        image("one", &["alpha-2"], 9),
        image("none", &[], 9),
    ];
    let both = [rule(1, "tagged", &["alpha", "beta"], "sinceImagePushed", 1)];
    assert_eq!(taken(&both, &images), pairs(&[("both", 1)]));
    let untagged = [rule(1, "untagged", &[], "sinceImagePushed", 1)];
    assert_eq!(taken(&untagged, &images), pairs(&[("none", 1)]));
    let mut pattern = rule(1, "tagged", &[], "sinceImagePushed", 1);
    pattern["selection"]["tagPatternList"] = json!(["*pha-*"]);
    assert_eq!(
        taken(&[pattern], &images),
        pairs(&[("both", 1), ("one", 1)])
    );
}

#[test]
fn recently_pulled_and_already_archived_images_are_kept() {
    let mut pulled = image("pulled", &["a"], 90);
    pulled.pulled = Some(NOW - Duration::days(2));
    let mut archived = image("archived", &["a"], 90);
    archived.archived = true;
    let images = [pulled, image("forgotten", &["a"], 90), archived];
    let mut rules = [rule(1, "any", &[], "sinceImagePulled", 30)];
    rules[0]["action"] = json!({"type": "transition", "targetStorageClass": "archive"});
    let policy = policy(&rules);
    let fate = |digest| policy.fate(digest, &images, NOW);
    assert_eq!(
        fate("pulled"),
        Fate::Later {
            rule: 1,
            when: "in 29 days".to_owned()
        }
    );
    assert_eq!(
        fate("forgotten"),
        Fate::Taken {
            rule: 1,
            action: "transition".to_owned()
        }
    );
    assert_eq!(fate("archived"), Fate::Kept);
    assert_eq!(fate("gone"), Fate::Kept);
}

#[test]
fn a_lifecycle_policy_that_cannot_be_evaluated_is_refused() {
    let good = rule(1, "any", &[], "imageCountMoreThan", 5);
    let with = |path: &str, value: Value| {
        let mut rule = good.clone();
        match rule.pointer_mut(path) {
            Some(place) => *place = value,
            None => rule["selection"]["later"] = value,
        }
        json!({ "rules": [rule] }).to_string()
    };
    for text in [
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        with("/rulePriority", json!("1")),
        with("/selection/tagStatus", json!("all")),
        with("/selection/tagStatus", json!("tagged")),
        with("/selection/countType", json!("sinceFullMoon")),
        with("/selection/countType", json!("sinceImagePushed")),
        with("/selection/countNumber", json!(0)),
        with("/action/type", json!("hide")),
        with("/new", json!(true)),
        json!({ "rules": [good, good] }).to_string(),
    ] {
        let error = Policy::parse(&text, "FILE").unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage, "{text}");
        assert!(error.message.starts_with("FILE is not a lifecycle policy"));
    }
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
