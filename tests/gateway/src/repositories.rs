//! The policies of ECR's repositories, learned from the calls that set them: every layer that is pulled is held against them.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;

use crate::lock;

/// Policies by the ARN of their repository.
#[derive(Default)]
pub(crate) struct Repositories(Mutex<HashMap<String, String>>);

impl Repositories {
    pub(crate) fn policy(&self, arn: &str) -> Option<String> {
        lock(&self.0).get(arn).cloned()
    }

    /// Learns from a call that succeeded.
    pub(crate) fn learn(&self, operation: &str, arn: String, input: &Value) {
        match (operation, input["policyText"].as_str()) {
            ("SetRepositoryPolicy", Some(text)) => {
                lock(&self.0).insert(arn, text.to_owned());
            }
            ("DeleteRepositoryPolicy" | "DeleteRepository", _) => {
                lock(&self.0).remove(&arn);
            }
            _ => {}
        }
    }
}
