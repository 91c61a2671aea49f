//! The gate's rules about time and about rolled-back digests, with the real binary at a terminal: people are AWS sessions that the contract
//! maps to logins. Earlier deployments are planted in the ledger, as `record` writes them.

mod approvals;
mod board;
mod break_glass;
mod contributors;
mod doctor;
mod edited;
pub(crate) mod elsewhere;
mod evidence;
mod evidence_of_rollback;
mod fresh;
mod mirrored;
mod moved;
mod notifications;
mod outage;
mod permit;
mod plan;
mod principal;
mod read;
mod reviewers;
mod rollback;
mod shown;
mod teams;
mod times;

use std::process::Command;

use sandbox::instance::{port, sha256};
use sandbox::runner::hub::number;
use sandbox::runner::story::{AUTHOR, REVIEWER, Story, contract_on_branch};
use sandbox::world::aws::Aws;
use sandbox::world::{World, http_client};
use serde_json::{Value, json};

use crate::support::{Started, TIMEOUT, instance, log, session, wait, world};

/// The role in whose sessions people promote.
const ROLE: &str = "slipway-codebuild-production";
/// The output of a decision that allows the promotion.
const ALLOWED: &str = "\"allowed\": true";

/// A world with three reviewed changes, the contract of a test in a folder, and what it knows of the ledger.
pub(super) struct Gate {
    pub(super) world: World,
    /// The commits of the changes, in the order in which they were merged.
    pub(super) commits: Vec<String>,
    token: String,
    pub(super) build: Aws,
    pub(super) folder: tempfile::TempDir,
}

/// How a command ended, and all that it wrote.
pub(super) struct Ended {
    pub(super) exit: Option<i32>,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Ended {
    /// Expects the exit code, and these texts in the output.
    #[track_caller]
    pub(super) fn is(&self, exit: i32, expected: &[&str]) {
        assert_eq!(self.exit, Some(exit), "{}", self.text);
        for piece in expected {
            assert!(self.text.contains(piece), "no {piece:?} in\n{}", self.text);
        }
    }

    /// The answer of a rule.
    #[track_caller]
    pub(super) fn answer(&self, rule: &str) -> &str {
        let mut rules = self.json["rules"].as_array().unwrap().iter();
        let found = rules.find(|found| found["rule"] == rule);
        found.unwrap()["answer"].as_str().unwrap()
    }

    /// The rules that refuse.
    pub(super) fn refusing(&self) -> Vec<&str> {
        let rules = self.json["rules"].as_array().unwrap().iter();
        rules
            .filter(|rule| rule["answer"] == "fail" || rule["answer"] == "unknown")
            .map(|rule| rule["rule"].as_str().unwrap())
            .collect()
    }
}

impl Gate {
    pub(super) fn new(name: &str) -> Self {
        wait(TIMEOUT, async {
            let world = world(name).await;
            let story = Story::begin(instance(), &world).await.unwrap();
            let mut commits = Vec::new();
            for title in ["The first", "The second", "The third"] {
                let notes = [("NOTES.md", title)];
                let commit = story.change(AUTHOR, REVIEWER, title, &notes).await;
                commits.push(commit.unwrap());
            }
            Self {
                token: story.hub.token(REVIEWER).await.unwrap(),
                build: world.administrator(instance(), &world.build).await.unwrap(),
                commits,
                world,
                folder: tempfile::tempdir().unwrap(),
            }
        })
    }

    /// Writes the contract, with this in production's gate.
    pub(super) fn declare(&self, gate: &str) {
        let people: String = ["ada", "grace", "linus", "dora", "eve"]
            .iter()
            .map(|login| self.listed(login))
            .collect();
        self.declare_among(&people, gate);
    }

    /// A person's line under `people`.
    fn listed(&self, login: &str) -> String {
        let (id, principal) = (number(login), self.principal(login));
        format!("  {login}: {{id: {id}, aws: [{principal}]}}\n")
    }

    /// The principal that a person is.
    pub(super) fn principal(&self, login: &str) -> String {
        self.world.principal(ROLE, login)
    }

    /// The same with these people.
    pub(super) fn declare_among(&self, people: &str, gate: &str) {
        // Most of these tests are about something else than the reviews of a rollback.
        let gate = match gate.contains("rollback:") {
            true => gate.to_owned(),
            false => format!("{gate}, rollback: {{approvals: 0}}"),
        };
        let contract = format!(
            "version: 1\nservice: storefront\nimage: {{repository: placeholder}}\nbuild: {{account: var:BUILD_ACCOUNT_ID, region: ca-central-1}}\n\
             people:\n{people}environments:\n  staging: {{account: var:STAGING_ACCOUNT_ID}}\n  \
             production:\n    account: var:PRODUCTION_ACCOUNT_ID\n    follows: staging\n    \
             gate: {{approvals: 1, checks: [test]{gate}}}\n"
        );
        std::fs::write(self.folder.path().join("delivery.yaml"), contract).unwrap();
    }

    /// Puts the contracts of the folder on the branch, which judge only if the branch has them so.
    pub(super) fn contract_on_branch(&self) {
        for path in ["delivery.yaml", "shop/delivery.yaml"] {
            let file = self.folder.path().join(path);
            if file.exists() {
                let put = contract_on_branch(instance(), &self.world, &file, path);
                wait(TIMEOUT, put).unwrap();
            }
        }
    }

