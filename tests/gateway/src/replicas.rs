//! Global tables, which DynamoDB Local does not know. The replicas of a table are one table behind the gateway, so that a write in
//! one region is read in every other at once; in AWS it is so within about a second.
//! Source: Amazon DynamoDB API Reference, "UpdateTable", `ReplicaUpdates`; Developer Guide, "Global tables".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::lock;

/// The table of an account in a region.
pub(crate) type Place = (String, String, String);

/// What the gateway knows of tables and DynamoDB Local does not.
#[derive(Default)]
pub(crate) struct Replicas(Mutex<Store>);

#[derive(Default)]
struct Store {
    /// The region that a replica was made from.
    homes: BTreeMap<Place, String>,
    /// Tables that cannot be deleted.
    protected: BTreeSet<Place>,
}

/// The tables that a call names.
pub(crate) fn named(input: &Value) -> Vec<String> {
    let table = input["TableName"]
        .as_str()
        .or(input["ResourceArn"].as_str());
    let mut found: Vec<String> = table.map(str::to_owned).into_iter().collect();
    let requests = input["RequestItems"].as_object().into_iter().flatten();
    found.extend(requests.map(|(name, _)| name.clone()));
    let items = input["TransactItems"].as_array().into_iter().flatten();
    let operations = items.filter_map(|item| item.as_object()?.values().next());
    found.extend(operations.filter_map(|it| it["TableName"].as_str().map(str::to_owned)));
    for name in &mut found {
        if let Some((_, plain)) = name.split_once(":table/") {
            *name = plain.to_owned();
        }
    }
    found
}

impl Replicas {
    /// The region whose table holds the items of all tables that a call names.
    pub(crate) fn home(
        &self,
        account: &str,
        region: &str,
        input: &Value,
    ) -> Result<String, AwsError> {
        let store = lock(&self.0);
        let homes: BTreeSet<&str> = named(input)
            .into_iter()
            .map(|table| {
                let place = (account.to_owned(), region.to_owned(), table);
                store.homes.get(&place).map_or(region, String::as_str)
            })
            .collect();
        let mut homes = homes.into_iter();
        match (homes.next(), homes.next()) {
            (Some(home), None) => Ok(home.to_owned()),
            (None, _) => Ok(region.to_owned()),
            _ => Err(invalid(
                "the sandbox's gateway has no calls on replicas and other tables at once",
            )),
        }
    }

    /// Adds and removes the replicas of a table, as far as `UpdateTable` asks for it.
    pub(crate) fn update(
        &self,
        account: &str,
        region: &str,
        table: &str,
        updates: &Value,
    ) -> Result<(), AwsError> {
        let mut store = lock(&self.0);
        for update in updates.as_array().into_iter().flatten() {
            let Some((kind, wanted)) = update.as_object().and_then(|it| it.iter().next()) else {
                continue;
            };
            let other = wanted["RegionName"].as_str().unwrap_or_default();
            let place = (account.to_owned(), other.to_owned(), table.to_owned());
            let there = other == region || store.homes.contains_key(&place);
            match kind.as_str() {
                "Create" if there => {
                    return Err(invalid(format!(
                        "Failed to create a the new replica of table with name: '{table}' because one or more replicas already existed as tables."
                    )));
                }
                "Create" => {
                    store.homes.insert(place, region.to_owned());
                }
                "Delete" if store.protected.contains(&place) => return Err(protected()),
                "Delete" => {
                    store
                        .homes
                        .remove(&place)
                        .ok_or_else(|| invalid(format!("{table} has no replica in {other}")))?;
                }
                _ => return Err(invalid(format!("the sandbox's gateway has no {kind}"))),
            }
        }
        Ok(())
    }

    /// Notes whether a table can be deleted, where a call says so.
    pub(crate) fn protect(&self, place: Place, asked: Option<bool>) {
        let mut store = lock(&self.0);
        match asked {
            Some(true) => drop(store.protected.insert(place)),
            Some(false) => drop(store.protected.remove(&place)),
            None => {}
        }
    }

    /// Refuses to delete a table that is protected or has replicas.
    pub(crate) fn may_delete(&self, place: &Place) -> Result<(), AwsError> {
        let store = lock(&self.0);
        if store.protected.contains(place) {
            return Err(protected());
        }
        let (account, region, table) = place;
        let of = |(owner, _, name): &Place| owner == account && name == table;
        let replicated = store
            .homes
            .iter()
            .any(|(one, home)| of(one) && home == region);
        match replicated || store.homes.contains_key(place) {
            true => Err(invalid(format!(
                "Table {table} is a replica of a global table; remove its replicas first"
            ))),
            false => Ok(()),
        }
    }

    /// Puts what DynamoDB Local does not say into the description of a table.
    pub(crate) fn describe(&self, place: &Place, table: &mut Value) {
        let store = lock(&self.0);
        table["DeletionProtectionEnabled"] = json!(store.protected.contains(place));
        let (account, region, name) = place;
        let home = store.homes.get(place).unwrap_or(region);
        let all = store.homes.iter();
        let of = all
            .filter(|((owner, _, table), from)| owner == account && table == name && *from == home);
        let mut regions: Vec<&str> = of.map(|((_, region, _), _)| region.as_str()).collect();
        if regions.is_empty() {
            return;
        }
        regions.push(home);
        let others = regions.into_iter().filter(|one| one != region);
        let listed: Vec<Value> = others
            .map(|region| json!({"RegionName": region, "ReplicaStatus": "ACTIVE"}))
            .collect();
        table["Replicas"] = json!(listed);
        table["GlobalTableVersion"] = json!("2019.11.21");
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "ValidationException", message)
}

fn protected() -> AwsError {
    invalid(
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str) -> Place {
        ("111111111111".into(), region.into(), "notes".into())
    }

    #[test]
    fn a_replica_has_the_items_of_its_home_and_keeps_it() {
        let replicas = Replicas::default();
        let call = json!({"TableName": "notes"});
        let home = |region: &str| replicas.home("111111111111", region, &call).unwrap();
        let update = |kind: &str| {
            let updates = json!([{kind: {"RegionName": "eu-west-1"}}]);
            replicas.update("111111111111", "ca-central-1", "notes", &updates)
        };
        assert_eq!(home("eu-west-1"), "eu-west-1");
        update("Create").unwrap();
        assert_eq!(home("eu-west-1"), "ca-central-1");
        assert!(update("Create").is_err());
        let mut table = json!({});
        replicas.describe(&place("eu-west-1"), &mut table);
        assert_eq!(table["Replicas"][0]["RegionName"], "ca-central-1");
        assert!(replicas.may_delete(&place("ca-central-1")).is_err());
        replicas.protect(place("eu-west-1"), Some(true));
        assert!(update("Delete").is_err());
        replicas.protect(place("eu-west-1"), Some(false));
        update("Delete").unwrap();
        replicas.may_delete(&place("ca-central-1")).unwrap();
    }

    #[test]
    fn the_tables_of_a_call_are_those_that_it_names() {
        let call = json!({
            "TransactItems": [{"Put": {"TableName": "a"}}],
            "RequestItems": {"b": []},
            "ResourceArn": "arn:aws:dynamodb:r:1:table/c",
        });
        assert_eq!(named(&call), ["c", "b", "a"]);
    }
}
