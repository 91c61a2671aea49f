//! DynamoDB Local with accounts and regions kept apart: it has one database for all, so every table's name
//! carries `ACCOUNT.REGION.` on its side, put on in requests and taken off in answers.

use axum::body::Bytes;
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Content};
use crate::call::Call;
use crate::error::AwsError;
use crate::identity::Principal;
use crate::moto::{error_code, forwarded, returned};
use crate::replicas::Place;
use crate::{DynamoDb, Gateway};

/// The prefix of table ARNs in DynamoDB Local.
const LOCAL: &str = "arn:aws:dynamodb:ddblocal:000000000000:table/";

/// Members of `CreateTable` and `UpdateTable` that DynamoDB Local does not have.
const OWN: [&str; 3] = [
    "DeletionProtectionEnabled",
    "ReplicaUpdates",
    "SSESpecification",
];

struct Scope {
    prefix: String,
    /// `arn:aws:dynamodb:REGION:ACCOUNT:table/`.
    arn: String,
}

/// Answers one DynamoDB call.
pub(crate) async fn handle(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
) -> Result<Answer, AwsError> {
    let statements = matches!(
        call.operation.as_str(),
        "ExecuteStatement" | "BatchExecuteStatement" | "ExecuteTransaction"
    );
    let streams = call
        .header("x-amz-target")
        .is_some_and(|target| target.starts_with("DynamoDBStreams"));
    if statements || streams {
        return Err(AwsError::unimplemented(
            call.protocol,
            "dynamodb",
            &call.operation,
            "gateway",
        ));
    }
    let mut input: Value = serde_json::from_slice(&call.body).map_err(|_| {
        AwsError::new(
            400,
            "SerializationException",
            "The request body is not JSON",
        )
    })?;
    let (account, region) = (&principal.account, &call.region);
    let home = gateway.replicas.home(account, region, &input)?;
    let scope = Scope {
        prefix: format!("{account}.{home}."),
        arn: format!("arn:aws:dynamodb:{region}:{account}:table/"),
    };
    if call.operation == "ListTables" {
        return list(gateway, call, &scope, &input).await;
    }
    if call.operation == "CreateTable" {
        gateway
            .tables
            .learn(&principal.account, &call.region, &input);
    }
    let name = crate::replicas::named(&input).into_iter().next();
    let place = (account.clone(), region.clone(), name.unwrap_or_default());
    managed(gateway, call, &place, &mut input)?;
    scope.put_on(&mut input)?;
    if matches!(
        call.operation.as_str(),
        "DescribeContinuousBackups" | "UpdateContinuousBackups"
    ) {
        let name = json!({"TableName": input["TableName"]});
        let table = send(gateway, call, "DescribeTable", &name).await?;
        // Each replica has recovery of its own.
        input["TableName"] = json!(format!("{account}.{region}.{}", place.2));
        return crate::backups::answer(&gateway.backups, &call.operation, &input, &table);
    }
    // DynamoDB Local refuses an update of nothing.
    let nothing =
        call.operation == "UpdateTable" && input.as_object().is_some_and(|it| it.len() == 1);
    let operation = match nothing {
        true => "DescribeTable",
        false => &call.operation,
    };
    let mut answer = send(gateway, call, operation, &input).await?;
    if let Content::Whole(bytes) = &answer.body
        && let Ok(mut output) = serde_json::from_slice::<Value>(bytes)
    {
        scope.take_off(&mut output);
        if nothing && let Some(table) = output.as_object_mut().and_then(|it| it.remove("Table")) {
            output["TableDescription"] = table;
        }
        for described in ["Table", "TableDescription"] {
            if output[described].is_object() {
                gateway.replicas.describe(&place, &mut output[described]);
            }
        }
        set_body(&mut answer, &output);
    }
    Ok(answer)
}

