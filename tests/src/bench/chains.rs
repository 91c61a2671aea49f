//! The chains that the verbs are measured on: of services of their own in one world, filled past the product, with the
//! newest records appended by it, signed and anchored.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::measure::{Call, Measure};
use super::promote;
use super::stage::Stage;
use crate::fault::{Context, Fault, Result};
use crate::instance::sha256;
use crate::runner::story::{AUTHOR, RELEASER, REVIEWER, Story, git_folder, unproven};
use crate::world::World;
use crate::world::aws::{Aws, unless_there};
use crate::world::runner::Variables;

/// The digest in the records that fill the chains.
pub(super) const DIGEST: &str =
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The short chain, and those that are held against it.
const SIZES: [u64; 3] = [10, 1000, 100_000];
/// Names another length of the longest chain, for a machine that is busy.
const LONGEST: &str = "SLIPWAY_RECORDS";
/// How many of a chain's records the product appends, with key and anchor.
pub(super) const SIGNED: u64 = 5;
/// Items that DynamoDB takes in one transaction.
const BATCH: usize = 100;
const CONTRACT: &str = include_str!("../../../docs/examples/storefront/delivery.yaml");

/// The proofs of a chain, beside its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    None,
    /// The key and the anchor.
    Both,
}

impl Trust {
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Both => " with key and anchor",
        }
    }
}

/// How many records the chains have.
pub(super) fn sizes() -> Result<Vec<u64>> {
    let [short, middle, long] = SIZES;
    let long = match std::env::var(LONGEST) {
        Err(_) => long,
        Ok(text) => text
            .parse()
            .ok()
            .filter(|records| *records > short)
            .ok_or_else(|| Fault::new(format!("{LONGEST} is not a number above {short}")))?,
    };
    let shorter = [short, middle].into_iter().filter(|size| *size < long);
    Ok(shorter.chain([long]).collect())
}

/// The service whose chain has so many records.
pub(super) fn service(size: u64) -> String {
    format!("bench-{size}")
}

/// The chains.
pub(super) struct Chains {
    pub(super) world: World,
    /// Administrator of the build account.
    pub(super) aws: Aws,
    folder: PathBuf,
    /// Where the range of every check begins.
    base: String,
    /// A build of the first stage's project, for a check and for a record.
    project: Variables,
    /// The build account's administrator, for what only reads.
    administrator: Variables,
}

impl Chains {
    pub(super) async fn fill(stage: &Stage<'_>, world: &World, folder: &Path) -> Result<Self> {
        let story = Story::begin(stage.instance, world).await?;
        let git = git_folder(stage.instance, world);
        let base = promote::tip(&git)?;
        let files = [("NOTES.md", "One change")];
        story.change(AUTHOR, REVIEWER, "One change", &files).await?;
        let token = story.hub.token(RELEASER).await?;
        let project = promote::as_project(stage, world, &token, &promote::tip(&git)?).await?;
        let dev = world.environment("dev")?;
        world.permits_any_service(stage.instance, dev).await?;
        let aws = world.administrator(stage.instance, &world.build).await?;
        let mut administrator = world.variables(stage.instance);
        administrator.extend(aws.variables());
        let chains = Self {
            world: world.clone(),
            aws,
            folder: folder.to_owned(),
            base,
            project,
            administrator,
        };
        for size in sizes()? {
            let head = chains.fill_one(size - SIGNED, size).await?;
            for number in 0..SIGNED {
                let accept = match number {
                    0 => format!("--accept-head {head}"),
                    _ => String::new(),
                };
                let record = chains.record(stage, size, Trust::Both, &accept).await?;
                Measure::Wall.take(&record)?;
            }
        }
        Ok(chains)
    }

    /// Writes so many records past the product; answers the last one's hash.
    async fn fill_one(&self, count: u64, size: u64) -> Result<String> {
        let service = service(size);
        let mut prev = "0".repeat(64);
        let mut puts = Vec::new();
        for seq in 1..=count {
            let commit = match seq == count {
                true => self.base.clone(),
                false => format!("{seq:040x}"),
            };
            let record = json!({
                "seq": seq, "at": "2026-11-21T18:00:00Z", "service": service, "environment": "dev", "digest": DIGEST,
                "commit": commit, "verdict": "healthy", "actor": {"login": "ada", "id": 1},
                "run": "https://github.com/acme/storefront/actions/runs/4711/attempts/1", "account": "123456789012",
                "task_definition": format!("arn:aws:ecs:{}:123456789012:task-definition/storefront:{seq}", World::REGION),
                "previous": DIGEST, "policy": DIGEST,
            })
            .to_string();
            let hash = sha256(format!("{prev}{record}").as_bytes());
            puts.push(json!({"Put": {"TableName": World::LEDGER, "Item": {
                "chain": {"S": format!("{service}#dev")}, "seq": {"N": seq.to_string()},
                "record": {"S": record}, "hash": {"S": hash}, "prev": {"S": prev},
            }}}));
            prev = hash;
        }
        for batch in puts.chunks(BATCH) {
            let input = json!({"TransactItems": batch});
            let answer = self
                .aws
                .json("dynamodb", "DynamoDB_20120810.TransactWriteItems", &input)
                .await?;
            unless_there(answer, "writing records", &[])?;
        }
        Ok(prev)
    }

