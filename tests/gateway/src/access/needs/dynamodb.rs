//! DynamoDB: tables and their partitions, item by item where a call is about several.
//! Source: Service Authorization Reference, "Amazon DynamoDB"; DynamoDB Developer Guide, "IAM policy to use transactions".

use serde_json::{Value, json};

use super::{Need, Scene};

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let input = &scene.input;
    match scene.operation() {
        "ListTables" | "DescribeEndpoints" | "DescribeLimits" => Some(vec![scene.same("*")]),
        "TransactWriteItems" | "TransactGetItems" => {
            let items = input["TransactItems"].as_array().into_iter().flatten();
            items.map(|item| transacted(scene, item)).collect()
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = input["RequestItems"].as_object().into_iter().flatten();
            let batched = tables.map(|(table, asked)| batched(scene, table, asked));
            Some(batched.collect())
        }
        "TagResource" | "UntagResource" | "ListTagsOfResource" => {
            Some(vec![scene.same(table(scene, scene.text("ResourceArn")?))])
        }
        "CreateTable" => {
            let table = table(scene, scene.text("TableName")?);
            let mut needs = vec![scene.same(&table)];
            if scene.has_tags() {
                needs.push(scene.need("TagResource", table));
            }
            Some(needs)
        }
        "Query" | "Scan" => {
            let table = table(scene, scene.text("TableName")?);
            let resource = match scene.text("IndexName") {
                Some(index) => format!("{table}/index/{index}"),
                None => table,
            };
            Some(vec![leading(scene, scene.same(resource), input)])
        }
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => {
            let table = table(scene, scene.text("TableName")?);
            Some(vec![leading(scene, scene.same(table), input)])
        }
        "UpdateTable" => {
            let name = scene.text("TableName")?;
            let mut needs = vec![scene.same(table(scene, name))];
            needs.extend(replicated(scene, name));
            Some(needs)
        }
        "DescribeTable"
        | "DeleteTable"
        | "UpdateTimeToLive"
        | "DescribeTimeToLive"
        | "DescribeContinuousBackups"
        | "UpdateContinuousBackups" => {
            Some(vec![scene.same(table(scene, scene.text("TableName")?))])
        }
        _ => None,
    }
}

/// A table by its name or ARN.
fn table(scene: &Scene<'_>, named: &str) -> String {
    match named.starts_with("arn:") {
        true => named.to_owned(),
        false => scene.arn(&format!("table/{named}")),
    }
}

/// A replica is made and removed by permissions on the table and on the replica.
fn replicated(scene: &Scene<'_>, name: &str) -> Vec<Need> {
    let updates = scene.input["ReplicaUpdates"].as_array();
    let mut needs = Vec::new();
    for update in updates.into_iter().flatten() {
        for (kind, wanted) in update.as_object().into_iter().flatten() {
            let action = format!("{kind}TableReplica");
            let region = wanted["RegionName"].as_str().unwrap_or_default();
            let account = scene.account;
            needs.push(scene.need(&action, table(scene, name)));
            let there = format!("arn:aws:dynamodb:{region}:{account}:table/{name}");
            needs.push(scene.need(&action, there));
        }
    }
    needs
}

/// The partitions that one operation names.
fn leading(scene: &Scene<'_>, need: Need, operation: &Value) -> Need {
    let mut operation = operation.clone();
    if let Some((_, name)) = operation["TableName"]
        .as_str()
        .and_then(|name| name.split_once(":table/"))
    {
        operation["TableName"] = json!(name);
    }
    let found = scene
        .tables
        .leading(scene.account, &scene.call.region, &operation);
    need.with("dynamodb:LeadingKeys", found)
}

/// A transaction needs the permission of each of its operations.
fn transacted(scene: &Scene<'_>, item: &Value) -> Option<Need> {
    let (kind, operation) = item.as_object()?.iter().next()?;
    let action = match kind.as_str() {
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        "Delete" => "DeleteItem",
        "ConditionCheck" => "ConditionCheckItem",
        "Get" => "GetItem",
        _ => return None,
    };
    let table = table(scene, operation["TableName"].as_str()?);
    Some(leading(scene, scene.need(action, table), operation))
}

fn batched(scene: &Scene<'_>, name: &str, asked: &Value) -> Need {
    let keys = asked["Keys"].as_array().into_iter().flatten();
    let mut operations: Vec<Value> = keys.map(|key| json!({"Key": key})).collect();
    let requests = asked.as_array().into_iter().flatten();
    operations.extend(
        requests
            .filter_map(Value::as_object)
            .flat_map(|request| request.values().cloned()),
    );
    let mut need = scene.same(table(scene, name));
    let mut found = Vec::new();
    for mut operation in operations {
        operation["TableName"] = json!(name);
        found.extend(leading(scene, scene.same(""), &operation).keys);
    }
    let mut found: Vec<String> = found.into_iter().flat_map(|(_, values)| values).collect();
    found.sort();
    found.dedup();
    need = need.with("dynamodb:LeadingKeys", found);
    need
}