/// What a call says of replicas, encryption and protection against deletion is the gateway's own matter.
fn managed(
    gateway: &Gateway,
    call: &Call,
    place: &Place,
    input: &mut Value,
) -> Result<(), AwsError> {
    let (account, region, table) = place;
    match call.operation.as_str() {
        "DeleteTable" => gateway.replicas.may_delete(place)?,
        "CreateTable" | "UpdateTable" => {
            gateway
                .replicas
                .update(account, region, table, &input["ReplicaUpdates"])?;
            let protected = input["DeletionProtectionEnabled"].as_bool();
            gateway.replicas.protect(place.clone(), protected);
            if let Some(members) = input.as_object_mut() {
                for name in OWN {
                    members.remove(name);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

async fn send(
    gateway: &Gateway,
    call: &Call,
    operation: &str,
    input: &Value,
) -> Result<Answer, AwsError> {
    let base = match &gateway.config.dynamodb {
        DynamoDb::Address(url) => url.as_str(),
        DynamoDb::Socket(_) => "http://dynamodb",
    };
    let mut headers = forwarded(&call.headers);
    headers.remove(header::CONTENT_LENGTH);
    let target = format!("DynamoDB_20120810.{operation}");
    if let Ok(target) = HeaderValue::from_str(&target) {
        headers.insert("x-amz-target", target);
    }
    let failed = |cause: reqwest::Error| AwsError::upstream("DynamoDB Local", cause);
    let answer = gateway
        .dynamodb
        .post(format!("{base}/"))
        .headers(headers)
        .body(input.to_string())
        .send()
        .await
        .map_err(failed)?;
    let (status, headers) = (answer.status(), returned(answer.headers()));
    let body = answer.bytes().await.map_err(failed)?;
    let error = (!status.is_success()).then(|| error_code(&body)).flatten();
    Ok(Answer {
        status,
        headers,
        body: body.into(),
        error,
    })
}

/// `ListTables` over all tables, of which the account's are shown; paged here, since pages of all are not pages of its own.
async fn list(
    gateway: &Gateway,
    call: &Call,
    scope: &Scope,
    input: &Value,
) -> Result<Answer, AwsError> {
    let mut names: Vec<String> = Vec::new();
    let mut start: Option<String> = None;
    let mut answer = loop {
        let mut page = json!({});
        if let Some(start) = &start {
            page["ExclusiveStartTableName"] = json!(start);
        }
        let answer = send(gateway, call, &call.operation, &page).await?;
        let output: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
        names.extend(
            output["TableNames"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter_map(|name| name.strip_prefix(&scope.prefix).map(str::to_owned)),
        );
        start = output["LastEvaluatedTableName"].as_str().map(str::to_owned);
        if start.is_none() {
            break answer;
        }
    };
    if answer.status.is_success() {
        names.sort();
        if let Some(after) = input["ExclusiveStartTableName"].as_str() {
            names.retain(|name| name.as_str() > after);
        }
        let limit = input["Limit"]
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(100)
            .min(100);
        let more = names.len() > limit;
        names.truncate(limit);
        let mut output = json!({"TableNames": names});
        if more {
            output["LastEvaluatedTableName"] = json!(names.last());
        }
        set_body(&mut answer, &output);
    }
    Ok(answer)
}

impl Scope {
    fn table(&self, name: &str) -> Result<String, AwsError> {
        match name.strip_prefix("arn:") {
            None => Ok(format!("{}{name}", self.prefix)),
            Some(_) => match name.strip_prefix(&self.arn) {
                Some(own) => Ok(format!("{}{own}", self.prefix)),
                None => Err(AwsError::new(
                    400,
                    "AccessDeniedException",
                    format!(
                        "no resource-based policy allows access to {name} from outside its account and region"
                    ),
                )),
            },
        }
    }

    fn put_on(&self, input: &mut Value) -> Result<(), AwsError> {
        if let Some(Value::String(name)) = input.get_mut("TableName") {
            *name = self.table(name)?;
        }
        if let Some(Value::String(arn)) = input.get_mut("ResourceArn") {
            *arn = format!("{LOCAL}{}", self.table(arn)?);
        }
        if let Some(Value::Object(tables)) = input.get_mut("RequestItems") {
            let renamed: Result<Map<String, Value>, AwsError> = std::mem::take(tables)
                .into_iter()
                .map(|(name, value)| Ok((self.table(&name)?, value)))
                .collect();
            *tables = renamed?;
        }
        if let Some(Value::Array(items)) = input.get_mut("TransactItems") {
            for operation in items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .flat_map(Map::values_mut)
            {
                if let Some(Value::String(name)) = operation.get_mut("TableName") {
                    *name = self.table(name)?;
                }
            }
        }
        Ok(())
    }

    /// Touches only what DynamoDB itself says about tables, never an item's own values.
    fn take_off(&self, output: &mut Value) {
        let Value::Object(fields) = output else {
            return;
        };
        for (name, value) in fields {
            match name.as_str() {
                "Table" | "TableDescription" | "ConsumedCapacity" => self.described(value),
                "Responses" | "UnprocessedKeys" | "UnprocessedItems" | "ItemCollectionMetrics" => {
                    if let Value::Object(tables) = value {
                        *tables = std::mem::take(tables)
                            .into_iter()
                            .map(|(name, value)| {
                                (
                                    name.strip_prefix(&self.prefix)
                                        .map_or(name.clone(), str::to_owned),
                                    value,
                                )
                            })
                            .collect();
                    }
                }
                "message" | "Message" => {
                    if let Value::String(text) = value {
                        *text = text.replace(&self.prefix, "");
                    }
                }
                _ => {}
            }
        }
    }

    fn described(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(rest) = text.strip_prefix(LOCAL) {
                    *text = format!(
                        "{}{}",
                        self.arn,
                        rest.strip_prefix(&self.prefix).unwrap_or(rest)
                    );
                } else if let Some(name) = text.strip_prefix(&self.prefix) {
                    *text = name.to_owned();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.described(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.described(value)),
            _ => {}
        }
    }
}

/// Replaces the body and its checksum, which SDKs compare.
fn set_body(answer: &mut Answer, output: &Value) {
    let bytes = Bytes::from(output.to_string());
    answer.headers.remove(header::CONTENT_LENGTH);
    answer
        .headers
        .insert("x-amz-crc32", HeaderValue::from(crc32(&bytes)));
    answer.body = bytes.into();
}

/// CRC-32 as zlib computes it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 {
                (sum >> 1) ^ 0xEDB8_8320
            } else {
                sum >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            prefix: "111122223333.ca-central-1.".into(),
            arn: "arn:aws:dynamodb:ca-central-1:111122223333:table/".into(),
        }
    }

    #[test]
    fn every_place_of_a_table_name_gets_the_prefix() {
        let mut input = json!({
            "TableName": "t",
            "RequestItems": {"a": [{"PutRequest": {"Item": {"TableName": {"S": "kept"}}}}]},
            "TransactItems": [{"Put": {"TableName": "b", "Item": {}}}, {"ConditionCheck": {"TableName": "c"}}],
            "ResourceArn": "arn:aws:dynamodb:ca-central-1:111122223333:table/t",
        });
        scope().put_on(&mut input).unwrap();
        assert_eq!(
            input,
            json!({
                "TableName": "111122223333.ca-central-1.t",
                "RequestItems": {"111122223333.ca-central-1.a": [{"PutRequest": {"Item": {"TableName": {"S": "kept"}}}}]},
                "TransactItems": [
                    {"Put": {"TableName": "111122223333.ca-central-1.b", "Item": {}}},
                    {"ConditionCheck": {"TableName": "111122223333.ca-central-1.c"}}],
                "ResourceArn": "arn:aws:dynamodb:ddblocal:000000000000:table/111122223333.ca-central-1.t",
            })
        );
    }

    #[test]
    fn another_accounts_table_is_denied() {
        let mut input = json!({"TableName": "arn:aws:dynamodb:ca-central-1:999900001111:table/t"});
        assert_eq!(
            scope().put_on(&mut input).unwrap_err().code,
            "AccessDeniedException"
        );
    }

    #[test]
    fn answers_lose_the_prefix_and_items_are_left_alone() {
        let mut output = json!({
            "Item": {"TableName": {"S": "111122223333.ca-central-1.t"}},
            "Table": {"TableName": "111122223333.ca-central-1.t", "TableArn": "arn:aws:dynamodb:ddblocal:000000000000:table/111122223333.ca-central-1.t"},
            "Responses": {"111122223333.ca-central-1.t": [{"v": {"S": "111122223333.ca-central-1.t"}}]},
            "ConsumedCapacity": [{"TableName": "111122223333.ca-central-1.t", "CapacityUnits": 1.0}],
            "message": "Table not found: 111122223333.ca-central-1.t",
        });
        scope().take_off(&mut output);
        assert_eq!(
            output,
            json!({
                "Item": {"TableName": {"S": "111122223333.ca-central-1.t"}},
                "Table": {"TableName": "t", "TableArn": "arn:aws:dynamodb:ca-central-1:111122223333:table/t"},
                "Responses": {"t": [{"v": {"S": "111122223333.ca-central-1.t"}}]},
                "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 1.0}],
                "message": "Table not found: t",
            })
        );
    }

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
