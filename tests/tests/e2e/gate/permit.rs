//! Permits: granted, used, recorded and void, with the real binary. The record that `slipway-service deploy` writes when it begins is put
//! into the ledger in the same form, so that each moment in between can be examined.

use std::process::Command;

use sandbox::instance::{port, sha256};
use sandbox::runner::hub::Hub;
use sandbox::runner::story::{RELEASER, git_folder};
use sandbox::world::{World, http_client};
use serde_json::{Value, json};

use super::{ALLOWED, Ended, Gate, ROLE, digest, ended};
use crate::gateway;
use crate::record;
use crate::support::{Started, TIMEOUT, instance, log, now, wait};

impl Gate {
    /// The chain's records, oldest first, with their hashes.
    pub(super) fn chain(&self) -> Vec<(Value, String)> {
        let input = json!({
            "TableName": World::LEDGER, "ConsistentRead": true, "KeyConditionExpression": "#chain = :chain",
            "ExpressionAttributeNames": {"#chain": "chain"},
            "ExpressionAttributeValues": {":chain": {"S": "storefront#production"}},
        });
        let call = self
            .build
            .json("dynamodb", "DynamoDB_20120810.Query", &input);
        let answer = wait(TIMEOUT, call).unwrap().unwrap();
        let items = answer["Items"].as_array().unwrap().iter();
        let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap().to_owned();
        items
            .map(|item| {
                let record = serde_json::from_str(&text(item, "record")).unwrap();
                (record, text(item, "hash"))
            })
            .collect()
    }

    /// Puts one more record at the end of production's chain.
    fn add(&self, record: &Value) -> u64 {
        self.add_after(&self.chain(), record)
    }

    /// Puts a record in the place of the newest one of production's chain.
    pub(super) fn replace_newest(&self, record: &Value) {
        let mut chain = self.chain();
        chain.pop();
        self.add_after(&chain, record);
    }

    fn add_after(&self, chain: &[(Value, String)], record: &Value) -> u64 {
        let prev = chain.last().unwrap().1.clone();
        let seq = chain.len() as u64 + 1;
        let mut content = record.clone();
        content["seq"] = json!(seq);
        let bytes = content.to_string();
        let hash = sha256(format!("{prev}{bytes}").as_bytes());
        let item = json!({
            "chain": {"S": "storefront#production"}, "seq": {"N": seq.to_string()},
            "record": {"S": bytes}, "hash": {"S": hash}, "prev": {"S": prev},
        });
        let input = json!({"TableName": World::LEDGER, "Item": item});
        let call = self
            .build
            .json("dynamodb", "DynamoDB_20120810.PutItem", &input);
        wait(TIMEOUT, call).unwrap().unwrap();
        seq
    }

    /// Begins a deployment under a permit, at this time.
    pub(super) fn begin(&self, permit: u64, by: &str, run: Option<&str>, at: &str) -> u64 {
        let chain = self.chain();
        let (permitted, _) = &chain[usize::try_from(permit).unwrap() - 1];
        let mut record = permitted.clone();
        let members = record.as_object_mut().unwrap();
        members.remove("permit");
        members.remove("run");
        record["verdict"] = json!("started");
        record["under"] = json!(permit);
        record["actor"] = json!({"login": by});
        record["at"] = json!(at);
        if let Some(run) = run {
            record["run"] = json!(run);
        }
        self.add(&record)
    }

    /// The step in a build of production's stage that a person started.
    pub(super) fn built(&self, person: &str, build: &str, arguments: &[&str]) -> Command {
        self.contract_on_branch();
        let mut command = self.command(person, arguments);
        let resource = format!("build/promote:{build}");
        let arn = self.world.arn(&self.world.build.id, "codebuild", &resource);
        command
            .env("CODEBUILD_BUILD_ARN", arn)
            .env("CODEBUILD_BUILD_ID", format!("promote:{build}"))
            .env(
                "CODEBUILD_INITIATOR",
                format!("{ROLE}/{person}@acme.example"),
            )
            .env("CODEBUILD_RESOLVED_SOURCE_VERSION", &self.commits[2])
            .env("CODEBUILD_BUILD_URL", page(build));
        command
    }

    /// The head of a pull request.
    fn head_of(&self, pull: u64) -> String {
        let github = instance().url(port::GITHUB);
        let url = format!("{github}/repos/{}/pulls/{pull}", self.world.repository);
        let answer: Value = wait(TIMEOUT, async {
            let request = http_client().unwrap().get(&url).bearer_auth(&self.token);
            let request = request.header("user-agent", "e2e").send().await.unwrap();
            request.json().await.unwrap()
        });
        answer["head"]["sha"].as_str().unwrap().to_owned()
    }

