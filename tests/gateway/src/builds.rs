//! CodeBuild's builds. Nothing is built here: whoever runs one tells the control interface what CodeBuild would say of it.
//! Source: AWS CodeBuild API Reference, `BatchGetBuilds`.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::lock;

/// One build, as it is now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    account: String,
    region: String,
    /// The members of a `Build`, `id` among them.
    build: Value,
}

/// What is known of builds, by account, region and ID.
#[derive(Default)]
pub(crate) struct Builds(Mutex<HashMap<[String; 3], Value>>);

impl Builds {
    /// Replaces what was known of a build. `false`: it has no ID.
    pub(crate) fn tell(&self, told: Told) -> bool {
        let Some(id) = told.build["id"].as_str().map(str::to_owned) else {
            return false;
        };
        lock(&self.0).insert([told.account, told.region, id], told.build);
        true
    }

    /// Answers `BatchGetBuilds`. A build may be named by its ID or by its ARN.
    pub(crate) fn answer(&self, account: &str, region: &str, input: &Value) -> Answer {
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
        Answer::json(&json!({"builds": found, "buildsNotFound": unknown}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_known_in_its_account_and_region_as_it_was_told_last() {
        let builds = Builds::default();
        let tell = |build: Value| {
            builds.tell(Told {
                account: "1".into(),
                region: "eu-west-1".into(),
                build,
            })
        };
        assert!(!tell(json!({"buildStatus": "IN_PROGRESS"})));
        assert!(tell(
            json!({"id": "deploy:1", "buildStatus": "IN_PROGRESS"})
        ));
        let over = json!({"id": "deploy:1", "buildStatus": "STOPPED", "buildComplete": true});
        assert!(tell(over.clone()));
        let ask = |account: &str, region: &str, id: &str| -> Value {
            let answer = builds.answer(account, region, &json!({"ids": [id]}));
            serde_json::from_str(&answer.text()).unwrap()
        };
        for id in ["deploy:1", "arn:aws:codebuild:eu-west-1:1:build/deploy:1"] {
            let wanted = json!({"builds": [over], "buildsNotFound": []});
            assert_eq!(ask("1", "eu-west-1", id), wanted);
        }
        for (account, region, id) in [
            ("2", "eu-west-1", "deploy:1"),
            ("1", "eu-west-2", "deploy:1"),
            ("1", "eu-west-1", "deploy:2"),
        ] {
            let wanted = json!({"builds": [], "buildsNotFound": [id]});
            assert_eq!(ask(account, region, id), wanted);
        }
    }
}
