//! Worlds: one isolated set of accounts, repository, state, secrets and service for one test or demo. Nothing of a world
//! is ever reset; two worlds share nothing but the machine.

mod account;
pub mod aws;
mod image;
mod keys;
mod policy;
pub mod retire;
pub mod runner;
mod states;

use std::time::Duration;

use serde::Deserialize;

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use aws::{Aws, Keys};
pub use retire::InUse;
pub use states::States;

/// One of a world's AWS accounts.
#[derive(Debug, Clone)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
}

/// One environment of a world.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `dev`, `staging` or `production`.
    pub name: String,
    /// Its own account.
    pub account: Account,
    /// The bucket of its Terraform state, `tf-state-WORLD-ENVIRONMENT`.
    pub state_bucket: String,
    /// The table of its state locks, `tf-locks-WORLD-ENVIRONMENT`.
    pub lock_table: String,
}

impl Environment {
    /// The ECS cluster of a service here.
    pub fn cluster(&self, service: &str) -> String {
        format!("{service}-{}", self.name)
    }
}

/// A world.
#[derive(Debug, Clone)]
pub struct World {
    /// Its name, lower-case letters, digits and dashes.
    pub name: String,
    /// The GitHub repository, `acme-WORLD/storefront`.
    pub repository: String,
    /// The service's name.
    pub service: String,
    /// The region everything is in.
    pub region: String,
    /// The account of registry, ledger and CodeBuild.
    pub build: Account,
    /// In the order of promotion.
    pub environments: Vec<Environment>,
    /// The host and port of the build account's registry.
    pub registry: String,
    /// Variables of the repository that whoever runs it adds to those of every world.
    pub extra: runner::Variables,
}

impl World {
    /// The repository from which people without access to the code approve promotions.
    pub fn approvals_repository(&self) -> String {
        let owner = self.repository.split('/').next().unwrap_or_default();
        format!("{owner}/approvals")
    }

