//! The policies of roles and users, read from IAM, which moto keeps, and remembered until something in IAM changes.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::access::Policies;
use crate::call::Call;
use crate::error::AwsError;
use crate::iam::{ask, found};
use crate::identity::Principal;
use crate::text::{percent_decode, xml_all, xml_one};
use crate::{Gateway, lock};

/// The policy of the role by which the parent account administers each account. The role is AWS Organizations' own, so
/// IAM here does not list it.
const ADMINISTRATOR: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// Policies by the ARN of their role or user, and the number of changes to IAM so far.
#[derive(Default)]
pub(crate) struct Stored(Mutex<(u64, HashMap<String, Policies>)>);

impl Stored {
    /// A call to IAM that may change something was answered.
    pub(crate) fn changed(&self, call: &Call) {
        let reads = ["Get", "List", "Simulate", "Generate"];
        if !reads.iter().any(|verb| call.operation.starts_with(verb)) {
            let mut stored = lock(&self.0);
            stored.0 += 1;
            stored.1.clear();
        }
    }
}

/// Everything that the caller's role or user, and the session, may do.
pub(crate) async fn policies(
    gateway: &Gateway,
    principal: &Principal,
) -> Result<Policies, AwsError> {
    let arn = principal.role.as_ref().unwrap_or(&principal.arn);
    let (changes, known) = {
        let stored = lock(&gateway.stored.0);
        (stored.0, stored.1.get(arn).cloned())
    };
    let mut policies = match known {
        Some(known) => known,
        None => {
            let read = read(gateway, &principal.account, arn).await?;
            let mut stored = lock(&gateway.stored.0);
            // The result may lack a change that was made during the read.
            if stored.0 == changes {
                stored.1.insert(arn.clone(), read.clone());
            }
            read
        }
    };
    policies.session.clone_from(&principal.policies);
    Ok(policies)
}

/// Kinds of owners of policies, with the words of IAM's calls.
struct Owner<'a> {
    kind: &'static str,
    parameter: &'static str,
    name: &'a str,
}

async fn read(gateway: &Gateway, account: &str, arn: &str) -> Result<Policies, AwsError> {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    if arn == crate::accounts::administrator(account) {
        return Ok(Policies {
            identity: vec![ADMINISTRATOR.to_owned()],
            ..Policies::default()
        });
    }
    let (kind, parameter) = match arn.contains(":user/") {
        true => ("User", "UserName"),
        false => ("Role", "RoleName"),
    };
    let owner = Owner {
        kind,
        parameter,
        name,
    };
    let Some(described) = get(
        gateway,
        account,
        &format!("Get{kind}"),
        &[(parameter, name)],
    )
    .await?
    else {
        return Ok(Policies::default());
    };
    let mut policies = Policies {
        identity: of(gateway, account, &owner).await?,
        ..Policies::default()
    };
    if let Some(arn) = xml_one(&described, "PermissionsBoundaryArn") {
        // A boundary that cannot be read allows nothing.
        let text = managed(gateway, account, &arn).await?;
        policies.boundary = Some(text.unwrap_or_default());
    }
    if kind == "User" {
        let groups = get(gateway, account, "ListGroupsForUser", &[("UserName", name)]).await?;
        for group in xml_all(&groups.unwrap_or_default(), "GroupName") {
            let owner = Owner {
                kind: "Group",
                parameter: "GroupName",
                name: &group,
            };
            policies
                .identity
                .extend(of(gateway, account, &owner).await?);
        }
    }
    Ok(policies)
}

/// The inline and the attached policies of an owner.
async fn of(gateway: &Gateway, account: &str, owner: &Owner<'_>) -> Result<Vec<String>, AwsError> {
    let own = (owner.parameter, owner.name);
    let mut texts = Vec::new();
    let listed = get(
        gateway,
        account,
        &format!("List{}Policies", owner.kind),
        &[own],
    )
    .await?
    .unwrap_or_default();
    let names = xml_one(&listed, "PolicyNames").unwrap_or_default();
    for name in xml_all(&names, "member") {
        let action = format!("Get{}Policy", owner.kind);
        let policy = get(gateway, account, &action, &[own, ("PolicyName", &name)]).await?;
        let text = policy.and_then(|xml| xml_one(&xml, "PolicyDocument"));
        texts.extend(text.map(|text| percent_decode(&text)));
    }
    let action = format!("ListAttached{}Policies", owner.kind);
    let attached = get(gateway, account, &action, &[own]).await?;
    for arn in xml_all(&attached.unwrap_or_default(), "PolicyArn") {
        texts.extend(managed(gateway, account, &arn).await?);
    }
    Ok(texts)
}

/// The default version of a managed policy.
pub(crate) async fn managed(
    gateway: &Gateway,
    account: &str,
    arn: &str,
) -> Result<Option<String>, AwsError> {
    let Some(policy) = get(gateway, account, "GetPolicy", &[("PolicyArn", arn)]).await? else {
        return Ok(None);
    };
    let version = xml_one(&policy, "DefaultVersionId").unwrap_or_default();
    let asked = [("PolicyArn", arn), ("VersionId", &version)];
    let version = get(gateway, account, "GetPolicyVersion", &asked).await?;
    let text = version.and_then(|xml| xml_one(&xml, "Document"));
    Ok(text.map(|text| percent_decode(&text)))
}

async fn get(
    gateway: &Gateway,
    account: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> Result<Option<String>, AwsError> {
    found(&ask(gateway, account, action, parameters).await?)
}
