use super::*;
use kit::Exit;

fn digest(digit: &str) -> Digest {
    Digest::parse(&format!("sha256:{}", digit.repeat(64))).unwrap()
}

fn function(image: &str, memory: u64) -> Function {
    serde_json::from_value(json!({
        "Configuration": {"PackageType": "Image", "State": "Active", "LastUpdateStatus": "Successful", "MemorySize": memory},
        "Code": {"ImageUri": format!("h/web@{}", digest(image)), "ResolvedImageUri": format!("h/web@{}", digest(image))},
    }))
    .unwrap()
}

/// An alias at version 1 with image `serving`, a `$LATEST` with image `latest`, and weights for version 2 with `second`.
fn observed(serving: &str, latest: &str, second: Option<&str>) -> Observed {
    let routing = second.map(|_| json!({"AdditionalVersionWeights": {"2": 0.1}}));
    let alias = json!({"FunctionVersion": "1", "RoutingConfig": routing});
    Observed {
        latest: function(latest, 128),
        look: Look {
            alias: serde_json::from_value(alias).unwrap(),
            serving: function(serving, 128),
            provisioned: None,
        },
        second: second.map(|image| function(image, 128)),
        image: format!("h/web@{}", digest("b")),
    }
}

fn plan(observed: &Observed) -> Result<Plan> {
    decided(("web", "live"), observed, &digest("b"), Gate::default())
}

#[test]
fn the_version_comes_from_what_is_there() {
    for (serving, latest, second, wanted) in [
        ("a", "a", None, Version::Publish { code: true }),
        // A run that was killed after it updated the code.
        ("a", "b", None, Version::Publish { code: false }),
        // One that was killed while traffic moved, and one after it.
        ("a", "b", Some("b"), Version::GoOn("2".to_owned())),
        ("b", "b", None, Version::Keep),
        // A deployment that failed left its code behind.
        ("b", "c", None, Version::Keep),
    ] {
        let plan = plan(&observed(serving, latest, second)).unwrap();
        assert_eq!(plan.version, wanted, "{serving} {latest} {second:?}");
        assert_eq!(plan.keeps(), wanted == Version::Keep);
        let (word, lines) = match wanted {
            Version::Keep => ("keep", 1),
            Version::GoOn(_) => ("go_on", 1),
            Version::End(_) => ("end", 1),
            Version::Publish { .. } => ("publish", 2),
        };
        assert_eq!(plan.json()["version"], word);
        assert_eq!(plan.lines().len(), lines, "{:?}", plan.lines());
    }
}

#[test]
fn settings_of_the_infrastructure_arrive_with_the_next_deployment() {
    let mut observed = observed("b", "b", None);
    observed.latest = function("b", 256);
    let plan = plan(&observed).unwrap();
    assert_eq!(plan.version, Version::Publish { code: false });
    assert!(
        plan.lines().join("\n").contains("MemorySize: 128 → 256"),
        "{:?}",
        plan.lines()
    );
}

/// Lambda answers so where the caller may not decrypt with the function's key.
fn with_unreadable_variables(mut function: Function) -> Function {
    let error = json!({"ErrorCode": "AccessDeniedException", "Message": "denied for hunter2"});
    let members = &mut function.configuration.others;
    members.insert("Environment".to_owned(), json!({ "Error": error }));
    members.insert("KMSKeyArn".to_owned(), json!("arn:key"));
    function
}