    /// The same, with more about one of the people than a principal.
    pub(super) fn declare_knowing(&self, login: &str, known: &str, gate: &str) {
        self.declare(gate);
        let file = self.folder.path().join("delivery.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let line = self.listed(login);
        assert!(text.contains(&line), "{text}");
        let text = text.replace(&line, &format!("  {login}: {known}\n"));
        std::fs::write(file, text).unwrap();
    }

    /// Puts records into an environment's chain, oldest first, as another run would have written them. Answers the hash of the
    /// last one.
    pub(super) fn plant(&self, environment: &str, records: &[Value]) -> String {
        let mut prev = "0".repeat(64);
        for (seq, record) in (1..).zip(records) {
            let mut content = json!({"seq": seq});
            for (name, value) in record.as_object().unwrap() {
                content[name] = value.clone();
            }
            content["environment"] = json!(environment);
            let bytes = content.to_string();
            let hash = sha256(format!("{prev}{bytes}").as_bytes());
            let item = json!({
                "chain": {"S": format!("storefront#{environment}")}, "seq": {"N": seq.to_string()},
                "record": {"S": bytes}, "hash": {"S": hash}, "prev": {"S": prev},
            });
            let input = json!({"TableName": World::LEDGER, "Item": item});
            let put = self
                .build
                .json("dynamodb", "DynamoDB_20120810.PutItem", &input);
            wait(TIMEOUT, put).unwrap().unwrap();
            prev = hash;
        }
        prev
    }

    /// A healthy record of a digest and one of the commits.
    pub(super) fn healthy(&self, digest: &str, commit: usize) -> Value {
        json!({
            "at": "2026-11-21T18:00:00Z", "service": "storefront", "digest": digest,
            "commit": self.commits[commit], "verdict": "healthy", "actor": {"login": "linus"},
        })
    }

    /// Sets a change calendar of production from now on.
    pub(super) fn calendar(&self, name: &str, state: &str, next: Option<&str>) {
        let account = &self.world.environment("production").unwrap().account.id;
        let calendar = json!({"account": account, "region": World::REGION, "name": name, "state": state, "next": next});
        let url = format!("{}/_sandbox/calendars", instance().url(port::GATEWAY));
        let answer = wait(TIMEOUT, async {
            let http = http_client().unwrap();
            http.post(&url).json(&calendar).send().await.unwrap()
        });
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// The step at a terminal, in the session of a person that production's stage trusts.
    pub(super) fn command(&self, person: &str, arguments: &[&str]) -> Command {
        let mut command = self.command_everywhere(person, arguments);
        command.args(["--environment", "production"]);
        command
    }

    /// The same without an environment.
    fn command_everywhere(&self, person: &str, arguments: &[&str]) -> Command {
        let session = format!("{person}@acme.example");
        let keys = self
            .world
            .codebuild_session(instance(), "production", &session);
        let keys = wait(TIMEOUT, keys).unwrap();
        let production = self.world.environment("production").unwrap();
        let mut command = Command::new(instance().built().join("slipway-promote"));
        command
            .args(arguments)
            .arg("--json")
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.world.variables(instance()))
            .envs(self.world.repository_variables())
            .envs(self.world.environment_variables(production))
            .envs(keys.variables())
            .env("GITHUB_REPOSITORY", &self.world.repository)
            .env("GITHUB_TOKEN", &self.token);
        command
    }

    /// The same by the branch's contract.
    pub(super) fn run(&self, person: &str, arguments: &[&str]) -> Ended {
        self.contract_on_branch();
        ended(&mut self.command(person, arguments))
    }

    /// The step of a person without an environment.
    fn everywhere(&self, person: &str, arguments: &[&str]) -> Ended {
        ended(&mut self.command_everywhere(person, arguments))
    }

    /// The same while nothing of GitHub answers.
    pub(super) fn without_github(&self, person: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(person, arguments);
        command
            .env("GITHUB_API_URL", "http://127.0.0.1:1")
            .env("GITHUB_GRAPHQL_URL", "http://127.0.0.1:1/graphql");
        ended(&mut command)
    }

    /// Deploys a digest to production past its gate, with more rights than the documented ones: what is judged and recorded is
    /// what these tests are about.
    pub(super) fn deploy(&self, digest: &str) {
        self.deploy_to("production", digest);
    }

    /// The same in any environment.
    pub(super) fn deploy_to(&self, name: &str, digest: &str) {
        let environment = self.world.environment(name).unwrap();
        let (cluster, service) = (
            environment.cluster(&self.world.service),
            &self.world.service,
        );
        let keys = wait(TIMEOUT, async {
            let may = self.world.deploys_anything(instance(), environment);
            may.await.unwrap();
            session(&self.world, name, "slipway-deploy").await
        });
        let mut deploy = Command::new(instance().built().join("slipway-service"));
        deploy
            .args([
                "deploy",
                "--cluster",
                &cluster,
                "--service",
                service,
                "--digest",
                digest,
            ])
            .env_clear()
            .envs(self.world.variables(instance()))
            .envs(keys.variables());
        ended(&mut deploy).is(0, &[]);
    }

    /// The digest of a new image that serves, in the build account's registry.
    pub(super) fn image(&self, mark: &str) -> String {
        let serves = [
            "/bin/busybox",
            "sh",
            "-c",
            "exec busybox httpd -f -p 8080 -h /www",
            mark,
        ];
        let reference = wait(TIMEOUT, self.world.image(instance(), &serves)).unwrap();
        reference.split_once('@').unwrap().1.to_owned()
    }
}

fn ended(command: &mut Command) -> Ended {
    let output = Started::new(command).end(TIMEOUT);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let json: Value = serde_json::from_str(&out).unwrap_or_default();
    Ended {
        exit: output.status.code(),
        // A refusal has the decision beside the error.
        json: json.get("details").cloned().unwrap_or(json),
        text: format!("{}{out}", log(&output)),
    }
}

/// A digest of nothing.
pub(super) fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}
