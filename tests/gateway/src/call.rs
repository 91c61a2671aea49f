//! One AWS call as it arrived: which service, which operation, on what.

use axum::body::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::error::Protocol;
use crate::sigv4::Signed;
use crate::text::{pairs, percent_decode, value};

/// A request taken apart. Path and query are as on the wire.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// Empty for S3, whose bodies stream.
    pub(crate) body: Bytes,
    pub(crate) signed: Option<Signed>,
    pub(crate) service: String,
    pub(crate) region: String,
    pub(crate) operation: String,
    pub(crate) protocol: Protocol,
    /// Table, bucket and key, parameter, repository…: what the operation is about, as far as it says.
    pub(crate) resource: Option<String>,
    pub(crate) request_id: String,
    /// The whole input of a call whose operation is named by its method and path.
    pub(crate) input: Option<Value>,
    /// The service that makes the call with its caller's permissions.
    pub(crate) via: Option<&'static str>,
}

impl Call {
    /// Reads service, operation and resource. A call that is not signed can only be one STS takes without.
    pub(crate) fn read(
        method: Method,
        path: String,
        query: String,
        headers: HeaderMap,
        body: Bytes,
        signed: Option<Signed>,
    ) -> Self {
        let mut call = Self {
            method,
            path,
            query,
            headers,
            body,
            signed,
            service: String::new(),
            region: String::new(),
            operation: String::new(),
            protocol: Protocol::RestJson,
            resource: None,
            request_id: uuid::Uuid::new_v4().to_string(),
            input: None,
            via: None,
        };
        let target = call.header("x-amz-target").map(str::to_owned);
        let form = call.form();
        let action = value(&form, "Action").map(str::to_owned);
        if let Some(signed) = &call.signed {
            call.service.clone_from(&signed.service);
            call.region.clone_from(&signed.region);
        } else if action.as_deref() == Some("AssumeRoleWithWebIdentity") {
            call.service = "sts".to_owned();
            call.region = "us-east-1".to_owned();
        } else if target.is_none() && action.is_none() {
            call.service = "s3".to_owned();
        }
        if call.service == "s3" {
            call.protocol = Protocol::S3;
            call.move_bucket_into_path();
            call.operation = crate::s3_operation::operation(&call.method, &call.path, &call.query);
            call.resource = Some(percent_decode(call.path.trim_start_matches('/')))
                .filter(|name| !name.is_empty());
        } else if let Some(target) = target {
            call.protocol = Protocol::Json;
            call.operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            call.resource = json_resource(&call.json());
        } else if let Some(action) = action {
            call.protocol = if call.service == "ec2" {
                Protocol::Ec2
            } else {
                Protocol::Query
            };
            call.operation = action;
            call.resource = form_resource(&form);
        } else {
            call.operation = format!("{} {}", call.method, call.path);
            call.read_route();
        }
        call
    }

    /// Reads the operation of Lambda's or of API Gateway's from method and path, and its input from path, query and body.
    fn read_route(&mut self) {
        if self.service == "apigateway" {
            let found = standin_lambda::api_route(&self.method, &self.path, &self.body);
            if let Some((operation, input)) = found {
                self.operation = operation;
                self.resource = input["ApiId"].as_str().map(str::to_owned);
                self.input = Some(input);
            }
            return;
        }
        if self.service != "lambda" {
            return;
        }
        let found = standin_lambda::route(&self.method, &self.path, &self.query, &self.body);
        let Some((operation, input)) = found else {
            return;
        };
        operation.clone_into(&mut self.operation);
        let named = input["FunctionName"]
            .as_str()
            .or(input["Resource"].as_str());
        self.resource = named.map(str::to_owned);
        self.input = Some(input);
    }

    /// A call that a service makes for its caller. Nobody checks its signature, which no client could send.
    pub(crate) fn from_service(
        call: standin_cloudformation::ServiceCall,
        via: Option<&'static str>,
    ) -> Self {
        let mut headers = call.headers;
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=ASIAGATEWAY/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=0",
            call.region, call.service
        );
        headers.insert(http::header::CONTENT_LENGTH, call.body.len().into());
        if let Ok(scope) = scope.parse() {
            headers.insert(http::header::AUTHORIZATION, scope);
        }
        let signed = crate::sigv4::read(&headers, &call.query);
        // S3's bodies stream.
        let body = match call.service {
            "s3" => Bytes::new(),
            _ => call.body,
        };
        let mut read = Self::read(call.method, call.path, call.query, headers, body, signed);
        read.via = via;
        read
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The parameters of an awsQuery call, from body and query string.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        let mut form = pairs(&self.query, true);
        if self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
        {
            form.extend(pairs(&String::from_utf8_lossy(&self.body), true));
        }
        form
    }

    /// The input of a JSON call, or of one that its method and path name; null where it is none.
    pub(crate) fn json(&self) -> Value {
        if let Some(input) = &self.input {
            return input.clone();
        }
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Path and query, as to be sent on.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// Takes the conditions off a write of DynamoDB or S3.
    pub(crate) fn take_off_conditions(&mut self) {
        self.headers.remove(http::header::IF_MATCH);
        self.headers.remove(http::header::IF_NONE_MATCH);
        if let Value::Object(mut input) = self.json() {
            // DynamoDB refuses names and values that no expression uses.
            for part in [
                "ConditionExpression",
                "ExpressionAttributeNames",
                "ExpressionAttributeValues",
            ] {
                input.remove(part);
            }
            self.body = Value::Object(input).to_string().into();
        }
    }

    /// `BUCKET.s3.anything` in Host becomes the path style, which is what the part behind understands on one address.
    fn move_bucket_into_path(&mut self) {
        let bucket = self.header("host").and_then(|host| {
            let (bucket, rest) = host.split_once(".s3")?;
            (rest.starts_with(['.', '-']) && !bucket.is_empty()).then(|| bucket.to_owned())
        });
        if let Some(bucket) = bucket {
            self.path = format!("/{bucket}{}", self.path);
        }
    }
}

