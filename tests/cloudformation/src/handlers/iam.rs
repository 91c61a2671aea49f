//! `AWS::IAM::Role`, `AWS::IAM::Policy` (an inline policy of roles) and `AWS::IAM::ManagedPolicy`.

use serde_json::{Map, Value};

use super::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, Services, decoded, xml_all, xml_one};
use crate::tags;
use crate::template::parameters::text;

pub(super) const ROLE: [&str; 9] = [
    "RoleName",
    "AssumeRolePolicyDocument",
    "Description",
    "MaxSessionDuration",
    "Path",
    "PermissionsBoundary",
    "Policies",
    "ManagedPolicyArns",
    "Tags",
];
pub(super) const POLICY: [&str; 3] = ["PolicyName", "PolicyDocument", "Roles"];
pub(super) const MANAGED: [&str; 5] = [
    "ManagedPolicyName",
    "PolicyDocument",
    "Description",
    "Path",
    "Roles",
];

async fn call(
    services: &Services,
    action: &str,
    given: &[(&str, &str)],
) -> Result<String, Refusal> {
    let given: Vec<(String, String)> = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    services.query("iam", "2010-05-08", action, &given).await
}

/// Returns true if a role has the name.
pub(super) async fn role_exists(services: &Services, role: &str) -> bool {
    call(services, "GetRole", &[("RoleName", role)])
        .await
        .is_ok()
}

fn word(properties: &Properties, name: &str) -> String {
    properties.get(name).map(text).unwrap_or_default()
}

fn words(properties: &Properties, name: &str) -> Vec<String> {
    let items = properties.get(name).and_then(Value::as_array);
    items.into_iter().flatten().map(text).collect()
}

/// The inline policies of a role: names and documents.
fn inline(properties: &Properties) -> Vec<(String, String)> {
    let items = properties.get("Policies").and_then(Value::as_array);
    let items = items.into_iter().flatten();
    items
        .map(|one| (text(&one["PolicyName"]), text(&one["PolicyDocument"])))
        .collect()
}

fn made_role(role: &str, xml: &str) -> Made {
    let attributes = [("Arn", "Arn"), ("RoleId", "RoleId")];
    let attributes = attributes.map(|(name, tag)| {
        let value = xml_one(xml, tag).unwrap_or_default();
        (name.to_owned(), Value::from(value))
    });
    Made {
        physical: role.to_owned(),
        attributes: Map::from_iter(attributes),
    }
}

