//! The keys of KMS and their aliases, by account and region.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::cipher::Cipher;
use super::ecdsa::Pair;
use crate::error::AwsError;
use crate::lock;

/// Where something is: account and region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl At {
    /// The ARN of something of KMS here.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:kms:{}:{}:{resource}", self.region, self.account)
    }
}

/// The spec and usage of a key.
#[derive(Clone)]
pub(crate) enum Material {
    /// `ECC_NIST_P256`, `SIGN_VERIFY`.
    P256(Arc<Pair>),
    /// `SYMMETRIC_DEFAULT`, `ENCRYPT_DECRYPT`.
    Symmetric(Arc<Cipher>),
}

/// The condition of a key: only an enabled one can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
    PendingDeletion(OffsetDateTime),
}

/// One key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) at: At,
    pub(crate) material: Material,
    pub(crate) policy: String,
    pub(crate) description: String,
    pub(crate) created: OffsetDateTime,
    pub(crate) state: State,
    pub(crate) aliases: Vec<String>,
    /// Whether its material is rotated each year. Nothing rotates here.
    pub(crate) rotates: bool,
    /// The region of the primary key, if it is a multi-region key.
    pub(crate) primary: Option<String>,
    /// The regions of the replicas of that key.
    pub(crate) replicas: Vec<String>,
}

impl Key {
    pub(crate) fn arn(&self) -> String {
        self.at.arn(&format!("key/{}", self.id))
    }

    pub(crate) fn spec(&self) -> &'static str {
        match self.material {
            Material::P256(_) => "ECC_NIST_P256",
            Material::Symmetric(_) => "SYMMETRIC_DEFAULT",
        }
    }

    pub(crate) fn usage(&self) -> &'static str {
        match self.material {
            Material::P256(_) => "SIGN_VERIFY",
            Material::Symmetric(_) => "ENCRYPT_DECRYPT",
        }
    }

    /// `MultiRegionConfiguration`, in which each key of the set names all of them.
    fn regions(&self, primary: &str) -> Value {
        let kind = match *primary == self.at.region {
            true => "PRIMARY",
            false => "REPLICA",
        };
        let one = |region: &str| {
            let account = self.at.account.clone();
            let region = region.to_owned();
            let at = At { account, region };
            json!({"Arn": at.arn(&format!("key/{}", self.id)), "Region": at.region})
        };
        let replicas: Vec<Value> = self.replicas.iter().map(|region| one(region)).collect();
        json!({"MultiRegionKeyType": kind, "PrimaryKey": one(primary), "ReplicaKeys": replicas})
    }

    /// `KeyMetadata`, as `DescribeKey` answers it.
    pub(crate) fn metadata(&self) -> Value {
        let state = match self.state {
            State::Enabled => "Enabled",
            State::Disabled => "Disabled",
            State::PendingDeletion(_) => "PendingDeletion",
        };
        let mut metadata = json!({
            "AWSAccountId": self.at.account,
            "KeyId": self.id,
            "Arn": self.arn(),
            "CreationDate": self.created.unix_timestamp(),
            "Enabled": self.state == State::Enabled,
            "Description": self.description,
            "KeyUsage": self.usage(),
            "KeyState": state,
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": self.spec(),
            "KeySpec": self.spec(),
            "MultiRegion": self.primary.is_some(),
        });
        if let Some(primary) = &self.primary {
            metadata["MultiRegionConfiguration"] = self.regions(primary);
        }
        if let State::PendingDeletion(end) = self.state {
            metadata["DeletionDate"] = json!(end.unix_timestamp());
        }
        let (name, algorithm) = match self.material {
            Material::P256(_) => ("SigningAlgorithms", super::ALGORITHM),
            Material::Symmetric(_) => ("EncryptionAlgorithms", "SYMMETRIC_DEFAULT"),
        };
        metadata[name] = json!([algorithm]);
        metadata
    }
}

/// All keys of the sandbox.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Store>);

