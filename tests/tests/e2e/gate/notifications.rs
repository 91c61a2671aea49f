//! Approvers are notified of a request by an issue of the repository, or by an SNS topic.

use sandbox::instance::port;
use sandbox::world::{World, http_client};
use serde_json::{Value, json};

use super::approvals::{OnGitHub, WHY, asking, next};
use super::{Ended, Gate};
use crate::support::{TIMEOUT, instance, wait};

const PEOPLE: &str = "people: [ada, grace, dora, eve]";

/// The repository's issues that are not pull requests, as the holder of this token sees them.
fn issues(gate: &Gate) -> Vec<Value> {
    let url = format!(
        "{}/repos/{}/issues?state=all&direction=asc&per_page=100",
        instance().url(port::GITHUB),
        gate.world.repository
    );
    let all: Value = wait(TIMEOUT, async {
        let client = http_client().unwrap();
        let request = client.get(&url).header("user-agent", "e2e");
        let answer = request.bearer_auth(&gate.token).send().await.unwrap();
        answer.json().await.unwrap()
    });
    let all = all.as_array().unwrap().iter();
    all.filter(|it| it["pull_request"].is_null())
        .cloned()
        .collect()
}

#[track_caller]
fn only_issue(gate: &Gate) -> Value {
    let all = issues(gate);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[track_caller]
fn says(issue: &Value, state: &str, pieces: &[&str]) {
    assert_eq!(issue["state"], state, "{issue}");
    for piece in pieces {
        let body = issue["body"].as_str().unwrap();
        assert!(body.contains(piece), "no {piece:?} in\n{body}");
    }
}

#[test]
fn a_request_has_one_issue_that_follows_the_answers() {
    let gate = asking("told-issue");
    gate.declare(&format!(", approve: {{count: 2, {PEOPLE}, notify: issue}}"));
    let hostile = "~~~ @everyone **now** [x](https://evil.example) <!-- -->";
    let asked = gate.run("linus", &["request", "--reason", hostile]);
    asked.is(0, &[]);
    let issue = only_issue(&gate);
    assert_eq!(
        asked.json["notified"]["at"], issue["html_url"],
        "{}",
        asked.text
    );
    assert_eq!(
        issue["title"],
        "Approve request 2 of storefront in production"
    );
    let may = "Who may approve: @grace, @dora, @eve (not: ada wrote part of it)";
    says(
        &issue,
        "open",
        &[
            "**0 of 2 approvals**",
            may,
            "The second",
            &format!("\n~~~~\ndigest {}\n", next()),
            hostile,
        ],
    );

    // The same request notifies the approvers only once.
    gate.run("dora", &["request", "--reason", WHY]).is(0, &[]);
    let again = only_issue(&gate);
    assert_eq!(again["updated_at"], issue["updated_at"]);
    assert_eq!(again["body"], issue["body"]);
    // Somebody else's issue that looks like it is neither taken for it nor changed.
    let planted = issue["body"].as_str().unwrap();
    plant(&gate, planted);

    let approve = ["approve", "--request", "2"];
    gate.run("grace", &approve).is(0, &[]);
    let all = issues(&gate);
    says(
        &all[0],
        "open",
        &["**1 of 2 approvals (grace)**", "@dora, @eve", "The second"],
    );
    assert_eq!(all[1]["body"], planted);
    assert_eq!(all[1]["state"], "open");
    gate.run("dora", &approve).is(0, &[]);
    let approved = &issues(&gate)[0];
    says(
        approved,
        "closed",
        &["**Approved:** 2 of 2 approvals (grace, dora)"],
    );
    assert_eq!(approved["state_reason"], "completed");

    let why = "not on a @friday";
    let reject = ["reject", "--request", "2", "--reason", why];
    gate.run("eve", &reject).is(0, &[]);
    let rejected = &issues(&gate)[0];
    says(
        rejected,
        "closed",
        &[
            "**Over:** eve rejected request 2 at ",
            "not on a @<!-- -->friday",
        ],
    );
    assert_eq!(rejected["state_reason"], "not_planned");

    // The next request has an issue of its own, which its withdrawal closes.
    let asked = gate.run("linus", &["request", "--reason", WHY]);
    asked.is(0, &[]);
    let number = asked.json["record"]["seq"].to_string();
    let all = issues(&gate);
    assert_eq!(all.len(), 3, "{all:?}");
    says(&all[2], "open", &[WHY]);
    let withdraw = ["withdraw", "--request", &number, "--reason", "later"];
    gate.run("linus", &withdraw).is(0, &[]);
    says(&issues(&gate)[2], "closed", &["**Over:** linus withdrew"]);
}

/// A stranger's issue with this text.
fn plant(gate: &Gate, body: &str) {
    let hub = sandbox::runner::hub::Hub::new(instance(), &gate.world.repository).unwrap();
    let url = format!(
        "{}/repos/{}/issues",
        instance().url(port::GITHUB),
        gate.world.repository
    );
    wait(TIMEOUT, async {
        hub.user("stranger", "User").await.unwrap();
        let role = json!({"login": "stranger", "role": "read"});
        hub.act("collaborators", &role).await.unwrap();
        let token = hub.token("stranger").await.unwrap();
        let client = http_client().unwrap();
        let request = client
            .post(&url)
            .header("user-agent", "e2e")
            .bearer_auth(token);
        let new = json!({"title": "Approve", "body": body});
        let answer = request.json(&new).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let none = json!({"login": "stranger", "role": "none"});
        hub.act("collaborators", &none).await.unwrap();
    });
}

#[test]
fn answers_that_come_at_the_same_time_leave_one_issue_that_is_right() {
    let gate = asking("told-race");
    gate.declare(&format!(", approve: {{count: 3, {PEOPLE}, notify: issue}}"));
    gate.contract_on_branch();
    let started = ["linus", "linus"].map(|person| {
        let mut command = gate.command(person, &["request", "--reason", WHY]);
        crate::support::Started::new(&mut command)
    });
    for run in started {
        let output = run.end(TIMEOUT);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let open = |gate: &Gate| {
        let all = issues(gate).into_iter();
        all.filter(|it| it["state"] == "open").collect::<Vec<_>>()
    };
    assert_eq!(open(&gate).len(), 1);
    let started = ["grace", "dora", "eve"].map(|person| {
        let mut command = gate.command(person, &["approve", "--request", "2"]);
        crate::support::Started::new(&mut command)
    });
    for run in started {
        let output = run.end(TIMEOUT);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(open(&gate), [] as [Value; 0]);
    let all = issues(&gate);
    let approved = all.iter().filter(|it| it["state_reason"] == "completed");
    assert_eq!(approved.count(), 1, "{all:?}");
}

#[test]
fn a_request_is_valid_even_if_nobody_can_be_notified() {
    let scene = OnGitHub::with("told-nobody", ", notify: issue");
    let permissions = "{actions: read, checks: read, contents: read, pull-requests: read}";
    let asked = scene.declaring(permissions, "dora", &["request", "--reason", WHY]);
    let without: [&str; 3] = [
        "request 2 stands, but the approvers could not be notified",
        "(needs `issues: read`)",
        "give the job `permissions: {issues: read}`",
    ];
    asked.is(0, &without);
    assert_nobody_was_notified(&asked);
    assert_eq!(issues(&scene.gate), [] as [Value; 0]);
    scene.declaring(permissions, "dora", &["doctor"]).is(
        3,
        &[
            "a check of production has no access to: ",
            "issues",
            "it would send a message",
        ],
    );
    let reads = permissions.replace('}', ", issues: read}");
    scene
        .declaring(&reads, "dora", &["request", "--reason", WHY])
        .is(
            0,
            &[
                "request 2 stands, but the approvers could not be notified",
                "(needs `issues: write`)",
            ],
        );
    // The next run with the permission makes up for it.
    let writes = permissions.replace('}', ", issues: write}");
    let again = scene.declaring(&writes, "dora", &["request", "--reason", WHY]);
    again.is(0, &[]);
    let issue = only_issue(&scene.gate);
    assert_eq!(
        again.json["notified"]["at"], issue["html_url"],
        "{}",
        again.text
    );
    assert_eq!(issue["user"]["login"], "github-actions[bot]");
    says(
        &issue,
        "open",
        &["gh workflow run approve.yml", "-f command=approve"],
    );
}

#[track_caller]
fn assert_nobody_was_notified(ended: &Ended) {
    let notified = &ended.json["notified"];
    assert!(
        notified["at"].is_null() && notified["why"].is_string(),
        "{}",
        ended.text
    );
}

#[test]
fn a_topic_of_the_build_account_is_notified() {
    let gate = asking("told-topic");
    let topic = World::APPROVALS_TOPIC;
    let tell = |topic: &str| {
        gate.declare(&format!(
            ", approve: {{count: 1, {PEOPLE}, notify: sns:{topic}}}"
        ));
    };
    // The documented permission is for that one topic.
    tell("other");
    let other = gate.run("linus", &["request", "--reason", WHY]);
    other.is(
        0,
        &[
            "request 2 stands, but the approvers could not be notified",
            "sns:Publish on arn:aws:sns:ca-central-1:",
        ],
    );
    assert_nobody_was_notified(&other);
    tell(topic);
    let missing = gate.run("linus", &["request", "--reason", WHY]);
    missing.is(
        0,
        &[
            "request 3 stands, but the approvers could not be notified",
            "NotFound",
        ],
    );

    let arn = format!("arn:aws:sns:ca-central-1:{}:{topic}", gate.world.build.id);
    let queue = subscribed(&gate, &arn);
    let asked = gate.run("linus", &["request", "--reason", WHY]);
    asked.is(0, &[]);
    assert_eq!(asked.json["notified"]["at"], arn, "{}", asked.text);
    let message = received(&gate, &queue);
    assert_eq!(
        message["Subject"],
        "Approve request 3 of storefront in production"
    );
    let text = message["Message"].as_str().unwrap();
    for piece in [
        "The second, by ada",
        "who may approve: grace, dora, eve",
        "slipway-promote approve",
    ] {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    let approved = gate.run("grace", &["approve", "--request", "3"]);
    approved.is(0, &[]);
    let message = received(&gate, &queue);
    assert_eq!(
        message["Subject"],
        "Request 3 of storefront in production: grace approved it"
    );
}

/// Makes the topic, with a queue behind it, and returns the queue's address.
fn subscribed(gate: &Gate, arn: &str) -> String {
    wait(TIMEOUT, async {
        let aws = &gate.build;
        let new = json!({"QueueName": "approvers"});
        let queue = aws.json("sqs", "AmazonSQS.CreateQueue", &new);
        let queue = queue.await.unwrap().unwrap()["QueueUrl"].clone();
        let behind = format!("arn:aws:sqs:ca-central-1:{}:approvers", gate.world.build.id);
        for (action, parameters) in [
            ("CreateTopic", &[("Name", World::APPROVALS_TOPIC)][..]),
            (
                "Subscribe",
                &[
                    ("TopicArn", arn),
                    ("Protocol", "sqs"),
                    ("Endpoint", &behind),
                ],
            ),
        ] {
            let made = aws.query("sns", "2010-03-31", action, parameters);
            made.await.unwrap().unwrap();
        }
        queue.as_str().unwrap().to_owned()
    })
}

/// The one message that has come since.
fn received(gate: &Gate, queue: &str) -> Value {
    let ask = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10});
    let answer = gate.build.json("sqs", "AmazonSQS.ReceiveMessage", &ask);
    let answer = wait(TIMEOUT, answer).unwrap().unwrap();
    let all = answer["Messages"].as_array().cloned().unwrap_or_default();
    assert_eq!(all.len(), 1, "{answer}");
    serde_json::from_str(all[0]["Body"].as_str().unwrap()).unwrap()
}