fn json_resource(input: &Value) -> Option<String> {
    const KEYS: [&str; 24] = [
        "TableName",
        "SecretId",
        "repositoryName",
        "Name",
        "Names",
        "Path",
        "service",
        "services",
        "taskDefinition",
        "family",
        "cluster",
        "repositoryNames",
        "SecretIdList",
        "logGroupName",
        "projectName",
        "name",
        "KeyId",
        "TopicArn",
        "QueueUrl",
        "ResourceArn",
        "resourceArn",
        "StackName",
        "tasks",
        "ResourceId",
    ];
    let maps = |key: &str| {
        input[key]
            .as_object()
            .map(|tables| tables.keys().cloned().collect::<Vec<_>>().join(","))
    };
    let transaction = || {
        let mut tables: Vec<&str> = input["TransactItems"]
            .as_array()?
            .iter()
            .filter_map(|item| item.as_object()?.values().next()?["TableName"].as_str())
            .collect();
        tables.dedup();
        Some(tables.join(","))
    };
    maps("RequestItems").or_else(transaction).or_else(|| {
        KEYS.iter().find_map(|key| match input.get(*key)? {
            Value::String(text) => Some(text.clone()),
            list @ Value::Array(_) => Some(crate::text::strings(list).join(",")),
            _ => None,
        })
    })
}

fn form_resource(form: &[(String, String)]) -> Option<String> {
    [
        "RoleArn",
        "RoleName",
        "UserName",
        "GroupName",
        "PolicyArn",
        "StackName",
        "TopicArn",
        "QueueUrl",
        "LoadBalancerArn",
        "TargetGroupArn",
    ]
    .iter()
    .find_map(|key| value(form, key))
    .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        method: Method,
        host: &str,
        path: &str,
        query: &str,
        target: Option<&str>,
        body: &'static str,
    ) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        let service = if target.is_some() { "dynamodb" } else { "s3" };
        headers.insert(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential=AK/20260101/ca-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0").parse().unwrap(),
        );
        if let Some(target) = target {
            headers.insert("x-amz-target", target.parse().unwrap());
        }
        let signed = crate::sigv4::read(&headers, query);
        Call::read(
            method,
            path.to_owned(),
            query.to_owned(),
            headers,
            Bytes::from(body),
            signed,
        )
    }

    #[test]
    fn a_virtual_hosts_bucket_moves_into_the_path() {
        let call = read(
            Method::GET,
            "state.s3.ca-central-1.amazonaws.com",
            "/dev/a",
            "",
            None,
            "",
        );
        assert_eq!(
            (call.path.as_str(), call.operation.as_str()),
            ("/state/dev/a", "GetObject")
        );
        let call = read(Method::GET, "127.0.0.1:4000", "/state/dev/a", "", None, "");
        assert_eq!(call.path, "/state/dev/a");
    }

    #[test]
    fn json_calls_name_operation_and_tables() {
        let call = read(
            Method::POST,
            "h",
            "/",
            "",
            Some("DynamoDB_20120810.TransactWriteItems"),
            r#"{"TransactItems":[{"Put":{"TableName":"ledger"}},{"ConditionCheck":{"TableName":"locks"}}]}"#,
        );
        assert_eq!(
            (call.operation.as_str(), call.resource.as_deref()),
            ("TransactWriteItems", Some("ledger,locks"))
        );
        assert_eq!(call.region, "ca-central-1");
    }

    #[test]
    fn a_write_can_lose_its_conditions_and_nothing_else() {
        let mut call = read(
            Method::POST,
            "h",
            "/",
            "",
            Some("DynamoDB_20120810.PutItem"),
            r#"{"TableName":"t","Item":{"k":{"S":"v"}},"ConditionExpression":"Rvn = :r","ExpressionAttributeValues":{":r":{"S":"1"}}}"#,
        );
        call.take_off_conditions();
        let wanted = serde_json::json!({"TableName": "t", "Item": {"k": {"S": "v"}}});
        assert_eq!(call.json(), wanted);
        let mut call = read(Method::PUT, "h", "/b/k", "", None, "");
        call.headers.insert("if-none-match", "*".parse().unwrap());
        call.headers
            .insert("content-type", "text/plain".parse().unwrap());
        call.take_off_conditions();
        assert_eq!(call.header("if-none-match"), None);
        assert_eq!(call.header("content-type"), Some("text/plain"));
    }
}