    /// The environments of every world, in the order of promotion.
    pub const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];
    /// The ledger's table in the build account.
    pub const LEDGER: &str = "slipway-ledger";
    /// The SNS topic of the build account that tells approvers of requests.
    pub const APPROVALS_TOPIC: &str = "slipway-approvals";
    /// The alias of the key in the build account that signs the provenance of images.
    pub const PROVENANCE_KEY: &str = "alias/slipway-provenance";
    /// The alias of the key in the build account that signs the permits of the ledger.
    pub const LEDGER_KEY: &str = "alias/slipway-ledger";
    /// The role in each account that stands for Lambda where it pulls images.
    pub const LAMBDA: &str = "sandbox-lambda";
    /// The region of every world.
    pub const REGION: &str = "ca-central-1";

    /// Makes a world, or finds it again: everything in it is made only where it is missing. Nothing runs in it yet.
    pub async fn create(instance: &Instance, name: &str) -> Result<Self> {
        if name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Err(Fault::new(format!(
                "a world's name is lower-case letters, digits and dashes: {name:?}"
            )));
        }
        let http = http_client()?;
        let mut world = Self::named(name, "");
        let (build, environments) = world.open_accounts(instance, &http).await?;
        world.registry = world.registry_host(instance, Self::REGION).await?;
        account::build(&world, &build).await?;
        for (environment, aws) in world.environments.iter().zip(&environments) {
            account::environment(&world, environment, aws).await?;
        }
        Ok(world)
    }

    /// The bucket in the build account that keeps the hashes of the ledger's records.
    pub fn anchor_bucket(&self) -> String {
        format!("slipway-anchor-{}", self.name)
    }

    /// Puts an image of nothing but busybox, which runs `command`, into the build account's repository `placeholder`;
    /// answers its reference by digest.
    pub async fn image(&self, instance: &Instance, command: &[&str]) -> Result<String> {
        let http = http_client()?;
        let (build, _) = self.open_accounts(instance, &http).await?;
        image::put(self, &http, &build, command).await
    }

    /// Puts the image that answers `/healthz` there.
    pub async fn placeholder(&self, instance: &Instance) -> Result<String> {
        self.image(instance, &image::SERVES).await
    }

    /// Lets the first stage publish too, for a shell or a test that builds and deploys in one session.
    pub async fn first_stage_publishes(&self, instance: &Instance) -> Result<()> {
        let (build, _) = self.open_accounts(instance, &http_client()?).await?;
        let (permission, trust) = policy::first_stage_publishes(self);
        let stage = policy::codebuild(Self::ENVIRONMENTS[0]);
        account::permit(&build, &stage, "publish", &permission).await?;
        account::trust(&build, "slipway-publish", &trust).await
    }

    /// Lets what runs an environment's infrastructure code read the ledger, as where its gate says `plan: true`.
    pub async fn infrastructure_reads_ledger(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<()> {
        let (build, _) = self.open_accounts(instance, &http_client()?).await?;
        let (permission, trust) = policy::infrastructure_reads_ledger(self, environment);
        let stage = policy::codebuild(&policy::infrastructure(&environment.name));
        account::permit(&build, &stage, "plan", &permission).await?;
        account::trust(&build, "slipway-read", &trust).await
    }

    /// Lets the role that publishes use every repository of the build account, beside the service's own; and so the first
    /// stage's own role, as that of a job which uses a step without a contract.
    pub async fn publishes_anywhere(&self, instance: &Instance) -> Result<()> {
        let (build, _) = self.open_accounts(instance, &http_client()?).await?;
        let document = policy::publish_anywhere(self);
        let stage = policy::codebuild(Self::ENVIRONMENTS[0]);
        for role in ["slipway-publish", &stage] {
            account::permit(&build, role, "anywhere", &document).await?;
        }
        Ok(())
    }

    /// Lets the role that deploys use every service of an environment's cluster, beside the world's own.
    pub async fn deploys_anything(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<()> {
        let aws = self.administrator(instance, &environment.account).await?;
        let document = policy::deploy_anything(self, environment);
        account::permit(&aws, "slipway-deploy", "anything", &document).await
    }

    /// Makes a function of an image with its version 1 and the alias `live`, which the environment's role that deploys may change,
    /// in an environment with a gate under a permit. Answers its name.
    pub async fn has_function(
        &self,
        instance: &Instance,
        environment: &Environment,
        name: &str,
        image: &str,
    ) -> Result<String> {
        let aws = self.administrator(instance, &environment.account).await?;
        let deploy = policy::functions(self, environment);
        account::permit(&aws, "slipway-deploy", "function", &deploy).await?;
        if environment.name != Self::ENVIRONMENTS[0] {
            let trust = policy::function_trust(self, environment);
            account::trust(&aws, "slipway-deploy", &trust).await?;
        }
        account::make_role(&aws, &policy::lambda(self)).await?;
        let role = policy::function_role(self, environment);
        account::make_role(&aws, &role).await?;
        let name = format!("{}-{name}", environment.cluster(&self.service));
        let role = format!("arn:aws:iam::{}:role/{}", environment.account.id, role.name);
        let functions = "/2015-03-31/functions";
        let input = serde_json::json!({
            "FunctionName": name, "Role": role, "PackageType": "Image", "Publish": true,
            "Code": {"ImageUri": image}, "Timeout": 10,
        });
        let answer = aws.rest("lambda", "POST", functions, Some(&input)).await?;
        aws::unless_there(answer, &format!("creating the function {name}"), &[])?;
        let input = serde_json::json!({"Name": "live", "FunctionVersion": "1"});
        let path = format!("{functions}/{name}/aliases");
        let answer = aws.rest("lambda", "POST", &path, Some(&input)).await?;
        aws::unless_there(answer, &format!("creating the alias of {name}"), &[])?;
        Ok(name)
    }

    /// Lets an environment's roles plan, apply and read the stacks whose names begin like the environment's; makes the role that
    /// changes their resources, and answers its name.
    pub async fn has_stacks(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<String> {
        let aws = self.administrator(instance, &environment.account).await?;
        let [deploy, read] = policy::stacks(self, environment, false);
        account::permit(&aws, "slipway-deploy", "stack", &deploy).await?;
        account::permit(&aws, "slipway-read", "stack", &read).await?;
        let role = policy::stack_role(self, environment);
        account::make_role(&aws, &role).await?;
        Ok(role.name)
    }

    /// Lets the role that deploys execute change sets of these stacks only under permits, as where a gate says `plan: true`.
    pub async fn permits_stacks(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<()> {
        let aws = self.administrator(instance, &environment.account).await?;
        let [deploy, _] = policy::stacks(self, environment, true);
        account::permit(&aws, "slipway-deploy", "stack", &deploy).await?;
        let trust = policy::stack_trust(self, environment);
        account::trust(&aws, "slipway-deploy", &trust).await
    }

    /// Lets CloudFormation make the example's runtime in an environment: the role of the stack gets what the example says and
    /// nothing else, and the roles that the stack makes itself are not there yet. `zone` is the hosted zone of the domain.
    pub async fn expects_runtime(
        &self,
        instance: &Instance,
        environment: &Environment,
        zone: &str,
    ) -> Result<()> {
        let aws = self.administrator(instance, &environment.account).await?;
        for kind in ["execution", "task"] {
            account::drop_role(&aws, &policy::role_name(self, environment, kind)).await?;
        }
        let role = policy::role_name(self, environment, "stack");
        let document = policy::runtime_stack(self, environment, zone);
        account::permit(&aws, &role, &role, &document).await
    }

    /// Lets CloudFormation make the serverless example in an environment, by the permissions that the example says and nothing else,
    /// and the role that deploys deliver to its functions.
    pub async fn expects_vault(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<()> {
        let aws = self.administrator(instance, &environment.account).await?;
        account::make_role(&aws, &policy::lambda(self)).await?;
        let role = policy::role_name(self, environment, "stack");
        let document = policy::vault_stack(self, environment);
        account::permit(&aws, &role, &role, &document).await?;
        let deploy = policy::vault_functions(self, environment);
        account::permit(&aws, "slipway-deploy", "vault", &deploy).await
    }

    /// Lets the role that appends to an environment's chain append to that of every service, beside the world's own.
    pub(crate) async fn permits_any_service(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<()> {
        let (build, _) = self.open_accounts(instance, &http_client()?).await?;
        let document = policy::permit_any_service(self, environment);
        let role = policy::permit(&environment.name);
        account::permit(&build, &role, "any-service", &document).await
    }

    /// Starts a service in each environment, which runs the placeholder until the first delivery, where none runs yet.
    pub async fn serve(&self, instance: &Instance) -> Result<()> {
        let placeholder = self.placeholder(instance).await?;
        let (_, environments) = self.open_accounts(instance, &http_client()?).await?;
        for (environment, aws) in self.environments.iter().zip(&environments) {
            account::service(self, environment, aws, &placeholder).await?;
        }
        Ok(())
    }

    /// The same in one environment alone.
    pub(crate) async fn serve_in(
        &self,
        instance: &Instance,
        environment: &Environment,
    ) -> Result<()> {
        let placeholder = self.placeholder(instance).await?;
        let aws = self.administrator(instance, &environment.account).await?;
        account::service(self, environment, &aws, &placeholder).await
    }

    /// The world of a name, as yet nowhere but on paper.
    pub(crate) fn named(name: &str, registry: &str) -> Self {
        let account = |role: &str| Account {
            id: account_id(name, role),
        };
        Self {
            name: name.to_owned(),
            repository: format!("acme-{name}/storefront"),
            service: "storefront".to_owned(),
            region: Self::REGION.to_owned(),
            build: account("build"),
            environments: Self::ENVIRONMENTS
                .iter()
                .map(|environment| Environment {
                    name: (*environment).to_owned(),
                    account: account(environment),
                    state_bucket: format!("tf-state-{name}-{environment}"),
                    lock_table: format!("tf-locks-{name}-{environment}"),
                })
                .collect(),
            registry: registry.to_owned(),
            extra: runner::Variables::new(),
        }
    }

    /// An environment by its name.
    pub fn environment(&self, name: &str) -> Result<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name == name)
            .ok_or_else(|| Fault::new(format!("world {} has no environment {name}", self.name)))
    }

    /// The ARN of something regional in one of the world's accounts.
    pub fn arn(&self, account: &str, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{account}:{resource}", self.region)
    }

    /// The principal that a person is in a session of a role of the build account.
    pub fn principal(&self, role: &str, login: &str) -> String {
        let account = &self.build.id;
        format!("arn:aws:sts::{account}:assumed-role/{role}/{login}@acme.example")
    }

    /// Credentials as CodeBuild gives them to a build of a stage: `build`, an environment, or an environment's infrastructure.
    pub async fn codebuild_session(
        &self,
        instance: &Instance,
        stage: &str,
        build: &str,
    ) -> Result<Keys> {
        let body = serde_json::json!({
            "role_arn": format!("arn:aws:iam::{}:role/{}", self.build.id, policy::codebuild(stage)),
            "session_name": build,
            "service": "codebuild.amazonaws.com",
        });
        control(&http_client()?, instance, "sessions", &body).await
    }

    /// Credentials of an account's administrator, for looking at the world from outside of every step.
    pub async fn administrator(&self, instance: &Instance, account: &Account) -> Result<Aws> {
        let http = http_client()?;
        let body = serde_json::json!({"world": self.name, "accounts": [account.id]});
        let opened: Opened = control(&http, instance, "accounts", &body).await?;
        let keys = opened
            .accounts
            .into_iter()
            .next()
            .ok_or_else(|| Fault::new("the gateway answered no account"))?;
        Ok(Aws::new(
            http,
            &instance.url(port::GATEWAY),
            &self.region,
            keys,
        ))
    }

    /// A caller with credentials of this world.
    pub fn caller(&self, instance: &Instance, keys: Keys) -> Result<Aws> {
        Ok(Aws::new(
            http_client()?,
            &instance.url(port::GATEWAY),
            &self.region,
            keys,
        ))
    }

    /// Where an environment's service answers, behind its load balancer.
    pub async fn address(&self, instance: &Instance, environment: &Environment) -> Result<String> {
        let aws = self.administrator(instance, &environment.account).await?;
        let host = account::balancer(environment, &self.service, &aws).await?;
        Ok(format!("http://{host}"))
    }

    /// Callers as the administrators of the build account and of each environment's.
    async fn open_accounts(
        &self,
        instance: &Instance,
        http: &reqwest::Client,
    ) -> Result<(Aws, Vec<Aws>)> {
        let ids: Vec<&str> = std::iter::once(self.build.id.as_str())
            .chain(
                self.environments
                    .iter()
                    .map(|environment| environment.account.id.as_str()),
            )
            .collect();
        let body = serde_json::json!({"world": self.name, "accounts": ids});
        let opened: Opened = control(http, instance, "accounts", &body).await?;
        let url = instance.url(port::GATEWAY);
        let mut callers = opened
            .accounts
            .into_iter()
            .map(|keys| Aws::new(http.clone(), &url, Self::REGION, keys));
        let build = callers.next();
        let environments: Vec<Aws> = callers.collect();
        match build {
            Some(build) if environments.len() == self.environments.len() => {
                Ok((build, environments))
            }
            _ => Err(Fault::new(
                "the gateway answered fewer accounts than were asked for",
            )),
        }
    }

    /// The host and port of the build account's registry in a region.
    pub async fn registry_host(&self, instance: &Instance, region: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Registry {
            host: String,
        }
        let body = serde_json::json!({"account": self.build.id, "region": region});
        let registry: Registry = control(&http_client()?, instance, "registry", &body).await?;
        Ok(registry.host)
    }
}

/// The gateway's answer about accounts.
#[derive(Deserialize)]
struct Opened {
    accounts: Vec<Keys>,
}

/// Twelve digits that depend on the world's name and the account's role, so that a world is found again and no two meet.
fn account_id(world: &str, role: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{world}/{role}").as_bytes());
    let number = digest
        .as_ref()
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:012}", number % 1_000_000_000_000)
}

pub(crate) async fn control<T: serde::de::DeserializeOwned>(
    http: &reqwest::Client,
    instance: &Instance,
    path: &str,
    body: &serde_json::Value,
) -> Result<T> {
    let url = format!("{}/_sandbox/{path}", instance.url(port::GATEWAY));
    let answer = http
        .post(&url)
        .json(body)
        .send()
        .await
        .context(format!("asking {url}"))?;
    let status = answer.status();
    let text = answer.text().await.context(format!("asking {url}"))?;
    if !status.is_success() {
        return Err(Fault::new(format!("{url} answered {status}: {text}")));
    }
    serde_json::from_str(&text).context(format!("reading the answer of {url}"))
}

/// Answers of the gateway's own services that broke AWS's description, of whatever world.
pub async fn violations(instance: &Instance) -> Result<Vec<String>> {
    let url = format!("{}/_sandbox/violations", instance.url(port::GATEWAY));
    let answer = http_client()?.get(&url).send().await;
    let answer = answer.context(format!("asking {url}"))?;
    answer.json().await.context(format!("asking {url}"))
}

/// A client for plain HTTP on loopback. reqwest wants a TLS configuration all the same; this one trusts no certificate.
pub fn http_client() -> Result<reqwest::Client> {
    client_builder()?.build().context("building an HTTP client")
}

/// A client that may be shared by threads which have a runtime each: it keeps no connection, as one ends with the runtime in
/// which it was opened, under whoever has just taken it from the pool.
pub(crate) fn unpooled_client() -> Result<reqwest::Client> {
    client_builder()?
        .pool_max_idle_per_host(0)
        .build()
        .context("building an HTTP client")
}

fn client_builder() -> Result<reqwest::ClientBuilder> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("building an HTTP client")?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(300)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_twelve_digits_stable_and_apart() {
        let ids: std::collections::BTreeSet<String> = ["a", "b", "c"]
            .iter()
            .flat_map(|world| {
                ["build", "dev", "staging", "production"].map(|role| account_id(world, role))
            })
            .collect();
        assert_eq!(ids.len(), 12);
        assert!(
            ids.iter()
                .all(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()))
        );
        assert_eq!(account_id("a", "dev"), account_id("a", "dev"));
    }

    #[test]
    fn a_world_lacks_an_environment_it_was_not_made_with() {
        let world = World::named("w1", "");
        assert_eq!(
            world.environment("staging").unwrap().state_bucket,
            "tf-state-w1-staging"
        );
        assert!(
            world
                .environment("preprod")
                .unwrap_err()
                .to_string()
                .contains("has no environment preprod")
        );
    }
}
