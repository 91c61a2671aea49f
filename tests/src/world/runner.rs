//! The variables that a runner passes to workflows or buildspecs: those that lead to a world, and no others.

use std::collections::BTreeMap;

use super::{Environment, World};
use crate::instance::{Instance, port};
use crate::parts::engine;

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

impl World {
    /// The process environment of a runner. Nothing of the caller's comes along but the way to system programs.
    pub fn variables(&self, instance: &Instance) -> Variables {
        let mut variables = ways(instance);
        variables.insert("AWS_REGION".to_owned(), self.region.clone());
        variables.insert("AWS_DEFAULT_REGION".to_owned(), self.region.clone());
        // ECR's host names lead nowhere without a network; everything else about the registry is as steps expect it.
        variables.insert("SLIPWAY_REGISTRY".to_owned(), self.registry.clone());
        variables
    }

    /// The variables that a repository administrator sets in the repository (`vars`), and a CodeBuild project in its
    /// environment: nothing secret.
    pub fn repository_variables(&self) -> Variables {
        let mut variables = Variables::from([
            ("AWS_REGION".to_owned(), self.region.clone()),
            ("BUILD_ACCOUNT_ID".to_owned(), self.build.id.clone()),
            ("LEDGER_ANCHOR_BUCKET".to_owned(), self.anchor_bucket()),
        ]);
        for environment in &self.environments {
            let name = environment.name.to_uppercase();
            variables.insert(format!("{name}_ACCOUNT_ID"), environment.account.id.clone());
            // For jobs that name no environment, such as a pull request's plan.
            for (variable, value) in self.environment_variables(environment) {
                variables.insert(format!("{variable}_{name}"), value);
            }
        }
        variables.extend(self.extra.clone());
        variables
    }

    /// The variables of one environment, which come before the repository's.
    pub fn environment_variables(&self, environment: &Environment) -> Variables {
        Variables::from([
            (
                "TF_STATE_BUCKET".to_owned(),
                environment.state_bucket.clone(),
            ),
            ("TF_LOCK_TABLE".to_owned(), environment.lock_table.clone()),
        ])
    }

    /// The value of the SSM parameter `/SERVICE/ENVIRONMENT/database-url`, which must turn up in no log.
    pub fn database_url(&self, environment: &Environment) -> String {
        let password = self.made_up(environment, "database");
        format!(
            "postgres://app:{password}@db.{}.internal:5432/{}",
            environment.name, self.service
        )
    }

    /// The value under `token` of the secret `SERVICE/ENVIRONMENT/api`, which must turn up in no log.
    pub fn api_token(&self, environment: &Environment) -> String {
        format!("api_{}", self.made_up(environment, "api"))
    }

    fn made_up(&self, environment: &Environment, purpose: &str) -> String {
        let text = format!("{}/{}/{purpose}", self.name, environment.name);
        crate::instance::sha256(text.as_bytes())
            .chars()
            .take(24)
            .collect()
    }
}

/// Variables without those that name a lock table. The example's contract names none, and `slipway-state` refuses one that it hears
/// of elsewhere.
pub fn without_lock_tables(mut variables: Variables) -> Variables {
    variables.retain(|name, _| !name.starts_with("TF_LOCK_TABLE"));
    variables
}

/// The variables that lead to the sandbox itself.
fn ways(instance: &Instance) -> Variables {
    let path = [
        instance.built().display().to_string(),
        instance.bin().display().to_string(),
        system_path(),
    ]
    .join(":");
    [
        ("AWS_ENDPOINT_URL", instance.url(port::GATEWAY)),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("GITHUB_API_URL", instance.url(port::GITHUB)),
        (
            "GITHUB_GRAPHQL_URL",
            format!("{}/graphql", instance.url(port::GITHUB)),
        ),
        ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
        ("DOCKER_HOST", format!("unix://{}", engine::SOCKET)),
        (
            "DOCKER_CONFIG",
            instance.docker_config().display().to_string(),
        ),
        ("SLIPWAY_BIN_DIR", instance.built().display().to_string()),
        ("HOME", instance.dir.join("home").display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PATH", path),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn system_path() -> String {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
}