#[derive(Default)]
struct Store {
    keys: HashMap<(At, String), Key>,
    aliases: HashMap<(At, String), String>,
}

impl Keys {
    pub(crate) fn add(&self, key: Key) {
        let place = (key.at.clone(), key.id.clone());
        lock(&self.0).keys.insert(place, key);
    }

    /// Changes a key that was found.
    pub(crate) fn change(&self, key: &Key, change: impl FnOnce(&mut Key)) {
        let place = (key.at.clone(), key.id.clone());
        if let Some(key) = lock(&self.0).keys.get_mut(&place) {
            change(key);
        }
    }

    /// The key that an ID, an ARN, an alias name or an alias ARN means to a caller, and the alias it was named by.
    pub(crate) fn find(&self, at: &At, named: &str) -> Result<(Key, Option<String>), AwsError> {
        let (at, name) = match named.strip_prefix("arn:") {
            Some(rest) => {
                let parts: Vec<&str> = rest.splitn(5, ':').collect();
                let ["aws", "kms", region, account, name] = parts.as_slice() else {
                    return Err(not_found(format!("Invalid arn {named}")));
                };
                if *region != at.region {
                    return Err(not_found(format!("Invalid arn {region}")));
                }
                let name = name.strip_prefix("key/").unwrap_or(name);
                let (account, region) = ((*account).to_owned(), (*region).to_owned());
                (At { account, region }, name.to_owned())
            }
            None => (at.clone(), named.to_owned()),
        };
        let store = lock(&self.0);
        let alias = name.starts_with("alias/").then(|| name.clone());
        let id = match &alias {
            Some(alias) => store
                .aliases
                .get(&(at.clone(), alias.clone()))
                .ok_or_else(|| not_found(format!("Alias {} is not found.", at.arn(alias))))?
                .clone(),
            None => name,
        };
        let mut key = store
            .keys
            .get(&(at.clone(), id.clone()))
            .cloned()
            .ok_or_else(|| {
                let arn = at.arn(&format!("key/{id}"));
                not_found(format!("Key '{arn}' does not exist"))
            })?;
        key.aliases = store.aliases_of(&key);
        key.replicas = store.replicas_of(&key);
        Ok((key, alias))
    }

    /// Gives a key an alias that no other has.
    pub(crate) fn name(&self, at: &At, alias: &str, id: &str) -> Result<(), AwsError> {
        let mut store = lock(&self.0);
        let alias_key = (at.clone(), alias.to_owned());
        if store.aliases.contains_key(&alias_key) {
            return Err(AwsError::new(
                400,
                "AlreadyExistsException",
                format!("An alias with the name {} already exists", at.arn(alias)),
            ));
        }
        store.aliases.insert(alias_key, id.to_owned());
        Ok(())
    }

    /// The aliases of an account and region, with the IDs of their keys, in order.
    pub(crate) fn aliases(&self, at: &At) -> Vec<(String, String)> {
        let mut found: Vec<_> = lock(&self.0)
            .aliases
            .iter()
            .filter(|((owner, _), _)| owner == at)
            .map(|((_, alias), id)| (alias.clone(), id.clone()))
            .collect();
        found.sort();
        found
    }
}

impl Store {
    /// The regions of a multi-region key's replicas, in order.
    fn replicas_of(&self, key: &Key) -> Vec<String> {
        let Some(primary) = &key.primary else {
            return Vec::new();
        };
        let same = self.keys.values().filter(|other| other.id == key.id);
        let regions = same.map(|other| other.at.region.clone());
        let mut found: Vec<String> = regions.filter(|region| region != primary).collect();
        found.sort();
        found
    }

    fn aliases_of(&self, key: &Key) -> Vec<String> {
        let own = self
            .aliases
            .iter()
            .filter(|((at, _), id)| *at == key.at && **id == key.id);
        own.map(|((_, alias), _)| alias.clone()).collect()
    }
}

fn not_found(message: String) -> AwsError {
    AwsError::new(400, "NotFoundException", message)
}
