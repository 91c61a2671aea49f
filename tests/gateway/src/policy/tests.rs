//! Decisions of documents: the principals they name, and each way of naming actions and resources.

use super::*;

fn ask(document: &str, action: &str, requester: &Requester) -> Decision {
    decide(
        document,
        &Question {
            action,
            resource: None,
            requester,
            context: &Context::default(),
        },
    )
}

fn role(account: &str) -> Requester {
    Requester {
        account: Some(account.to_owned()),
        arns: vec![
            format!("arn:aws:sts::{account}:assumed-role/ci/run-1"),
            format!("arn:aws:iam::{account}:role/ci"),
        ],
        ..Requester::default()
    }
}

fn trust(principal: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}}}"#
    )
}

#[test]
fn a_principal_is_named_by_account_root_role_or_session() {
    for (named, grant) in [
        ("111111111111", Grant::Account),
        ("arn:aws:iam::111111111111:root", Grant::Account),
        ("arn:aws:iam::111111111111:role/ci", Grant::Principal),
        (
            "arn:aws:sts::111111111111:assumed-role/ci/run-1",
            Grant::Session,
        ),
        ("*", Grant::Principal),
    ] {
        let document = trust(&format!(r#"{{"AWS":["{named}"]}}"#));
        assert_eq!(
            ask(&document, "sts:AssumeRole", &role("111111111111")),
            Decision::Allow(grant),
            "{named}"
        );
    }
    for named in [
        "222222222222",
        "arn:aws:iam::222222222222:root",
        "arn:aws:iam::111111111111:role/other",
        "arn:aws:iam::111111111111:role/*",
    ] {
        let document = trust(&format!(r#"{{"AWS":"{named}"}}"#));
        assert_eq!(
            ask(&document, "sts:AssumeRole", &role("111111111111")),
            Decision::Silent,
            "{named}"
        );
    }
}

#[test]
fn an_explicit_deny_outweighs_an_allow() {
    let document = r#"{"Statement":[
        {"Effect":"Allow","Principal":"*","Action":"sts:*"},
        {"Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}"#;
    assert_eq!(
        ask(document, "sts:AssumeRole", &role("111111111111")),
        Decision::Deny
    );
    assert_eq!(
        ask(document, "sts:AssumeRole", &role("222222222222")),
        Decision::Allow(Grant::Principal)
    );
}

#[test]
fn another_action_or_kind_of_principal_is_silent() {
    assert_eq!(
        ask(
            &trust(r#"{"AWS":"*"}"#),
            "sts:AssumeRoleWithWebIdentity",
            &role("111111111111")
        ),
        Decision::Silent
    );
    let service = Requester {
        service: Some("codebuild.amazonaws.com".to_owned()),
        ..Requester::default()
    };
    assert_eq!(
        ask(
            &trust(r#"{"Service":"codebuild.amazonaws.com"}"#),
            "sts:AssumeRole",
            &service
        ),
        Decision::Allow(Grant::Principal)
    );
    assert_eq!(
        ask(
            &trust(r#"{"Service":"ecs.amazonaws.com"}"#),
            "sts:AssumeRole",
            &service
        ),
        Decision::Silent
    );
    assert_eq!(
        ask(&trust(r#"{"AWS":"*"}"#), "sts:AssumeRole", &service),
        Decision::Silent
    );
}

#[test]
fn an_unreadable_policy_never_allows() {
    for document in [
        "",
        "[]",
        "{}",
        r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#,
        r#"{"Statement":[{"Effect":"allow","Principal":"*","Action":"sts:AssumeRole"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"Guess":{"a":"b"}}}]}"#,
    ] {
        assert_eq!(
            ask(document, "sts:AssumeRole", &role("111111111111")),
            Decision::Silent,
            "{document}"
        );
    }
}

#[test]
fn a_resource_must_match_where_one_is_named() {
    let document = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::state/dev/*"}]}"#;
    let requester = role("111111111111");
    let decided = |resource| {
        decide(
            document,
            &Question {
                action: "s3:GetObject",
                resource: Some(resource),
                requester: &requester,
                context: &Context::default(),
            },
        )
    };
    assert_eq!(
        decided("arn:aws:s3:::state/dev/a"),
        Decision::Allow(Grant::Principal)
    );
    assert_eq!(decided("arn:aws:s3:::state/prod/a"), Decision::Silent);
}

#[test]
fn a_denial_that_cannot_be_read_applies() {
    for statement in [
        r#"{"Effect":"Deny","Principal":"*","Action":"sts:*","Condition":{"Guess":{"a":"b"}}}"#,
        r#"{"Effect":"Deny","NotPrincipal":{"AWS":"222222222222"},"Action":"sts:*"}"#,
    ] {
        let allowed = r#"{"Effect":"Allow","Principal":"*","Action":"sts:*"}"#;
        let document = format!(r#"{{"Statement":[{allowed},{statement}]}}"#);
        let asked = ask(&document, "sts:AssumeRole", &role("111111111111"));
        assert_eq!(asked, Decision::Deny, "{statement}");
    }
}

/// Asks an identity policy of one statement about an object.
fn identity(statement: &str, action: &str, resource: &str) -> Decision {
    let document = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
    let mut context = Context::default();
    context.set("aws:PrincipalTag/env", vec!["dev".to_owned()]);
    let (requester, context) = (&Requester::default(), &context);
    let resource = Some(resource);
    decide_identity(
        &document,
        &Question {
            action,
            resource,
            requester,
            context,
        },
    )
}

#[test]
fn identity_policies_name_actions_and_resources_each_way() {
    let (allow, deny, silent) = (
        Decision::Allow(Grant::Principal),
        Decision::Deny,
        Decision::Silent,
    );
    for (statement, expected) in [
        (
            r#""Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::state/dev/*""#,
            allow,
        ),
        (
            r#""Effect":"Allow","Action":"S3:getobj*","Resource":"*""#,
            allow,
        ),
        (
            r#""Effect":"Allow","Action":"s3:PutObject","Resource":"*""#,
            silent,
        ),
        (
            r#""Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::state/prod/*""#,
            silent,
        ),
        (
            r#""Effect":"Allow","Action":"s3:GetObject","Resource":"arn:*""#,
            silent,
        ),
        (
            r#""Effect":"Allow","NotAction":"iam:*","Resource":"*""#,
            allow,
        ),
        (
            r#""Effect":"Allow","NotAction":"s3:*","Resource":"*""#,
            silent,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::state/prod/*""#,
            allow,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::state/dev/*""#,
            silent,
        ),
        (r#""Effect":"Allow","Action":"s3:*""#, silent),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::state/${aws:PrincipalTag/env}/*""#,
            allow,
        ),
        (
            r#""Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::state/${aws:PrincipalTag/no}/*""#,
            silent,
        ),
        (
            r#""Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::state/${aws:PrincipalTag/no}/*""#,
            deny,
        ),
        (
            r#""Effect":"Deny","Action":"s3:GetObject","Resource":"*""#,
            deny,
        ),
    ] {
        let statement = format!("{{{statement}}}");
        let decided = identity(&statement, "s3:GetObject", "arn:aws:s3:::state/dev/a");
        assert_eq!(decided, expected, "{statement}");
    }
}