    /// Kills a step while it waits for the answer to its first write.
    fn killed(&self, mut command: Command) {
        let account = &self.world.build.id;
        gateway::killed(account, "dynamodb", "TransactWriteItems", &mut command);
    }
}

impl Ended {
    /// The permit that was granted.
    #[track_caller]
    pub(super) fn permit(&self) -> u64 {
        let found = self.json["permit"]["record"].as_u64();
        found.unwrap_or_else(|| panic!("no permit: {}", self.text))
    }
}

/// The page of a build.
fn page(build: &str) -> String {
    format!("https://ci.example/builds/{build}")
}

/// The arguments that record a deployment.
fn recording<'a>(digest: &'a str, commit: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let own = ["record", "--digest", digest, "--commit", commit];
    [&own[..], more].concat()
}

#[test]
fn a_permit_is_granted_used_once_and_closed_by_the_deployments_record() {
    let gate = Gate::new("permit-once");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let fix = gate.image("fix");
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let commit = gate.commits[1].as_str();

    let dry = gate.run("linus", &["grant", "--digest", &fix, "--dry-run"]);
    dry.is(0, &[ALLOWED, "permitted"]);
    assert_eq!(gate.chain().len(), 1, "a dry run writes nothing");
    let calls = wait(TIMEOUT, record::calls(&gate.world));
    let mut roles = calls.iter().filter_map(record::Call::role);
    let permits = roles.find(|role| role.starts_with("slipway-permit"));
    assert_eq!(permits, None, "a dry run needs the role that reads alone");
    let refused = gate.run("linus", &["grant", "--digest", &digest('9')]);
    refused.is(3, &["no record of this digest in staging"]);
    assert_eq!(gate.chain().len(), 1, "what is refused is not permitted");

    let granted = gate.run("linus", &["grant", "--digest", &fix]);
    granted.is(0, &[ALLOWED]);
    assert_eq!(granted.permit(), 2);
    let chain = gate.chain();
    let (record, permit) = (&chain[1].0, &chain[1].0["permit"]);
    assert_eq!(record["verdict"], "permitted", "{record}");
    assert_eq!(record["digest"], json!(fix), "{record}");
    let production = gate.world.environment("production").unwrap();
    assert_eq!(record["account"], json!(production.account.id), "{record}");
    assert_eq!(permit["head"], json!(chain[0].1), "{record}");
    assert_eq!(permit["base"], json!(gate.commits[0]), "{record}");
    for list in ["pulls", "reviews", "approvers"] {
        assert_eq!(permit[list].as_array().unwrap().len(), 1, "{record}");
    }
    gate.run("grace", &["status"])
        .is(0, &["permit 2 of linus for sha256:"]);
    gate.run("grace", &["history"]).is(0, &["permitted"]);

    // Nothing was deployed under it yet, and what it does not permit is not recorded.
    let record = |person: &str, digest: &str, more: &[&str]| {
        gate.run(person, &recording(digest, commit, more))
    };
    record("linus", &fix, &["--permit", "2"]).is(3, &["no deployment began under it"]);
    record("linus", &digest('1'), &["--permit", "2"]).is(3, &["it permits sha256:"]);
    record("linus", &fix, &["--permit", "1"]).is(3, &["is not a permit: healthy"]);
    record("linus", &fix, &["--permit", "7"]).is(3, &["has no record 7"]);

    gate.begin(2, "linus", None, &now());
    gate.deploy(&fix);
    let busy = gate.run("ada", &["grant", "--digest", &fix]);
    busy.is(
        3,
        &[
            "is not recorded yet",
            "linus at",
            "under permit 2",
            "--verdict failed",
        ],
    );
    gate.run("grace", &["status"])
        .is(0, &["started by linus at", "under permit 2"]);
    let written = record("linus", &fix, &["--permit", "2"]);
    written.is(0, &[]);
    assert_eq!(written.json["record"]["under"], 2, "{}", written.json);
    let again = record("linus", &fix, &["--permit", "2"]);
    again.is(0, &[]);
    assert_eq!(again.json["already"], true, "{}", again.json);
    let failed = ["--permit", "2", "--verdict", "failed"];
    record("linus", &fix, &failed).is(3, &["permit 2 is closed", "record 4 closed it: healthy"]);
    gate.run("grace", &["verify"]).is(0, &[]);
    assert_eq!(gate.chain().len(), 4);
}

