//! CodeBuild's builds. Nothing is built here: the runner of a build tells the control interface what CodeBuild would say
//! of it. Requests and answers must fit AWS's own model of CodeBuild.
//! Source: AWS CodeBuild API Reference, `BatchGetBuilds`.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};
use standin_ecs::{Shapes, drop_null_members};

use crate::answer::Answer;
use crate::error::AwsError;
use crate::fitting::fitting;
use crate::lock;

const OPERATION: &str = "BatchGetBuilds";

/// One build, as it is now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    account: String,
    region: String,
    /// The members of a `Build`, `id` among them.
    build: Value,
}

/// The known builds, by account, region and ID.
#[derive(Default)]
pub(crate) struct Builds(Mutex<HashMap<[String; 3], Value>>);

impl Builds {
    /// Replaces what was known of a build, or says why it can be none.
    pub(crate) fn set(&self, model: &Shapes, setting: Setting) -> Result<(), String> {
        let Some(id) = setting.build["id"].as_str().map(str::to_owned) else {
            return Err("a build has an id".to_owned());
        };
        let answer = json!({"builds": [&setting.build]});
        let faults = model.output_faults(OPERATION, &answer);
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        lock(&self.0).insert([setting.account, setting.region, id], setting.build);
        Ok(())
    }

    /// Answers `BatchGetBuilds`. A build may be named by its ID or by its ARN.
    pub(crate) fn answer(
        &self,
        model: &Shapes,
        account: &str,
        region: &str,
        mut input: Value,
    ) -> Result<Answer, AwsError> {
        drop_null_members(&mut input);
        let output = match model.input_faults(OPERATION, &input).first() {
            Some(fault) => Err(AwsError::new(
                400,
                "InvalidInputException",
                format!("Invalid input: {fault}"),
            )),
            None => Ok(self.find(account, region, &input)),
        };
        fitting(model, OPERATION, output).map(|output| Answer::json(&output))
    }

    fn find(&self, account: &str, region: &str, input: &Value) -> Value {
        let known = lock(&self.0);
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for wanted in input["ids"].as_array().into_iter().flatten() {
            let id = wanted.as_str().unwrap_or_default();
            let id = id.rsplit_once("build/").map_or(id, |(_, id)| id);
            match known.get(&[account, region, id].map(str::to_owned)) {
                Some(build) => found.push(build.clone()),
                None => unknown.push(wanted.clone()),
            }
        }
        json!({"builds": found, "buildsNotFound": unknown})
    }
}
