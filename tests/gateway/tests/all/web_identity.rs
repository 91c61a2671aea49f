//! AssumeRoleWithWebIdentity: what opens a session, and everything that must not.

use aws_sdk_sts::operation::assume_role_with_web_identity::builders::AssumeRoleWithWebIdentityFluentBuilder;
use serde_json::{Value, json};

use crate::support::{ISSUER, World, claims, now, refused, world};

fn trust(account: &str, condition: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }]})
}

fn staging_of_shop() -> Value {
    json!({"StringEquals": {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:acme/shop:environment:staging",
    }})
}

/// A world whose dev account trusts the staging jobs of `acme/shop` for its role `deploy`.
async fn trusting() -> World {
    let world = world().await;
    world.provider(&world.dev, "sts.amazonaws.com").await;
    world
        .role(
            &world.dev,
            "deploy",
            &trust(&world.dev_id, &staging_of_shop()),
        )
        .await;
    world
}

async fn ask(world: &World, role: &str, token: String) -> AssumeRoleWithWebIdentityFluentBuilder {
    let sts = aws_sdk_sts::Client::new(&world.sdk(&world.dev).await);
    sts.assume_role_with_web_identity()
        .role_arn(format!("arn:aws:iam::{}:role/{role}", world.dev_id))
        .role_session_name("shop-7-1")
        .web_identity_token(token)
}

async fn refusal(world: &World, role: &str, token: String) -> (String, String) {
    refused(ask(world, role, token).await.send().await)
}

#[tokio::test]
async fn a_trusted_token_opens_a_session_that_is_the_role() {
    let world = trusting().await;
    let answer = ask(&world, "deploy", world.parts.idp.token(&claims()))
        .await
        .send()
        .await
        .unwrap();
    let session = format!("arn:aws:sts::{}:assumed-role/deploy/shop-7-1", world.dev_id);
    assert_eq!(answer.assumed_role_user().unwrap().arn(), session);
    assert_eq!(
        answer.subject_from_web_identity_token(),
        Some("repo:acme/shop:environment:staging")
    );
    let given = answer.credentials().unwrap();
    let credentials = aws_credential_types::Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        None,
        "t",
    );
    let me = aws_sdk_sts::Client::new(&world.sdk(&credentials).await)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert_eq!(
        (me.account(), me.arn()),
        (Some(world.dev_id.as_str()), Some(session.as_str()))
    );
    assert!(
        me.user_id().unwrap().starts_with("AROA") && me.user_id().unwrap().ends_with(":shop-7-1")
    );
}

#[tokio::test]
async fn a_wrong_subject_is_not_authorized() {
    let world = trusting().await;
    let mut claims = claims();
    claims["sub"] = json!("repo:acme/shop:environment:production");
    let (code, message) = refusal(&world, "deploy", world.parts.idp.token(&claims)).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity"
        )
    );
}

#[tokio::test]
async fn a_wrong_audience_is_an_invalid_token() {
    let world = trusting().await;
    let mut claims = claims();
    claims["aud"] = json!("https://github.com/acme");
    let (code, message) = refusal(&world, "deploy", world.parts.idp.token(&claims)).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("InvalidIdentityToken", "Incorrect token audience")
    );
}

#[tokio::test]
async fn a_token_that_is_over_early_forged_or_unsigned_is_refused() {
    let world = trusting().await;
    let idp = &world.parts.idp;
    let with = |changed: &[(&str, u64)]| {
        let mut claims = claims();
        for (name, value) in changed {
            claims[*name] = json!(value);
        }
        claims
    };
    let over = with(&[("exp", now() - 1)]);
    let early = with(&[("nbf", now() + 3600), ("exp", now() + 7200)]);
    for (case, token, code) in [
        ("over", idp.token(&over), "ExpiredTokenException"),
        ("early", idp.token(&early), "InvalidIdentityToken"),
        ("forged", idp.forged(&claims()), "InvalidIdentityToken"),
        ("unsigned", idp.unsigned(&claims()), "InvalidIdentityToken"),
    ] {
        assert_eq!(refusal(&world, "deploy", token).await.0, code, "{case}");
    }
}

#[tokio::test]
async fn an_issuer_that_the_account_did_not_register_is_refused() {
    let world = world().await;
    world
        .role(
            &world.dev,
            "deploy",
            &trust(&world.dev_id, &staging_of_shop()),
        )
        .await;
    let (code, message) = refusal(&world, "deploy", world.parts.idp.token(&claims())).await;
    assert_eq!(
        (code, message),
        (
            "InvalidIdentityToken".into(),
            format!("No OpenIDConnect provider found in your account for {ISSUER}")
        )
    );
    world.provider(&world.dev, "sts.amazonaws.com").await;
    let mut claims = claims();
    claims["iss"] = json!("https://evil.example");
    let token = world.parts.idp.token(&claims);
    assert_eq!(
        refusal(&world, "deploy", token).await.0,
        "InvalidIdentityToken"
    );
}

#[tokio::test]
async fn a_missing_role_or_account_looks_like_a_denied_one() {
    let world = trusting().await;
    let token = world.parts.idp.token(&claims());
    assert_eq!(refusal(&world, "nobody", token).await.0, "AccessDenied");
    let unknown = ask(&world, "deploy", world.parts.idp.token(&claims()))
        .await
        .role_arn("arn:aws:iam::999999999999:role/deploy");
    assert_eq!(refused(unknown.send().await).0, "AccessDenied");
}

#[tokio::test]
async fn claims_beyond_sub_and_aud_count_and_unknown_ones_do_not() {
    let world = trusting().await;
    let host = "token.actions.githubusercontent.com";
    let on_main = json!({"StringLike": {(format!("{host}:ref")): "refs/heads/main"}, "ForAnyValue:StringEquals": {(format!("{host}:repository")): ["acme/shop"]}});
    world
        .role(&world.dev, "on-main", &trust(&world.dev_id, &on_main))
        .await;
    // STS does not offer run_id to trust policies.
    world
        .role(
            &world.dev,
            "by-run",
            &trust(
                &world.dev_id,
                &json!({"StringEquals": {(format!("{host}:run_id")): "7"}}),
            ),
        )
        .await;
    ask(&world, "on-main", world.parts.idp.token(&claims()))
        .await
        .send()
        .await
        .unwrap();
    let mut branch = claims();
    branch["ref"] = json!("refs/heads/feature");
    let token = world.parts.idp.token(&branch);
    assert_eq!(refusal(&world, "on-main", token).await.0, "AccessDenied");
    let token = world.parts.idp.token(&claims());
    assert_eq!(refusal(&world, "by-run", token).await.0, "AccessDenied");
}

#[tokio::test]
async fn another_accounts_role_of_the_same_name_is_another_role() {
    let world = trusting().await;
    world.provider(&world.build, "sts.amazonaws.com").await;
    let foreign = ask(&world, "deploy", world.parts.idp.token(&claims()))
        .await
        .role_arn(format!("arn:aws:iam::{}:role/deploy", world.build_id));
    assert_eq!(refused(foreign.send().await).0, "AccessDenied");
}

#[tokio::test]
async fn a_session_lasts_no_longer_than_the_role_allows() {
    let world = trusting().await;
    let longer = ask(&world, "deploy", world.parts.idp.token(&claims()))
        .await
        .duration_seconds(7200);
    let (code, message) = refused(longer.send().await);
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    );
    let shorter = ask(&world, "deploy", world.parts.idp.token(&claims()))
        .await
        .duration_seconds(60);
    assert_eq!(refused(shorter.send().await).0, "ValidationError");
}