#[test]
fn variables_that_lambda_could_not_decrypt_are_not_taken_for_none() {
    for (serving, latest) in [("b", "b"), ("a", "b"), ("a", "a")] {
        let mut observed = observed(serving, latest, None);
        observed.latest = with_unreadable_variables(observed.latest);
        observed.look.serving = with_unreadable_variables(observed.look.serving);
        let error = plan(&observed).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused, "{serving} {latest}");
        let text = format!("{error} {:?} {:?}", error.causes(), error.hints);
        for piece in [
            "Environment",
            "AccessDeniedException",
            "kms:Decrypt",
            "arn:key",
        ] {
            assert!(text.contains(piece), "no {piece} in {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
    // What moves already was compared when it was published.
    let mut moving = observed("a", "b", Some("b"));
    moving.latest = with_unreadable_variables(moving.latest);
    assert_eq!(
        plan(&moving).unwrap().version,
        Version::GoOn("2".to_owned())
    );
}

#[test]
fn an_update_that_failed_is_made_again() {
    let mut observed = observed("a", "b", None);
    observed.latest.configuration.last_update_status = Some("Failed".to_owned());
    assert_eq!(
        plan(&observed).unwrap().version,
        Version::Publish { code: true }
    );
}

#[test]
fn what_could_not_be_undone_is_refused() {
    let mut latest = observed("a", "a", None);
    latest.look.alias.function_version = LATEST.to_owned();
    let error = plan(&latest).unwrap_err();
    assert_eq!((error.exit(), error.hints.len()), (Exit::Refused, 2));
    let mut zip = observed("a", "a", None);
    zip.latest.configuration.package_type = Some("Zip".to_owned());
    assert_eq!(plan(&zip).unwrap_err().exit(), Exit::Refused);
    // Traffic that moves to another digest is somebody's deployment.
    let error = plan(&observed("a", "c", Some("c"))).unwrap_err();
    assert_eq!(error.exit(), Exit::Busy);
    let error = plan(&observed("b", "c", Some("c"))).unwrap_err();
    assert_eq!(error.exit(), Exit::Busy);
}

#[test]
fn a_canary_is_taken_back_by_the_version_before_under_a_permit_to_go_back() {
    let gated = Gate {
        environment: Some("production"),
        rollback: false,
    };
    let back = Gate {
        rollback: true,
        ..gated
    };
    let planned =
        |observed: &Observed, gate| decided(("web", "live"), observed, &digest("b"), gate);
    for second in ["a", "b"] {
        let plan = planned(&observed("b", "a", Some(second)), back).unwrap();
        assert_eq!(plan.version, Version::End("2".to_owned()), "{second}");
        assert!(plan.changes.is_empty() && !plan.keeps());
        assert_eq!(plan.json()["version"], "end");
    }
    // Going back in steps goes on.
    let plan = planned(&observed("a", "b", Some("b")), back).unwrap();
    assert_eq!(plan.version, Version::GoOn("2".to_owned()));
    // A promotion that is run again does not end a later one.
    let error = planned(&observed("b", "a", Some("a")), gated).unwrap_err();
    assert_eq!(error.exit(), Exit::Busy);
    let hints = error.hints.join("\n");
    for piece in [
        "grant --environment production --digest sha256:bbb",
        "--permit NUMBER",
    ] {
        assert!(hints.contains(piece), "{hints}");
    }
    assert!(!hints.contains("slipway-service rollback"), "{hints}");
}

#[test]
fn provisioned_concurrency_that_moves_is_somebodys_deployment_unless_it_is_this_one() {
    for (status, second, busy) in [
        ("READY", None, false),
        ("FAILED", None, false),
        ("IN_PROGRESS", None, true),
        ("IN_PROGRESS", Some("c"), true),
        ("READY", Some("c"), true),
    ] {
        let with = |serving: &str| {
            let mut observed = observed(serving, "b", second);
            let status = json!({ "Status": status });
            observed.look.provisioned = serde_json::from_value(status).unwrap();
            observed
        };
        assert!(plan(&with("b")).unwrap().keeps(), "{status}");
        match (busy, plan(&with("a"))) {
            (true, Err(error)) => assert_eq!(error.exit(), Exit::Busy),
            (false, Ok(plan)) => assert_eq!(plan.version, Version::Publish { code: false }),
            (_, found) => panic!("{status} {second:?}: {found:?}"),
        }
    }
}