#[test]
fn of_permits_that_race_one_is_used() {
    let gate = Gate::new("permit-race");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let commit = gate.commits[1].as_str();
    let builds = ["1", "2", "3", "4", "5", "6"];
    let grant = ["grant", "--digest", &fix];
    let racing: Vec<Started> = builds
        .iter()
        .map(|build| Started::new(&mut gate.built("linus", build, &grant)))
        .collect();
    for run in racing {
        let output = run.end(TIMEOUT);
        assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    }
    gate.run("grace", &["verify"]).is(0, &[]);
    let chain = gate.chain();
    assert_eq!(chain.len(), 7);
    // Each build finds its own again.
    for build in builds {
        let own = ended(&mut gate.built("linus", build, &grant));
        own.is(0, &[ALLOWED]);
        assert_eq!(own.json["permit"]["already"], true, "{}", own.text);
        let (record, _) = &chain[usize::try_from(own.permit()).unwrap() - 1];
        assert_eq!(record["run"], json!(page(build)), "{record}");
    }
    assert_eq!(gate.chain().len(), 7);

    // One of them deploys. The others neither get another one, nor end what it began.
    let first = chain[1].0["run"].as_str().unwrap().to_owned();
    gate.begin(2, "linus", Some(&first), &now());
    let own = first.rsplit('/').next().unwrap();
    let other = builds.iter().find(|build| **build != own).unwrap();
    ended(&mut gate.built("linus", other, &grant)).is(3, &["is not recorded yet", &first]);
    ended(&mut gate.built("linus", own, &grant)).is(0, &[ALLOWED]);
    let failing = |build: &str, permit: &str| {
        let more = ["--verdict", "failed", "--permit", permit];
        ended(&mut gate.built("linus", build, &recording(&fix, commit, &more)))
    };
    // Nothing of theirs began, so that nothing failed.
    let nothing = &["\"record\": null"];
    failing(other, "3").is(0, nothing);
    assert_eq!(gate.chain().len(), 8);
    failing(other, "2").is(3, &["began it", "without --permit"]);
    failing(own, "2").is(0, &[]);
    failing(other, "3").is(0, nothing);
    assert_eq!(gate.chain().len(), 9);
    ended(&mut gate.built("linus", other, &grant)).is(0, &[ALLOWED]);
}

#[test]
fn a_newer_deployment_voids_a_permit_and_time_ends_what_began() {
    let gate = Gate::new("permit-void");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let fix = gate.image("fix");
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let commit = gate.commits[1].as_str();
    gate.run("linus", &["grant", "--digest", &fix]).is(0, &[]);
    gate.begin(2, "linus", None, &now());
    gate.deploy(&fix);
    // A person ends what seems dead.
    let failed = recording(&fix, commit, &["--verdict", "failed"]);
    gate.run("ada", &failed).is(0, &[]);
    let late = gate.run("linus", &recording(&fix, commit, &["--permit", "2"]));
    late.is(
        3,
        &["another deployment to production was recorded", "record 4"],
    );
    let again = gate.run("linus", &["grant", "--digest", &fix]);
    again.is(0, &[ALLOWED]);
    assert_eq!(again.permit(), 5);

    // A deployment that began long ago and has no end no longer counts.
    gate.begin(5, "linus", None, "2026-11-21T18:00:00Z");
    let after = gate.run("ada", &["grant", "--digest", &fix]);
    after.is(0, &[ALLOWED]);
    assert_eq!(after.permit(), 7);
    gate.run("grace", &["status"])
        .is(0, &["permit 7 of ada for sha256:"]);
}

