//! The keys of a world's build account: one signs the provenance of images, one the records of the ledger. Each names
//! the roles that sign; every account of the world verifies.

use serde_json::{Value, json};

use super::World;
use super::aws::{Aws, unless_there};
use super::policy::permit;
use crate::fault::{Fault, Result};

/// The read access to a key, which its policy leaves to each account's own roles.
const READ: &str = "kms:GetPublicKey";

/// The actions on a key that an administrator of the build account may take: everything but sign.
const ADMINISTER: [&str; 13] = [
    "kms:DescribeKey",
    "kms:CreateAlias",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:GetKeyPolicy",
    "kms:PutKeyPolicy",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
];

/// A key to be made.
pub(crate) struct Key {
    pub(crate) alias: String,
    pub(crate) policy: Value,
}

/// The keys, and which roles sign with each.
pub(crate) fn all(world: &World) -> Vec<Key> {
    let permits = world.environments.iter().map(|each| permit(&each.name));
    [
        (World::PROVENANCE_KEY, vec!["slipway-publish".to_owned()]),
        (World::LEDGER_KEY, permits.collect()),
    ]
    .into_iter()
    .map(|(alias, signers)| Key {
        alias: alias.to_owned(),
        policy: policy(world, &signers),
    })
    .collect()
}

fn policy(world: &World, signers: &[String]) -> Value {
    let build = &world.build.id;
    let signers: Vec<String> = signers
        .iter()
        .map(|role| format!("arn:aws:iam::{build}:role/{role}"))
        .collect();
    let root = |account: &str| format!("arn:aws:iam::{account}:root");
    let mut accounts = vec![root(build)];
    accounts.extend(world.environments.iter().map(|each| root(&each.account.id)));
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Administer",
                "Effect": "Allow",
                "Principal": {"AWS": root(build)},
                "Action": ADMINISTER,
                "Resource": "*",
            },
            {
                "Sid": "Sign",
                "Effect": "Allow",
                "Principal": {"AWS": signers},
                "Action": "kms:Sign",
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
            },
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Principal": {"AWS": accounts},
                "Action": READ,
                "Resource": "*",
            },
        ],
    })
}

/// Makes a key where there is none under its alias.
pub(super) async fn make(aws: &Aws, key: &Key) -> Result<()> {
    let alias = &key.alias;
    let named = json!({"KeyId": alias});
    let answer = aws.json("kms", "TrentService.DescribeKey", &named).await?;
    let action = format!("creating the key {alias}");
    if unless_there(answer, &action, &["NotFoundException"])?.is_some() {
        return Ok(());
    }
    let input = json!({
        "KeySpec": "ECC_NIST_P256",
        "KeyUsage": "SIGN_VERIFY",
        "Policy": key.policy.to_string(),
    });
    let answer = aws.json("kms", "TrentService.CreateKey", &input).await?;
    let made = unless_there(answer, &action, &[])?.unwrap_or_default();
    let id = made["KeyMetadata"]["KeyId"]
        .as_str()
        .ok_or_else(|| Fault::new(format!("{action}: KMS answered no key")))?;
    let named = json!({"AliasName": alias, "TargetKeyId": id});
    let answer = aws.json("kms", "TrentService.CreateAlias", &named).await?;
    // Another process that made the world at the same time was first.
    unless_there(answer, &action, &["AlreadyExistsException"]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_signers_and_every_account_verifies() {
        let world = World::named("w1", "");
        let signers: Vec<(String, Value)> = all(&world)
            .into_iter()
            .map(|key| {
                (
                    key.alias,
                    key.policy["Statement"][1]["Principal"]["AWS"].clone(),
                )
            })
            .collect();
        let role = |name: &str| format!("arn:aws:iam::{}:role/{name}", world.build.id);
        assert_eq!(
            signers,
            [
                (
                    World::PROVENANCE_KEY.to_owned(),
                    json!([role("slipway-publish")])
                ),
                (
                    World::LEDGER_KEY.to_owned(),
                    json!(["dev", "staging", "production"].map(|name| role(&permit(name))))
                ),
            ]
        );
        for key in all(&world) {
            let readers = key.policy["Statement"][2]["Principal"]["AWS"].clone();
            assert_eq!(readers.as_array().unwrap().len(), 4);
            assert!(!ADMINISTER.contains(&"kms:Sign") && !ADMINISTER.contains(&"kms:*"));
        }
    }
}
