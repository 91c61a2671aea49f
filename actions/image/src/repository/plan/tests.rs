//! Settings of a repository and the changes that they call for.

use super::*;

const KEY: &str = "arn:aws:kms:ca-central-1:111111111111:key/1";

fn seen() -> Current {
    Current {
        arn: "arn".to_owned(),
        mutability: Mutability {
            mutable: false,
            exceptions: vec![],
        },
        kms_key: None,
        policy: Some(None),
        lifecycle: Some(None),
        tags: Some(BTreeMap::new()),
        scanning: None,
    }
}

fn aws() -> Partition {
    "aws".parse().unwrap()
}

fn lifecycle() -> Policy {
    Policy::parse(
        r#"{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 100}, "action": {"type": "expire"}}]}"#,
        "it",
    )
    .unwrap()
}

fn everything() -> Wanted {
    Wanted {
        pull: BTreeSet::from(["222222222222".parse().unwrap()]),
        mutable_tags: vec!["cache-*".to_owned(), "latest".to_owned()],
        lifecycle: Some(lifecycle()),
        kms_key: None,
        tags: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        source: None,
    }
}

fn shown(seen: Option<&Current>, wanted: &Wanted) -> Vec<String> {
    plan("shop", aws(), seen, wanted)
        .unwrap()
        .changes
        .iter()
        .map(|change| {
            format!(
                "{}: {} -> {}",
                change.setting,
                change.from.as_deref().unwrap_or("-"),
                change.to
            )
        })
        .collect()
}

#[test]
fn a_missing_repository_is_created_with_immutable_tags() {
    assert_eq!(
        shown(None, &Wanted::default()),
        ["repository: - -> immutable tags"]
    );
    let mut wanted = everything();
    wanted.kms_key = Some(KEY.to_owned());
    assert_eq!(
        shown(None, &wanted),
        [
            "repository: - -> immutable tags, but cache-*, latest may move, encrypted with arn:aws:kms:ca-central-1:111111111111:key/1",
            "pulled by: - -> 222222222222",
            "lifecycle policy: - -> 1: expire any imageCountMoreThan 100",
            "resource tag team: - -> web",
        ]
    );
}

#[test]
fn matching_settings_need_no_change_and_unrequested_ones_are_left_alone() {
    let wanted = everything();
    let mut seen = seen();
    seen.mutability.exceptions = vec!["latest".to_owned(), "cache-*".to_owned()];
    seen.policy = Some(pull_policy::policy(aws(), &wanted.pull, None).unwrap());
    seen.lifecycle = Some(Some(lifecycle().text));
    seen.tags = Some(BTreeMap::from([
        ("team".to_owned(), "web".to_owned()),
        ("other".to_owned(), "theirs".to_owned()),
    ]));
    seen.scanning = Some(Scanning::By("SCAN_ON_PUSH".to_owned()));
    assert_eq!(
        plan("shop", aws(), Some(&seen), &wanted).unwrap(),
        Plan::default()
    );
    seen.kms_key = Some(KEY.to_owned());
    assert_eq!(
        plan("shop", aws(), Some(&seen), &Wanted::default()).unwrap(),
        Plan::default()
    );
}

#[test]
fn each_difference_is_shown_from_and_to() {
    let mut seen = seen();
    seen.mutability.mutable = true;
    seen.mutability.exceptions = vec!["v*".to_owned()];
    let others = BTreeSet::from(["333333333333".parse().unwrap()]);
    seen.policy = Some(pull_policy::policy(aws(), &others, None).unwrap());
    seen.lifecycle = Some(Some(lifecycle().text.replace("100", "7")));
    seen.tags = Some(BTreeMap::from([("team".to_owned(), "ops".to_owned())]));
    assert_eq!(
        shown(Some(&seen), &everything()),
        [
            "tags: mutable tags, but v* are not -> immutable tags, but cache-*, latest may move",
            "pulled by: 333333333333 -> 222222222222",
            "lifecycle policy: 1: expire any imageCountMoreThan 7 -> 1: expire any imageCountMoreThan 100",
            "resource tag team: ops -> web",
        ]
    );
}

#[test]
fn encryption_that_differs_is_refused_with_a_way_out() {
    let wanted = Wanted {
        kms_key: Some(KEY.to_owned()),
        ..Wanted::default()
    };
    let mut seen = seen();
    for there in [None, Some(KEY.replace("key/1", "key/2"))] {
        seen.kms_key = there;
        let error = plan("shop", aws(), Some(&seen), &wanted).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert_eq!(error.hints.len(), 2, "{error}");
    }
    seen.kms_key = Some(KEY.to_owned());
    assert_eq!(
        plan("shop", aws(), Some(&seen), &wanted).unwrap(),
        Plan::default()
    );
}

#[test]
fn risky_settings_that_no_argument_changes_are_warned_about() {
    let mut seen = seen();
    seen.mutability.mutable = true;
    seen.scanning = Some(Scanning::Never);
    let warned = plan("shop", aws(), Some(&seen), &Wanted::default()).unwrap();
    assert_eq!(warned.changes, []);
    assert_eq!(warned.warnings.len(), 2, "{warned:?}");
    // A filter can take a commit's tag out of what is immutable.
    seen.mutability.mutable = false;
    seen.mutability.exceptions = vec!["0*".to_owned()];
    seen.scanning = Some(Scanning::Unknown("no permission".to_owned()));
    let warned = plan("shop", aws(), Some(&seen), &Wanted::default()).unwrap();
    assert_eq!(warned.warnings.len(), 2, "{warned:?}");
}