pub(super) async fn create_role(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let role = desk.named(properties, "RoleName");
    let trust = word(properties, "AssumeRolePolicyDocument");
    let mut input = vec![
        ("RoleName", role.as_str()),
        ("AssumeRolePolicyDocument", &trust),
    ];
    let optional = [
        "Path",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
    ];
    let optional = optional.map(|name| (name, word(properties, name)));
    let given = optional.iter().filter(|(_, value)| !value.is_empty());
    input.extend(given.map(|(name, value)| (*name, value.as_str())));
    let tags = tag_members(properties);
    input.extend(
        tags.iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let answer = match call(&desk.services, "CreateRole", &input).await {
        Err(refusal) if refusal.code == "EntityAlreadyExists" => {
            return Err(desk.exists("AWS::IAM::Role", &role));
        }
        other => other?,
    };
    settle_role(desk, &role, &Map::new(), properties).await?;
    Ok(made_role(&role, &answer))
}

fn tag_members(properties: &Properties) -> Vec<(String, String)> {
    let mut members = Vec::new();
    for (index, (key, value)) in tags::pairs(properties.get("Tags")).into_iter().enumerate() {
        let at = format!("Tags.member.{}", index + 1);
        members.push((format!("{at}.Key"), key));
        members.push((format!("{at}.Value"), value));
    }
    members
}

/// Brings inline and attached policies to what the template says.
async fn settle_role(
    desk: &Desk,
    role: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    let services = &desk.services;
    let (before, after) = (inline(old), inline(new));
    for (name, document) in after.iter().filter(|one| !before.contains(one)) {
        let input = [
            ("RoleName", role),
            ("PolicyName", name),
            ("PolicyDocument", document),
        ];
        call(services, "PutRolePolicy", &input).await?;
    }
    for (name, _) in &before {
        if !after.iter().any(|(known, _)| known == name) {
            call(
                services,
                "DeleteRolePolicy",
                &[("RoleName", role), ("PolicyName", name)],
            )
            .await?;
        }
    }
    let (before, after) = (
        words(old, "ManagedPolicyArns"),
        words(new, "ManagedPolicyArns"),
    );
    for arn in after.iter().filter(|arn| !before.contains(arn)) {
        call(
            services,
            "AttachRolePolicy",
            &[("RoleName", role), ("PolicyArn", arn)],
        )
        .await?;
    }
    for arn in before.iter().filter(|arn| !after.contains(arn)) {
        call(
            services,
            "DetachRolePolicy",
            &[("RoleName", role), ("PolicyArn", arn)],
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn update_role(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let services = &desk.services;
    let changed = |name: &&str| old.get(*name) != new.get(*name);
    let fixed = ["Description", "MaxSessionDuration", "PermissionsBoundary"];
    if let Some(name) = fixed.iter().find(|name| changed(name)) {
        return Err(Failure::new(
            "InvalidRequest",
            format!("the sandbox's CloudFormation does not change the {name} of a role"),
        ));
    }
    if changed(&"AssumeRolePolicyDocument") {
        let trust = word(new, "AssumeRolePolicyDocument");
        let input = [("RoleName", physical), ("PolicyDocument", &trust)];
        call(services, "UpdateAssumeRolePolicy", &input).await?;
    }
    settle_role(desk, physical, old, new).await?;
    let gone = tags::gone(old.get("Tags"), new.get("Tags"));
    if !gone.is_empty() {
        let names: Vec<String> = (1..=gone.len())
            .map(|at| format!("TagKeys.member.{at}"))
            .collect();
        let mut input = vec![("RoleName", physical)];
        let keys = names.iter().zip(&gone);
        input.extend(keys.map(|(name, key)| (name.as_str(), key.as_str())));
        call(services, "UntagRole", &input).await?;
    }
    let tags = tag_members(new);
    if changed(&"Tags") && !tags.is_empty() {
        let mut input = vec![("RoleName", physical)];
        input.extend(
            tags.iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        call(services, "TagRole", &input).await?;
    }
    let answer = call(services, "GetRole", &[("RoleName", physical)]).await?;
    Ok(made_role(physical, &answer))
}

/// A role goes with the policies that the stack gave it; others keep it, as in AWS.
pub(super) async fn delete_role(
    desk: &Desk,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let nothing = Map::new();
    match settle_role(desk, physical, properties, &nothing).await {
        Err(refusal) if !refusal.not_found() => return Err(refusal),
        _ => {}
    }
    call(&desk.services, "DeleteRole", &[("RoleName", physical)])
        .await
        .map(drop)
}

/// Puts an inline policy to its roles, and takes it from those that it has no more.
pub(super) async fn put_policy(
    desk: &Desk,
    physical: Option<&str>,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let services = &desk.services;
    let (name, document) = (word(new, "PolicyName"), word(new, "PolicyDocument"));
    let roles = words(new, "Roles");
    for role in &roles {
        let input = [
            ("RoleName", role.as_str()),
            ("PolicyName", &name),
            ("PolicyDocument", &document),
        ];
        call(services, "PutRolePolicy", &input).await?;
    }
    let before = word(old, "PolicyName");
    for role in words(old, "Roles") {
        if before != name || !roles.contains(&role) {
            call(
                services,
                "DeleteRolePolicy",
                &[("RoleName", &role), ("PolicyName", &before)],
            )
            .await?;
        }
    }
    Ok(Made {
        physical: physical.map_or_else(|| desk.name(), str::to_owned),
        attributes: Map::new(),
    })
}

pub(super) async fn delete_policy(desk: &Desk, properties: &Properties) -> Result<(), Refusal> {
    let name = word(properties, "PolicyName");
    for role in words(properties, "Roles") {
        let input = [("RoleName", role.as_str()), ("PolicyName", &name)];
        match call(&desk.services, "DeleteRolePolicy", &input).await {
            Err(refusal) if !refusal.not_found() => return Err(refusal),
            _ => {}
        }
    }
    Ok(())
}

pub(super) async fn create_managed(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let name = desk.named(properties, "ManagedPolicyName");
    let document = word(properties, "PolicyDocument");
    let mut input = vec![("PolicyName", name.as_str()), ("PolicyDocument", &document)];
    let optional = ["Path", "Description"].map(|name| (name, word(properties, name)));
    let given = optional.iter().filter(|(_, value)| !value.is_empty());
    input.extend(given.map(|(name, value)| (*name, value.as_str())));
    let answer = match call(&desk.services, "CreatePolicy", &input).await {
        Err(refusal) if refusal.code == "EntityAlreadyExists" => {
            return Err(desk.exists("AWS::IAM::ManagedPolicy", &name));
        }
        other => other?,
    };
    let arn = xml_one(&answer, "Arn").unwrap_or_default();
    attach(desk, &arn, &Map::new(), properties).await?;
    Ok(made_managed(&arn))
}

fn made_managed(arn: &str) -> Made {
    Made {
        physical: arn.to_owned(),
        attributes: Map::from_iter([("PolicyArn".to_owned(), Value::from(arn))]),
    }
}

async fn attach(desk: &Desk, arn: &str, old: &Properties, new: &Properties) -> Result<(), Refusal> {
    let (before, after) = (words(old, "Roles"), words(new, "Roles"));
    for role in after.iter().filter(|role| !before.contains(role)) {
        let input = [("RoleName", role.as_str()), ("PolicyArn", arn)];
        call(&desk.services, "AttachRolePolicy", &input).await?;
    }
    for role in before.iter().filter(|role| !after.contains(role)) {
        let input = [("RoleName", role.as_str()), ("PolicyArn", arn)];
        match call(&desk.services, "DetachRolePolicy", &input).await {
            Err(refusal) if !refusal.not_found() => return Err(refusal),
            _ => {}
        }
    }
    Ok(())
}

/// A new document is a new version, and the versions before it go.
pub(super) async fn update_managed(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let services = &desk.services;
    if old.get("PolicyDocument") != new.get("PolicyDocument") {
        let document = word(new, "PolicyDocument");
        let input = [
            ("PolicyArn", physical),
            ("PolicyDocument", &document),
            ("SetAsDefault", "true"),
        ];
        call(services, "CreatePolicyVersion", &input).await?;
        versions_go(services, physical).await?;
    }
    attach(desk, physical, old, new).await?;
    Ok(made_managed(physical))
}

/// Deletes the versions that are not the default one.
async fn versions_go(services: &Services, arn: &str) -> Result<(), Refusal> {
    let listed = call(services, "ListPolicyVersions", &[("PolicyArn", arn)]).await?;
    let versions = xml_one(&listed, "Versions").unwrap_or_default();
    for version in xml_all(&versions, "member") {
        let id = xml_one(&version, "VersionId").unwrap_or_default();
        if xml_one(&version, "IsDefaultVersion").as_deref() == Some("false") {
            let input = [("PolicyArn", arn), ("VersionId", &id)];
            call(services, "DeletePolicyVersion", &input).await?;
        }
    }
    Ok(())
}

pub(super) async fn delete_managed(
    desk: &Desk,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    attach(desk, physical, properties, &Map::new()).await?;
    call(&desk.services, "DeletePolicy", &[("PolicyArn", physical)])
        .await
        .map(drop)
}

/// The role's values of the properties that drift detection compares.
pub(super) async fn read_role(desk: &Desk, physical: &str) -> Result<Properties, Refusal> {
    let answer = call(&desk.services, "GetRole", &[("RoleName", physical)]).await?;
    let document = xml_one(&answer, "AssumeRolePolicyDocument").unwrap_or_default();
    let document = decoded(&document);
    let trust = serde_json::from_str(&document).unwrap_or(Value::String(document));
    Ok(Map::from_iter([(
        "AssumeRolePolicyDocument".to_owned(),
        trust,
    )]))
}
