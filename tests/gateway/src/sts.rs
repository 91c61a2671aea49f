//! STS: the gateway issues every session itself, after it has read the trust policy of the role.
//! moto's own would take any token and any role.

mod wanted;

use time::OffsetDateTime;

use crate::access::{self, Own, Request};
use crate::answer::Answer;
use crate::call::Call;
use crate::condition::Context;
use crate::error::AwsError;
use crate::identity::Credentials;
use crate::jwt::Token;
use crate::policy::{Question, Requester, decide};
use crate::text::strings;
use crate::text::{value, xml_escape};
use crate::{Gateway, jwt};
use wanted::{Wanted, session_policies};

/// The claims STS offers as condition keys for GitHub's provider (IAM User Guide, "Available keys for AWS OIDC
/// federation"); other claims of a token are invisible to a trust policy.
const CLAIMS: [&str; 11] = [
    "sub",
    "aud",
    "actor",
    "actor_id",
    "job_workflow_ref",
    "repository",
    "repository_id",
    "workflow",
    "ref",
    "environment",
    "enterprise_id",
];

/// Answers one STS call.
pub(crate) async fn handle(
    gateway: &Gateway,
    call: &Call,
    principal: Option<&Credentials>,
) -> Result<Answer, AwsError> {
    let form = call.form();
    match (call.operation.as_str(), principal) {
        ("AssumeRoleWithWebIdentity", _) => web_identity(gateway, &form, &call.request_id).await,
        ("AssumeRole", Some(caller)) => assume(gateway, &form, caller, &call.request_id).await,
        ("GetCallerIdentity", Some(caller)) => {
            let principal = &caller.principal;
            Ok(result(
                "GetCallerIdentity",
                &format!(
                    "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
                    xml_escape(&principal.arn),
                    xml_escape(&principal.user_id),
                    principal.account
                ),
                &call.request_id,
            ))
        }
        ("GetAccessKeyInfo", Some(_)) => {
            let account =
                value(&form, "AccessKeyId").and_then(|key| gateway.identities.account_of(key));
            let account = account.ok_or_else(|| validation("The access key is not known"))?;
            Ok(result(
                "GetAccessKeyInfo",
                &format!("<Account>{account}</Account>"),
                &call.request_id,
            ))
        }
        _ => Err(AwsError::unimplemented(
            call.protocol,
            "sts",
            &call.operation,
            "gateway",
        )),
    }
}

async fn web_identity(
    gateway: &Gateway,
    form: &[(String, String)],
    request_id: &str,
) -> Result<Answer, AwsError> {
    const ACTION: &str = "sts:AssumeRoleWithWebIdentity";
    let denied = || {
        AwsError::new(
            403,
            "AccessDenied",
            format!("Not authorized to perform {ACTION}"),
        )
    };
    let mut wanted = Wanted::read(form)?;
    let token = jwt::read(required(form, "WebIdentityToken")?)?;
    wanted.tagged_by(&token)?;
    if !gateway.accounts.knows(&wanted.account) {
        return Err(denied());
    }
    let issuer = token.claim("iss").unwrap_or_default().to_owned();
    let host = issuer
        .strip_prefix("https://")
        .or_else(|| issuer.strip_prefix("http://"))
        .unwrap_or(&issuer)
        .to_owned();
    let provider = format!("arn:aws:iam::{}:oidc-provider/{host}", wanted.account);
    verify(gateway, &wanted.account, &provider, &issuer, &token).await?;
    let role = wanted.role(gateway).await?.ok_or_else(denied)?;
    let mut context = Context::default();
    for claim in CLAIMS {
        if let Some(claimed) = token.claims.get(claim) {
            context.set(&format!("{host}:{claim}"), strings(claimed));
        }
    }
    wanted.context(&mut context);
    let requester = Requester {
        federated: Some(provider.clone()),
        ..Requester::default()
    };
    let allowed = |action| {
        let question = Question {
            action,
            resource: None,
            requester: &requester,
            context: &context,
        };
        decide(&role.trust, &question).allows()
    };
    if !allowed(ACTION) || (!wanted.tags.is_empty() && !allowed("sts:TagSession")) {
        return Err(denied());
    }
    wanted.policies = session_policies(gateway, &wanted.account, form).await?;
    let session = wanted.open(gateway, &role, i64::MAX)?;
    let extra = format!(
        "<SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken><Audience>{}</Audience><Provider>{}</Provider>",
        xml_escape(token.claim("sub").unwrap_or_default()),
        xml_escape(&first_audience(&token)),
        xml_escape(&provider)
    );
    Ok(result(
        "AssumeRoleWithWebIdentity",
        &format!("{extra}{}", describe(&session)),
        request_id,
    ))
}