#[test]
fn a_run_that_was_killed_ends_right_when_it_runs_again() {
    let gate = Gate::new("permit-killed");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let fix = gate.image("fix");
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare("");
    let commit = gate.commits[1].as_str();
    let grant = ["grant", "--digest", &fix];
    gate.killed(gate.built("linus", "1", &grant));
    assert_eq!(gate.chain().len(), 1);
    let granted = ended(&mut gate.built("linus", "1", &grant));
    granted.is(0, &[ALLOWED]);
    assert_eq!(granted.permit(), 2);
    let run = page("1");
    gate.begin(2, "linus", Some(&run), &now());
    gate.deploy(&fix);
    // After the beginning, the same run gets its own permit.
    let again = ended(&mut gate.built("linus", "1", &grant));
    again.is(0, &[ALLOWED]);
    assert_eq!(again.permit(), 2);
    let record = recording(&fix, commit, &["--permit", "2"]);
    gate.killed(gate.built("linus", "1", &record));
    assert_eq!(gate.chain().len(), 3);
    // Another person who sees the digest run may record it, also from a new run.
    let written = ended(&mut gate.built("ada", "2", &record));
    written.is(0, &[]);
    assert_eq!(written.json["record"]["under"], 2, "{}", written.json);
    ended(&mut gate.built("linus", "1", &record))
        .is(3, &["permit 2 is closed", "by ada", &page("2")]);
    let chain = gate.chain();
    let verdicts: Vec<&str> = chain
        .iter()
        .map(|(record, _)| record["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["healthy", "permitted", "started", "healthy"]);
    gate.run("grace", &["verify"]).is(0, &[]);
}

#[test]
fn after_a_run_died_its_next_attempt_continues_and_a_rollback_need_not_wait() {
    let gate = Gate::new("permit-died");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let [good, fix] = ["good", "fix"].map(|mark| gate.image(mark));
    gate.plant("staging", &[gate.healthy(&good, 0), gate.healthy(&fix, 1)]);
    let older = gate.healthy(&digest('1'), 0);
    gate.plant("production", &[older, gate.healthy(&good, 0)]);
    gate.declare("");
    let grant = ["grant", "--digest", &fix];
    let (first, second) = ("7/attempts/1", "7/attempts/2");
    let granted = ended(&mut gate.built("linus", first, &grant));
    granted.is(0, &[ALLOWED]);
    assert_eq!(granted.permit(), 3);
    gate.begin(3, "linus", Some(&page(first)), &now());
    ended(&mut gate.built("linus", "8", &grant)).is(
        3,
        &[
            "is not recorded yet",
            "a rollback need not wait",
            "run its failed jobs again",
        ],
    );
    let again = ended(&mut gate.built("linus", second, &grant));
    again.is(0, &[ALLOWED]);
    assert_eq!(again.permit(), 5);

    // The deployment that began may be running, so the rollback goes to the digest of the newest record.
    let back = gate.without_github("ada", &["grant", "--rollback"]);
    back.is(0, &[ALLOWED, &good]);
    assert_eq!(back.permit(), 6);
    gate.begin(6, "ada", None, &now());
    gate.deploy(&good);
    // The deployment that it superseded is over, whatever its outcome.
    let failed = ["--permit", "3", "--verdict", "failed"];
    let late = recording(&fix, &gate.commits[1], &failed);
    for attempt in [first, second] {
        ended(&mut gate.built("linus", attempt, &late))
            .is(3, &["ada at", "has since begun another deployment"]);
    }
    let record = recording(&good, &gate.commits[0], &["--permit", "6"]);
    let written = gate.run("ada", &record);
    written.is(0, &[]);
    assert_eq!(written.json["record"]["under"], 6, "{}", written.json);
    let from = &written.json["record"]["rollback"]["from"];
    assert_eq!(*from, json!(fix), "{}", written.json);
    let check = gate.run("ada", &["check", "--digest", &fix]);
    check.is(3, &["production was rolled back from it"]);
    gate.run("grace", &["verify"]).is(0, &[]);
}

/// A permit lasts an hour. A change within it is noticed when the same build is judged again, right before it deploys.
#[test]
fn what_changes_after_a_permit_refuses_when_the_promotion_is_judged_again() {
    let gate = Gate::new("permit-again");
    let hub = Hub::new(instance(), &gate.world.repository).unwrap();
    let act = |action: &str, body: &Value| wait(TIMEOUT, hub.act(action, body)).unwrap();
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    gate.declare(", calendars: [sales]");
    let open = || gate.calendar("sales", "OPEN", Some("2999-01-01T00:00:00Z"));
    open();
    let granted = ended(&mut gate.built("linus", "1", &["grant", "--digest", &fix]));
    granted.is(0, &[ALLOWED]);
    let permit = granted.permit().to_string();
    let again = ["grant", "--digest", &fix, "--permit", &permit];
    let judged = || ended(&mut gate.built("linus", "1", &again));
    let refused = |rule: &str| {
        let refused = judged();
        refused.is(3, &[]);
        // Without an approval, who approved is not known either.
        assert_eq!(refused.refusing()[0], rule, "{}", refused.text);
    };
    let same = judged();
    same.is(0, &[ALLOWED]);
    // It is as young as its judgement.
    assert_eq!(same.permit(), 3);

    // A freeze.
    gate.calendar("sales", "CLOSED", None);
    refused("calendar");
    open();
    // A check of the change fails.
    let rests_on = gate.chain()[1].0["permit"].clone();
    let pull = rests_on["pulls"][0].as_u64().unwrap();
    let head = gate.head_of(pull);
    let check = |conclusion: &str| {
        let run = json!({"ref": head, "name": "test", "conclusion": conclusion});
        act("check-runs", &run);
    };
    check("failure");
    refused("checks");
    check("success");
    judged().is(0, &[ALLOWED]);
    assert_eq!(gate.chain().len(), 4);
    // Somebody objects, and takes that back.
    let reviews = format!("pulls/{pull}/reviews");
    let objection = json!({"user": RELEASER, "state": "CHANGES_REQUESTED"});
    act(&reviews, &objection);
    refused("approvals");
    assert_eq!(gate.chain().len(), 4, "nothing more was permitted");
    // It rests on one approval more.
    act(&reviews, &json!({"user": RELEASER, "state": "APPROVED"}));
    let more = judged();
    more.is(0, &[ALLOWED]);
    let (newest, _) = gate.chain().pop().unwrap();
    assert_eq!(newest["seq"], more.permit());
    assert_ne!(newest["permit"]["reviews"], rests_on["reviews"]);
    // The approvals are dismissed.
    act(
        &reviews,
        &json!({"user": RELEASER, "state": "CHANGES_REQUESTED"}),
    );
    let review = rests_on["reviews"][0].as_u64().unwrap();
    act(&format!("{reviews}/{review}/dismiss"), &json!({}));
    refused("approvals");
    assert_eq!(gate.chain().len(), 5, "nothing more was permitted");

    // A deployment that this build began goes on; one that another build began does not.
    let began = gate.begin(2, "linus", Some(&page("1")), &now());
    let went_on = judged();
    went_on.is(0, &["this run began its deployment under it"]);
    assert_eq!(went_on.permit().to_string(), permit);
    let other = ended(&mut gate.built("linus", "2", &again));
    other.is(3, &[]);
    assert_eq!(gate.chain().len() as u64, began);
}

/// The commits that were reviewed last are gone from the branch, and an older contract may judge.
#[test]
fn a_branch_that_was_set_back_since_a_permit_promotes_nothing() {
    let gate = Gate::new("permit-back");
    gate.declare("");
    let good = digest('2');
    gate.plant("staging", &[gate.healthy(&good, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    let git = |arguments: &[&str]| {
        let folder = git_folder(instance(), &gate.world);
        let mut git = Command::new("git");
        let output = git.arg("-C").arg(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let main = |commit: &str| git(&["update-ref", "refs/heads/main", commit]);
    let grant = ["grant", "--digest", &good];
    let granted = gate.run("linus", &grant);
    granted.is(0, &[ALLOWED]);
    let (permit, _) = gate.chain().pop().unwrap();
    let tip = git(&["rev-parse", "main"]);
    assert_eq!(permit["permit"]["tip"], tip, "{permit}");

    main(&gate.commits[1]);
    let number = granted.permit().to_string();
    let again = [&grant[..], &["--permit", &number]].concat();
    let words = format!(
        "main was set back: it no longer contains {}, its newest commit when permit {number} was granted",
        &tip[..7]
    );
    for arguments in [&["check", "--digest", &good][..], &grant, &again] {
        let refused = gate.run("linus", arguments);
        refused.is(3, &[&words]);
        assert_eq!(refused.refusing(), ["branch"], "{}", refused.text);
    }
    assert_eq!(gate.chain().len(), 2, "nothing more was permitted");
    main(&tip);
    gate.run("linus", &again).is(0, &[ALLOWED]);

    // The records that are read first end between the permit and its deployment.
    gate.begin(2, "linus", None, &now());
    let mut healthy = gate.healthy(&good, 1);
    healthy["environment"] = json!("production");
    healthy["under"] = json!(2);
    gate.add(&healthy);
    for _ in 0..8 {
        let mut review = healthy.clone();
        review["verdict"] = json!("reviewed");
        gate.add(&review);
    }
    main(&gate.commits[1]);
    let refused = gate.run("linus", &["check", "--digest", &good]);
    refused.is(3, &["main was set back"]);
    assert_eq!(refused.refusing(), ["branch"], "{}", refused.text);
}
