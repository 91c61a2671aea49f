//! Holds a call against every permission it needs, before the service sees it.

use crate::Gateway;
use crate::access::needs::{Need, Scene, account_of};
use crate::access::{self, Own, Policies, Refusal, Request, Source, stored};
use crate::call::Call;
use crate::condition::Context;
use crate::error::{AwsError, Protocol};
use crate::identity::Principal;
use crate::lock;

/// Marks a request that stands for one without TLS.
const PLAIN: &str = "x-sandbox-plain-http";

/// Refuses a call that the caller may not make. KMS and STS decide by themselves: by the policies of keys and roles.
pub(crate) async fn permit(
    gateway: &Gateway,
    principal: &Principal,
    call: &Call,
) -> Result<(), AwsError> {
    if matches!(call.service.as_str(), "kms" | "sts") {
        return Ok(());
    }
    let scene = Scene::new(gateway, call, principal);
    let Some(mut needs) = scene.needs() else {
        let (service, operation) = (&call.service, &call.operation);
        return Err(AwsError::unimplemented(
            call.protocol,
            service,
            operation,
            "evaluator of permissions",
        ));
    };
    let policies = stored::policies(gateway, principal).await?;
    let mut context = access::context(principal);
    context.set("aws:RequestedRegion", vec![call.region.clone()]);
    for (key, values) in scene.tags() {
        context.set(&key, values);
    }
    // Source: IAM User Guide, "AWS global condition context keys", aws:CalledVia and aws:ViaAWSService.
    context.set("aws:ViaAWSService", vec![call.via.is_some().to_string()]);
    if let Some(service) = call.via {
        for key in ["aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast"] {
            context.set(key, vec![service.to_owned()]);
        }
    }
    if call.header(PLAIN).is_some() {
        context.set("aws:SecureTransport", vec!["false".to_owned()]);
    }
    for need in &mut needs {
        if call.service == "secretsmanager" {
            known_secret(gateway, call, need).await?;
        }
        if let Err(refusal) = decide(gateway, principal, &policies, &context, need) {
            if call.service == "ecr" && refusal == Refusal::Implicit(Source::Resource) {
                crate::ecr_repository::must_exist(gateway, need).await?;
            }
            return Err(denied(principal, call.protocol, need, refusal));
        }
    }
    Ok(())
}

/// Returns true if the caller may do something more than the call itself needs.
pub(crate) async fn may(
    gateway: &Gateway,
    principal: &Principal,
    need: &Need,
) -> Result<bool, AwsError> {
    let policies = stored::policies(gateway, principal).await?;
    let context = access::context(principal);
    Ok(decide(gateway, principal, &policies, &context, need).is_ok())
}

/// The same for a request to a registry, whose refusals are ECR's.
pub(crate) async fn in_registry(
    gateway: &Gateway,
    principal: &Principal,
    need: &Need,
) -> Result<(), AwsError> {
    let policies = stored::policies(gateway, principal).await?;
    let context = access::context(principal);
    decide(gateway, principal, &policies, &context, need)
        .map_err(|refusal| denied(principal, Protocol::Json, need, refusal))
}

fn decide(
    gateway: &Gateway,
    principal: &Principal,
    policies: &Policies,
    context: &Context,
    need: &Need,
) -> Result<(), Refusal> {
    let mut context = context.clone();
    context.set("aws:ResourceAccount", vec![need.owner.clone()]);
    for (key, values) in &need.keys {
        context.set(key, values.clone());
    }
    let policy = own(gateway, &need.resource);
    let request = Request {
        requester: &access::requester(principal),
        action: &need.action,
        resource: &need.resource,
        owner: &need.owner,
        context: &context,
    };
    let own = policy.as_deref().map_or(Own::None, Own::Beside);
    access::evaluate(&request, policies, own)
}

/// The policy of a bucket or a repository.
fn own(gateway: &Gateway, resource: &str) -> Option<String> {
    if let Some(path) = resource.strip_prefix("arn:aws:s3:::") {
        let bucket = path.split('/').next().unwrap_or(path);
        return lock(&gateway.buckets.policies).get(bucket).cloned();
    }
    gateway.repositories.policy(resource)
}

fn denied(principal: &Principal, protocol: Protocol, need: &Need, refusal: Refusal) -> AwsError {
    let resource = match protocol {
        Protocol::S3 => format!("\"{}\"", need.resource),
        _ => need.resource.clone(),
    };
    let message = refusal.message(&principal.arn, &need.action, &resource);
    let (status, code) = match protocol {
        Protocol::Json => (400, "AccessDeniedException"),
        Protocol::RestJson => (403, "AccessDeniedException"),
        Protocol::Ec2 => (403, "UnauthorizedOperation"),
        // SNS has a code of its own (Amazon SNS API Reference, "Common errors" of Publish).
        Protocol::Query if need.action.starts_with("sns:") => (403, "AuthorizationError"),
        Protocol::Query | Protocol::S3 => (403, "AccessDenied"),
        Protocol::Registry => (403, "DENIED"),
    };
    AwsError::new(status, code, message)
}

/// Policies name a secret with the six characters that Secrets Manager put behind its name.
async fn known_secret(gateway: &Gateway, call: &Call, need: &mut Need) -> Result<(), AwsError> {
    let Some((_, name)) = need.resource.split_once(":secret:") else {
        return Ok(());
    };
    let account = account_of(&need.resource).unwrap_or_default();
    let headers = [
        ("x-amz-target", "secretsmanager.DescribeSecret".to_owned()),
        ("content-type", "application/x-amz-json-1.1".to_owned()),
    ];
    let answer = crate::moto::ask(
        gateway,
        http::Method::POST,
        "/",
        "secretsmanager",
        &call.region,
        &account,
        &headers,
        serde_json::json!({"SecretId": name}).to_string(),
    )
    .await?;
    let described: serde_json::Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    if let Some(arn) = described["ARN"].as_str() {
        arn.clone_into(&mut need.resource);
    }
    Ok(())
}