/// Refuses a token that the account's provider does not vouch for: another issuer, key, time or audience.
async fn verify(
    gateway: &Gateway,
    account: &str,
    provider: &str,
    issuer: &str,
    token: &Token,
) -> Result<(), AwsError> {
    let invalid = |message: String| AwsError::new(400, "InvalidIdentityToken", message);
    let clients = crate::iam::provider(gateway, account, provider).await?;
    let (Some(clients), Some(keys)) = (clients, gateway.issuers.get(issuer)) else {
        return Err(invalid(format!(
            "No OpenIDConnect provider found in your account for {issuer}"
        )));
    };
    keys.verify(&gateway.http, token).await?;
    jwt::check_claims(token, OffsetDateTime::now_utc().unix_timestamp())?;
    let mut audiences = token.audiences().into_iter();
    if !audiences.any(|audience| clients.contains(&audience)) {
        return Err(invalid("Incorrect token audience".to_owned()));
    }
    Ok(())
}

fn first_audience(token: &Token) -> String {
    token.audiences().into_iter().next().unwrap_or_default()
}

async fn assume(
    gateway: &Gateway,
    form: &[(String, String)],
    caller: &Credentials,
    request_id: &str,
) -> Result<Answer, AwsError> {
    let mut wanted = Wanted::read(form)?;
    wanted.tagged_by_form(form)?;
    wanted.inherit(&caller.principal)?;
    let arn = wanted.arn.clone();
    let denied = |action: &str| {
        AwsError::new(
            403,
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: {action} on resource: {}",
                caller.principal.arn, arn
            ),
        )
    };
    let role = match gateway.accounts.knows(&wanted.account) {
        true => wanted
            .role(gateway)
            .await?
            .ok_or_else(|| denied("sts:AssumeRole"))?,
        false => return Err(denied("sts:AssumeRole")),
    };
    let mut context = access::context(&caller.principal);
    wanted.context(&mut context);
    let requester = access::requester(&caller.principal);
    let policies = access::stored::policies(gateway, &caller.principal).await?;
    let mut actions = vec!["sts:AssumeRole"];
    if !wanted.tags.is_empty() || !wanted.inherited.is_empty() {
        actions.push("sts:TagSession");
    }
    for action in actions {
        let request = Request {
            requester: &requester,
            action,
            resource: &wanted.arn,
            owner: &wanted.account,
            context: &context,
        };
        access::evaluate(&request, &policies, Own::Required(&role.trust))
            .map_err(|_| denied(action))?;
    }
    wanted.policies = session_policies(gateway, &wanted.account, form).await?;
    // Role chaining: a session opened from a session lasts an hour at most.
    let chained = caller.principal.role.is_some();
    if chained && wanted.seconds.is_some_and(|seconds| seconds > 3600) {
        return Err(validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    let session = wanted.open(gateway, &role, if chained { 3600 } else { i64::MAX })?;
    Ok(result("AssumeRole", &describe(&session), request_id))
}

/// A session for an AWS service such as CodeBuild, whose trust policy must name it. There is no public API for
/// this: the control interface plays the service.
pub(crate) async fn for_service(
    gateway: &Gateway,
    role_arn: &str,
    session: &str,
    service: &str,
    seconds: i64,
) -> Result<Credentials, AwsError> {
    let form = [
        ("RoleArn".to_owned(), role_arn.to_owned()),
        ("RoleSessionName".to_owned(), session.to_owned()),
        ("DurationSeconds".to_owned(), seconds.to_string()),
    ];
    let wanted = Wanted::read(&form)?;
    let denied = || {
        AwsError::new(
            403,
            "AccessDenied",
            format!("{service} is not authorized to perform: sts:AssumeRole on {role_arn}"),
        )
    };
    let role = wanted.role(gateway).await?.ok_or_else(denied)?;
    let requester = Requester {
        service: Some(service.to_owned()),
        ..Requester::default()
    };
    let mut context = Context::default();
    context.set("aws:SourceAccount", vec![wanted.account.clone()]);
    if !decide(
        &role.trust,
        &Question {
            action: "sts:AssumeRole",
            resource: None,
            requester: &requester,
            context: &context,
        },
    )
    .allows()
    {
        return Err(denied());
    }
    wanted.open(gateway, &role, i64::MAX)
}

fn required<'a>(form: &'a [(String, String)], name: &str) -> Result<&'a str, AwsError> {
    value(form, name).ok_or_else(|| validation(&format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null")))
}

fn validation(message: &str) -> AwsError {
    AwsError::new(400, "ValidationError", message)
}

fn describe(session: &Credentials) -> String {
    format!(
        "<AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
        session.principal.user_id,
        session.principal.arn,
        session.access_key,
        session.secret,
        session.token.as_deref().unwrap_or_default(),
        session.expires.map(crate::rfc3339).unwrap_or_default()
    )
}

fn result(operation: &str, inside: &str, request_id: &str) -> Answer {
    Answer::xml(format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{inside}</{operation}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ))
}
