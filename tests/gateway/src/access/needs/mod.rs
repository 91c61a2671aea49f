//! The permissions that a call needs: the actions, with their resources and condition keys. A call that is not listed here
//! is refused, for nobody knows what would permit it.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS services".

mod apigateway;
mod cloudformation;
mod dynamodb;
mod ecr;
mod ecs;
mod lambda;
mod network;
mod others;
mod s3;

use serde_json::Value;

pub(crate) use s3::list;

use crate::Gateway;
use crate::buckets::Buckets;
use crate::call::Call;
use crate::identity::Principal;
use crate::leading::Tables;
use crate::text::strings;

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// `SERVICE:Action`.
    pub(crate) action: String,
    /// The ARN, or `*`.
    pub(crate) resource: String,
    /// The account the resource belongs to.
    pub(crate) owner: String,
    /// Condition keys of the service, with their values.
    pub(crate) keys: Vec<(String, Vec<String>)>,
}

impl Need {
    fn with(mut self, key: &str, values: Vec<String>) -> Self {
        if !values.is_empty() {
            self.keys.push((key.to_owned(), values));
        }
        self
    }
}

/// A call, read as far as its permissions ask for it.
pub(crate) struct Scene<'a> {
    tables: &'a Tables,
    buckets: &'a Buckets,
    call: &'a Call,
    account: &'a str,
    /// The ARN of the stack that a call to CloudFormation is about.
    stack: Option<String>,
    input: Value,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(gateway: &'a Gateway, call: &'a Call, principal: &'a Principal) -> Self {
        Self {
            tables: &gateway.tables,
            buckets: &gateway.buckets,
            call,
            account: &principal.account,
            stack: cloudformation::stack(gateway, call, &principal.account),
            input: call.json(),
        }
    }

    /// Everything the call needs; `None` where that is not known.
    pub(crate) fn needs(&self) -> Option<Vec<Need>> {
        match self.call.service.as_str() {
            "apigateway" => apigateway::needs(self),
            "cloudformation" => cloudformation::needs(self),
            "s3" => s3::needs(self),
            "dynamodb" => dynamodb::needs(self),
            "ecr" => ecr::needs(self),
            "ecs" => ecs::needs(self),
            "lambda" => lambda::needs(self),
            "acm" | "ec2" | "route53" => network::needs(self),
            _ => others::needs(self),
        }
    }

    fn operation(&self) -> &'a str {
        &self.call.operation
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.input[member].as_str()
    }

    fn texts(&self, member: &str) -> Vec<String> {
        match &self.input[member] {
            Value::Null => Vec::new(),
            listed => strings(listed),
        }
    }

    /// The ARN of something of the caller's in the call's service and region.
    fn arn(&self, resource: &str) -> String {
        let Call {
            service, region, ..
        } = self.call;
        format!("arn:aws:{service}:{region}:{}:{resource}", self.account)
    }

    /// An action of the call's service on something of the caller's.
    fn need(&self, action: &str, resource: impl Into<String>) -> Need {
        Need {
            action: format!("{}:{action}", self.call.service),
            resource: resource.into(),
            owner: self.account.to_owned(),
            keys: Vec::new(),
        }
    }

    /// The action that has the operation's name.
    fn same(&self, resource: impl Into<String>) -> Need {
        self.need(self.operation(), resource)
    }

    /// Passing a role to a service. It is IAM's action, and a role of another account is passed by nobody.
    fn pass_role(&self, role: &str, service: &str) -> Need {
        let arn = match role.starts_with("arn:") {
            true => role.to_owned(),
            false => format!("arn:aws:iam::{}:role/{role}", self.account),
        };
        let owner = account_of(&arn).unwrap_or_default();
        Need {
            action: "iam:PassRole".to_owned(),
            owner,
            resource: arn,
            keys: vec![("iam:PassedToService".to_owned(), vec![service.to_owned()])],
        }
    }

    /// The tags that a call puts on something: `aws:RequestTag/KEY` and `aws:TagKeys`.
    pub(crate) fn tags(&self) -> Vec<(String, Vec<String>)> {
        if self.call.service == "cloudformation" {
            return cloudformation::tags(self);
        }
        let listed = self.input["tags"].as_array();
        let listed = listed.or(self.input["Tags"].as_array());
        let text = |tag: &Value, names: [&str; 2]| {
            let found = names.iter().find_map(|name| tag[*name].as_str());
            found.unwrap_or_default().to_owned()
        };
        let mut keys = Vec::new();
        let mut found = Vec::new();
        for tag in listed.into_iter().flatten() {
            let key = text(tag, ["key", "Key"]);
            let value = text(tag, ["value", "Value"]);
            found.push((format!("aws:RequestTag/{key}"), vec![value]));
            keys.push(key);
        }
        if !keys.is_empty() {
            found.push(("aws:TagKeys".to_owned(), keys));
        }
        found
    }

    fn has_tags(&self) -> bool {
        !self.tags().is_empty()
    }
}

/// The account in an ARN.
pub(crate) fn account_of(arn: &str) -> Option<String> {
    arn.split(':').nth(4).map(str::to_owned)
}

#[cfg(test)]
mod tests;
