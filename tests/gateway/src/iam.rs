//! The gateway's view of IAM, which moto keeps: roles with their trust, identity providers, and
//! the long-lived keys in answers that pass.

use http::Method;

use crate::Gateway;
use crate::answer::Answer;
use crate::call::Call;
use crate::error::AwsError;
use crate::text::{percent_decode, percent_encode, value, xml_all, xml_one};

/// A role as far as assuming it needs.
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) arn: String,
    /// The trust policy, JSON.
    pub(crate) trust: String,
    /// Seconds.
    pub(crate) longest_session: i64,
    pub(crate) tags: Vec<(String, String)>,
}

/// Asks IAM about an account.
pub(crate) async fn ask(
    gateway: &Gateway,
    account: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> Result<Answer, AwsError> {
    let form = (
        "content-type",
        "application/x-www-form-urlencoded".to_owned(),
    );
    let mut body = format!("Action={action}&Version=2010-05-08");
    for (key, value) in parameters {
        body.push_str(&format!("&{key}={}", percent_encode(value, false)));
    }
    crate::moto::ask(
        gateway,
        Method::POST,
        "/",
        "iam",
        "us-east-1",
        account,
        &[form],
        body,
    )
    .await
}

/// The role of a name, or `None`.
pub(crate) async fn role(
    gateway: &Gateway,
    account: &str,
    name: &str,
) -> Result<Option<Role>, AwsError> {
    let answer = ask(gateway, account, "GetRole", &[("RoleName", name)]).await?;
    let Some(xml) = found(&answer)? else {
        return Ok(None);
    };
    let field = |tag: &str| xml_one(&xml, tag);
    let tags = field("Tags").unwrap_or_default();
    let tags = xml_all(&tags, "Key")
        .into_iter()
        .zip(xml_all(&tags, "Value"));
    Ok(field("AssumeRolePolicyDocument").map(|trust| Role {
        id: field("RoleId").unwrap_or_default(),
        arn: field("Arn").unwrap_or_default(),
        trust: percent_decode(&trust),
        longest_session: field("MaxSessionDuration")
            .and_then(|text| text.parse().ok())
            .unwrap_or(3600),
        tags: tags.collect(),
    }))
}

/// The client IDs (audiences) of an account's identity provider, or `None` where it has none of that ARN.
pub(crate) async fn provider(
    gateway: &Gateway,
    account: &str,
    arn: &str,
) -> Result<Option<Vec<String>>, AwsError> {
    let action = "GetOpenIDConnectProvider";
    let parameters = [("OpenIDConnectProviderArn", arn)];
    let answer = ask(gateway, account, action, &parameters).await?;
    Ok(found(&answer)?.map(|xml| {
        let list = xml_one(&xml, "ClientIDList").unwrap_or_default();
        xml_all(&list, "member")
    }))
}

/// The answer's XML; `None` where IAM has no such entity. Any other failure is one.
pub(crate) fn found(answer: &Answer) -> Result<Option<String>, AwsError> {
    if answer.status.is_success() {
        return Ok(Some(answer.text()));
    }
    match answer.error.as_deref() {
        Some("NoSuchEntity") => Ok(None),
        other => Err(AwsError::upstream(
            "moto",
            format!("IAM said {}", other.unwrap_or("nothing")),
        )),
    }
}

/// Learns and forgets long-lived keys from answers that pass, and forgets policies that may have changed.
pub(crate) fn observe(gateway: &Gateway, call: &Call, account: &str, answer: &Answer) {
    gateway.stored.changed(call);
    if !answer.status.is_success() {
        return;
    }
    match call.operation.as_str() {
        "CreateAccessKey" => {
            let xml = answer.text();
            if let (Some(user), Some(key), Some(secret)) = (
                xml_one(&xml, "UserName"),
                xml_one(&xml, "AccessKeyId"),
                xml_one(&xml, "SecretAccessKey"),
            ) {
                gateway.identities.learn_user(account, &user, &key, &secret);
            }
        }
        "DeleteAccessKey" => {
            if let Some(key) = value(&call.form(), "AccessKeyId") {
                gateway.identities.forget(key);
            }
        }
        _ => {}
    }
}
