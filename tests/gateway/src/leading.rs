//! The items of a table that a call is about, as the condition key `dynamodb:LeadingKeys` has it: the values of the partition
//! key (Service Authorization Reference, "Condition keys for Amazon DynamoDB").

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use serde_json::Value;

use crate::lock;

/// The partition key of each table that was made, by account, region and table.
#[derive(Default)]
pub(crate) struct Tables(Mutex<HashMap<[String; 3], String>>);

impl Tables {
    /// Learns the key of a table from the call that made it.
    pub(crate) fn learn(&self, account: &str, region: &str, input: &Value) {
        let part = input["KeySchema"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|part| part["KeyType"] == "HASH");
        if let (Some(table), Some(key)) = (
            input["TableName"].as_str(),
            part.and_then(|part| part["AttributeName"].as_str()),
        ) {
            let table_key = [account, region, table].map(str::to_owned);
            lock(&self.0).insert(table_key, key.to_owned());
        }
    }

    /// The values a call names, each once.
    pub(crate) fn leading(&self, account: &str, region: &str, input: &Value) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut add = |operation: &Value| {
            let table = operation["TableName"].as_str().unwrap_or_default();
            let table_key = [account, region, table].map(str::to_owned);
            if let Some(key) = lock(&self.0).get(&table_key) {
                found.extend(value(operation, key));
            }
        };
        add(input);
        let items = input["TransactItems"].as_array().into_iter().flatten();
        for operation in items
            .filter_map(Value::as_object)
            .flat_map(|item| item.values())
        {
            add(operation);
        }
        found.into_iter().collect()
    }
}

fn value(operation: &Value, key: &str) -> Option<String> {
    let text = |value: &Value| value["S"].as_str().map(str::to_owned);
    ["Item", "Key"]
        .iter()
        .find_map(|part| text(&operation[*part][key]))
        .or_else(|| {
            // A query names its partition by an equality; the sort key may have another one beside it.
            let expression = operation["KeyConditionExpression"].as_str()?;
            expression.split(" AND ").find_map(|part| {
                let (name, placeholder) = part.split_once('=')?;
                let name = name.trim();
                let named = operation["ExpressionAttributeNames"][name]
                    .as_str()
                    .unwrap_or(name);
                let values = &operation["ExpressionAttributeValues"];
                (named == key)
                    .then(|| text(&values[placeholder.trim()]))
                    .flatten()
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_call_says_which_partition_it_is_about() {
        let tables = Tables::default();
        let schema = json!([{"AttributeName": "seq", "KeyType": "RANGE"}, {"AttributeName": "chain", "KeyType": "HASH"}]);
        tables.learn(
            "1",
            "eu-west-1",
            &json!({"TableName": "ledger", "KeySchema": schema}),
        );
        let item = json!({"chain": {"S": "a"}, "seq": {"N": "1"}, "other": {"S": "x"}});
        let query = json!({
            "TableName": "ledger", "KeyConditionExpression": "#seq > :seq AND #chain = :chain",
            "ExpressionAttributeNames": {"#chain": "chain", "#seq": "seq"},
            "ExpressionAttributeValues": {":chain": {"S": "a"}, ":seq": {"N": "1"}},
        });
        let transaction = json!({"TransactItems": [
            {"ConditionCheck": {"TableName": "ledger", "Key": {"chain": {"S": "a"}}}},
            {"Put": {"TableName": "ledger", "Item": {"chain": {"S": "b"}}}},
        ]});
        for (input, wanted) in [
            (json!({"TableName": "ledger", "Item": item}), vec!["a"]),
            (json!({"TableName": "ledger", "Key": item}), vec!["a"]),
            (query, vec!["a"]),
            (transaction, vec!["a", "b"]),
            (json!({"TableName": "ledger"}), vec![]),
            (json!({"TableName": "unknown", "Item": item}), vec![]),
        ] {
            assert_eq!(tables.leading("1", "eu-west-1", &input), wanted, "{input}");
        }
        assert!(
            tables
                .leading(
                    "2",
                    "eu-west-1",
                    &json!({"TableName": "ledger", "Item": item})
                )
                .is_empty()
        );
    }
}
