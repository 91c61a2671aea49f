//! The chains that a demo leaves in the ledger: what production's permit is for, and what proves each record.

use std::collections::BTreeSet;

use sandbox::demo::Ran;
use sandbox::instance::port;
use sandbox::runner::hub::Hub;
use sandbox::runner::ledger::verify;
use sandbox::world::{World, http_client};
use serde_json::{Value, json};

use crate::support::instance;

/// The records of an environment's chain, oldest first, each with its hash.
pub(crate) async fn records(world: &World, environment: &str) -> Vec<(Value, String)> {
    let build = world.administrator(instance(), &world.build).await.unwrap();
    let query = json!({
        "TableName": World::LEDGER, "KeyConditionExpression": "chain = :chain",
        "ExpressionAttributeValues": {":chain": {"S": format!("{}#{environment}", world.service)}},
    });
    let answer = build.json("dynamodb", "DynamoDB_20120810.Query", &query);
    let answer = answer.await.unwrap().unwrap();
    let items = answer["Items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let text = |name: &str| item[name]["S"].as_str().unwrap();
            let record = serde_json::from_str(text("record")).unwrap();
            (record, text("hash").to_owned())
        })
        .collect()
}

/// The deployments on GitHub of an environment, each with its newest state.
pub(crate) async fn mirrors(world: &World, environment: &str) -> Vec<(Value, String)> {
    let hub = Hub::new(instance(), &world.repository).unwrap();
    let token = hub.token("ada").await.unwrap();
    let get = async |path: &str| -> Vec<Value> {
        let url = format!(
            "{}/repos/{}/deployments{path}",
            instance().url(port::GITHUB),
            world.repository
        );
        let asked = http_client().unwrap().get(url).bearer_auth(&token);
        let answer = asked.header("user-agent", "e2e").send().await.unwrap();
        answer.json().await.unwrap()
    };
    let mut found = Vec::new();
    for deployment in get(&format!("?environment={environment}")).await {
        let statuses = get(&format!("/{}/statuses", deployment["id"])).await;
        let state = statuses[0]["state"].as_str().unwrap().to_owned();
        found.push((deployment, state));
    }
    found
}

/// The newest state of the one mirror of the record with this hash, which must say what the record says.
pub(crate) fn state_of<'m>(mirrors: &'m [(Value, String)], record: &Value, hash: &str) -> &'m str {
    let found: Vec<&(Value, String)> = mirrors
        .iter()
        .filter(|(mirror, _)| mirror["payload"]["hash"] == hash)
        .collect();
    let [(mirror, state)] = found.as_slice() else {
        panic!("{record} has {found:?}");
    };
    assert_eq!(mirror["sha"], record["commit"], "{mirror}");
    assert_eq!(mirror["payload"]["digest"], record["digest"], "{mirror}");
    state
}

/// Production's first permit is for a range of three pull requests that two people approved.
pub(crate) async fn production_took_a_range(world: &World) {
    let records = records(world, "production").await;
    let permitted = records
        .iter()
        .find(|(record, _)| record["verdict"] == "permitted");
    let permit = &permitted.unwrap().0["permit"];
    assert_eq!(permit["pulls"].as_array().unwrap().len(), 3, "{permit}");
    let approvers = permit["approvers"].as_array().unwrap().iter();
    let approvers: BTreeSet<&str> = approvers.filter_map(|it| it["login"].as_str()).collect();
    assert_eq!(approvers, BTreeSet::from(["grace", "linus"]), "{permit}");
}

/// Every record is signed and anchored from the first on, and every permit follows from what was kept of its decision.
pub(crate) async fn all_are_sound(ran: &Ran) {
    let (_, folder) = ran.shipped.runs.last().unwrap();
    let folder = folder.join("repository");
    for environment in &ran.world.environments {
        let found = verify(instance(), &ran.world, &folder, &environment.name);
        let found = found.await.unwrap();
        let name = &environment.name;
        assert_eq!(found["sound"], true, "{name}: {found}");
        assert_eq!(found["signatures"]["from"], 1, "{name}: {found}");
        assert_eq!(found["anchor"]["from"], 1, "{name}: {found}");
        let anchored = &found["anchor"]["compared"];
        assert_eq!(*anchored, found["records"], "{name}: {found}");
        let decisions = &found["decisions"];
        let permits = records(&ran.world, name).await;
        let permits = permits
            .iter()
            .filter(|(record, _)| record["verdict"] == "permitted");
        assert_eq!(decisions["permits"], permits.count(), "{name}: {found}");
        assert_eq!(
            decisions["followed"], decisions["permits"],
            "{name}: {found}"
        );
        assert_eq!(decisions["left"], json!([]), "{name}: {found}");
    }
}
