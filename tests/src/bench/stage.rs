//! Where benchmarks run: an account of their own on the sandbox, the build under test, and the peers.

use super::build::Build;
use super::measure::Call;
use super::race::Goal;
use crate::fault::{Context, Result};
use crate::instance::{Instance, port};
use crate::world::aws::Aws;
use crate::world::runner::Variables;
use crate::world::{World, http_client};

/// The world whose accounts the benchmarks use. No services are made in it, whose health checks would disturb.
const WORLD: &str = "bench";

/// The most that a step should take, as a share of one AWS CLI call that does the same work.
pub(super) const CLI: Goal = Goal {
    wall: 0.1,
    cpu: 0.05,
    peak: 0.5,
};

pub(super) struct Stage<'a> {
    pub(super) instance: &'a Instance,
    pub(super) build: Build,
    /// Rounds that count, where they are not the benchmark's own.
    pub(super) rounds: Option<usize>,
    /// The account everything happens in.
    pub(super) account: String,
    /// Its administrator, for setting up.
    pub(super) aws: Aws,
    pub(super) environment: Variables,
}

/// One call as the gateway recorded it.
#[derive(serde::Deserialize)]
pub(super) struct Recorded {
    pub(super) service: String,
    pub(super) operation: String,
    /// When it arrived.
    pub(super) time: String,
    /// The items it is about.
    pub(super) leading: Vec<String>,
    pub(super) status: u16,
    pub(super) duration_ms: u64,
    /// `api` for a call that a client made.
    via: String,
    /// The name of the caller's session.
    session: Option<String>,
}

impl Recorded {
    /// Returns true if a tool made the call, and not ECS for a task that it starts, nor CloudFormation for a resource.
    pub(super) fn is_by_tool(&self) -> bool {
        self.via == "api" && self.session.as_deref() != Some("ecs")
    }
}

#[derive(serde::Deserialize)]
struct Calls {
    last: u64,
    calls: Vec<Recorded>,
}

impl<'a> Stage<'a> {
    pub(super) async fn open(
        instance: &'a Instance,
        step: Option<&str>,
        rounds: Option<usize>,
    ) -> Result<Self> {
        let world = World::named(WORLD, "");
        let aws = world.administrator(instance, &world.build).await?;
        let mut environment = world.variables(instance);
        environment.extend(aws.variables());
        Ok(Self {
            instance,
            build: Build::find(instance, step)?,
            rounds,
            account: world.build.id,
            aws,
            environment,
        })
    }

    /// A step at work.
    pub(super) fn step(&self, name: &str, arguments: &[&str], proof: &str) -> Call {
        let program = self.build.folder.join(format!("slipway-{name}"));
        self.call(program, arguments, proof)
    }

    /// The AWS CLI at work.
    pub(super) fn aws_cli(&self, arguments: &[&str], proof: &str) -> Call {
        self.call(self.instance.peers_bin().join("aws"), arguments, proof)
    }

    /// Terraform at work.
    pub(super) fn terraform(&self, arguments: &[&str], proof: &str) -> Call {
        self.call(self.instance.bin().join("terraform"), arguments, proof)
    }

    /// Makes every call of a service take that much longer.
    pub(super) async fn latency(&self, service: &str, millis: u64) -> Result<()> {
        let body = serde_json::json!({"service": service, "millis": millis});
        self.tell("latency", &body).await
    }

    /// Tells the gateway something over its control interface.
    pub(super) async fn tell(&self, path: &str, body: &serde_json::Value) -> Result<()> {
        let url = format!("{}/_sandbox/{path}", self.instance.url(port::GATEWAY));
        let answer = http_client()?.post(&url).json(body).send().await;
        let answer = answer.context(format!("asking {url}"))?;
        answer
            .error_for_status()
            .context(format!("telling the sandbox of {path}"))
            .map(drop)
    }

    /// The number of the newest call, and how many of a service came after number `since`.
    pub(super) async fn calls(&self, service: &str, since: u64) -> Result<(u64, usize)> {
        self.calls_of(&self.account, service, since).await
    }

    /// As [`Self::calls`], in another account.
    pub(super) async fn calls_of(
        &self,
        account: &str,
        service: &str,
        since: u64,
    ) -> Result<(u64, usize)> {
        let found = self.recorded(account, Some(service), since).await?;
        Ok((found.last, found.calls.len()))
    }

    /// The calls of a service after number `since`, in the order of their ends.
    pub(super) async fn record(&self, service: &str, since: u64) -> Result<Vec<Recorded>> {
        let found = self.recorded(&self.account, Some(service), since).await?;
        Ok(found.calls)
    }

    /// The number of the newest call, and the calls to every service that tools made in an account after number `since`.
    pub(super) async fn all_calls(
        &self,
        account: &str,
        since: u64,
    ) -> Result<(u64, Vec<Recorded>)> {
        let mut found = self.recorded(account, None, since).await?;
        found.calls.retain(Recorded::is_by_tool);
        Ok((found.last, found.calls))
    }

    async fn recorded(&self, account: &str, service: Option<&str>, since: u64) -> Result<Calls> {
        let service = service.map_or_else(String::new, |name| format!("&service={name}"));
        let url = format!(
            "{}/_sandbox/calls?account={account}&since={since}{service}",
            self.instance.url(port::GATEWAY),
        );
        let action = format!("asking {url}");
        let answer = http_client()?.get(&url).send().await.context(&action)?;
        let text = answer.text().await.context(&action)?;
        serde_json::from_str(&text).context(&action)
    }

    /// The node that runners have, at work.
    pub(super) fn node(&self, arguments: &[&str], proof: &str) -> Call {
        self.call(self.instance.bin().join("node"), arguments, proof)
    }

    /// A shell at work, which finds the AWS CLI as `"$AWS"`.
    pub(super) fn shell(&self, script: &str, proof: &str) -> Call {
        let mut call = self.call("/bin/sh".into(), &["-ec", script], proof);
        let aws = self.instance.peers_bin().join("aws").display().to_string();
        call.environment.insert("AWS".to_owned(), aws);
        call
    }

    /// A tool of the system at work.
    pub(super) fn tool(
        &self,
        program: impl Into<std::path::PathBuf>,
        arguments: &[&str],
        proof: &str,
    ) -> Call {
        self.call(program.into(), arguments, proof)
    }

    fn call(&self, program: std::path::PathBuf, arguments: &[&str], proof: &str) -> Call {
        Call {
            program,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: self.environment.clone(),
            proof: proof.to_owned(),
        }
    }
}