    /// A verb on the chain of so many records.
    pub(super) async fn call(
        &self,
        stage: &Stage<'_>,
        verb: &str,
        size: u64,
        trust: Trust,
    ) -> Result<Call> {
        match verb {
            "check" => {
                let verb = format!(
                    "check --environment dev --digest {} --json",
                    promote::DIGEST
                );
                let gated = promote::contract(&self.base, &promote::releaser(&self.world))?;
                let allowed = "\"allowed\": true";
                self.declared(stage, &gated, size, trust, &verb, allowed)
                    .await
            }
            "record" => self.record(stage, size, trust, "").await,
            "history" => self.plain(stage, "history --limit 10", size, trust, "aaaaaaa"),
            _ => self.plain(stage, verb, size, trust, "aaaaaaa"),
        }
    }

    /// Appends a deployment that failed. A new commit each time makes it write each time.
    async fn record(&self, stage: &Stage<'_>, size: u64, trust: Trust, more: &str) -> Result<Call> {
        let verb = format!(
            "record --environment dev --verdict failed --digest {DIGEST} --commit \"$(od -An -N20 -tx1 /dev/urandom | tr -d ' \\n')\" {more}"
        );
        let text = unproven(CONTRACT);
        self.declared(stage, &text, size, trust, &verb, "aaaaaaa")
            .await
    }

    /// A verb with a contract, run by the project.
    async fn declared(
        &self,
        stage: &Stage<'_>,
        contract: &str,
        size: u64,
        trust: Trust,
        verb: &str,
        proof: &str,
    ) -> Result<Call> {
        let named = format!("service: {}\n", service(size));
        let mut contract = contract.replacen("service: storefront\n", &named, 1);
        if trust == Trust::Both {
            let proofs = format!(
                "build:\n  keys: {{ ledger: {} }}\n  anchor: {{ bucket: {}, prefix: slipway }}\n",
                World::LEDGER_KEY,
                self.world.anchor_bucket()
            );
            contract = contract.replacen("build:\n", &proofs, 1);
        }
        let word = verb.split(' ').next().unwrap_or_default();
        // A chain is judged by the contract at one path. The calls on one chain are made one after the other.
        let folder = size.to_string();
        let home = self.folder.join(&folder);
        let mut environment = self.project.clone();
        if word == "record" {
            // Without GitHub: what is measured is the ledger, and a Deployment for each record would pile up there.
            environment.retain(|name, _| !name.starts_with("GITHUB_"));
        }
        let call = promote::promote(stage, environment, &contract, &home, verb, proof)?;
        if word == "check" {
            promote::on_branch(stage, &self.world, &self.folder, &folder).await?;
        }
        Ok(call)
    }

    /// A verb with arguments alone, by somebody who only reads.
    pub(super) fn plain(
        &self,
        stage: &Stage<'_>,
        verb: &str,
        size: u64,
        trust: Trust,
        proof: &str,
    ) -> Result<Call> {
        let home = self.folder.join("plain");
        fs::create_dir_all(&home).context("making a folder")?;
        let proofs = match trust {
            Trust::None => String::new(),
            Trust::Both => format!(
                "--ledger-key {} --anchor-bucket {} --anchor-prefix slipway",
                World::LEDGER_KEY,
                self.world.anchor_bucket()
            ),
        };
        let program = stage.build.folder.join("slipway-promote");
        let script = format!(
            "cd '{}' && exec '{}' {verb} --environment dev --ledger-service {} --ledger {} {proofs}",
            home.display(),
            program.display(),
            service(size),
            World::LEDGER
        );
        let mut call = stage.shell(&script, proof);
        call.environment = self.administrator.clone();
        Ok(call)
    }
}

/// Makes a repository with so many commits.
pub(super) fn commits(folder: &Path, count: usize) -> Result<()> {
    let git = |arguments: &[&str], input: &[u8]| -> Result<()> {
        let mut child = Command::new("git")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("starting git")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).context("writing to git")?;
        }
        let status = child.wait().context("waiting for git")?;
        match status.success() {
            true => Ok(()),
            false => Err(Fault::new(format!("git {arguments:?} ended with {status}"))),
        }
    };
    let path = folder.display().to_string();
    git(&["init", "--quiet", "--bare", &path], b"")?;
    let mut stream = String::new();
    for number in 0..count {
        let message = format!("record {number} of the chain, deployed and healthy");
        stream.push_str(&format!(
            "commit refs/heads/main\ncommitter Ada <ada@acme.example> {} +0000\ndata {}\n{message}\n",
            1_700_000_000 + number,
            message.len()
        ));
    }
    git(&["-C", &path, "fast-import", "--quiet"], stream.as_bytes())
}
