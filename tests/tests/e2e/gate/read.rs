//! The verbs that read: what they show of records, commits and services, and what they say where they cannot see.

use serde_json::json;

use super::approvals::{OnGitHub, WHY, asking};
use super::{ALLOWED, Gate, digest};
use crate::support::{TIMEOUT, instance, wait};

#[test]
fn two_environments_are_compared_and_what_one_runs_is_checked() {
    let gate = asking("gate-compared");
    gate.declare("");
    // Staging runs one change more than production.
    let merged = &gate.commits[1];
    for (arguments, more) in [
        (["diff", "staging", "production"], "ahead"),
        (["diff", "production", "staging"], "behind"),
    ] {
        let diff = gate.everywhere("grace", &arguments);
        diff.is(0, &[]);
        assert_eq!(diff.json["same_digest"], false, "{}", diff.text);
        let less = if more == "ahead" { "behind" } else { "ahead" };
        assert_eq!(diff.json[less], json!([]), "{}", diff.text);
        let commits = diff.json[more].as_array().unwrap();
        // The change itself, and its merge.
        assert_eq!(commits.len(), 2, "{}", diff.text);
        assert_eq!(commits[1]["sha"], json!(merged), "{}", diff.text);
    }
    gate.everywhere("grace", &["diff", "staging", "staging"])
        .is(2, &["staging is compared with itself"]);

    // `--from staging` checks the digest that staging runs; nobody has to type it.
    let check = gate.run("linus", &["check", "--from", "staging"]);
    check.is(0, &[ALLOWED]);
    assert_eq!(check.json["digest"], json!(digest('2')), "{}", check.text);
    let nothing = gate.run("linus", &["check", "--from", "production"]);
    nothing.is(3, &["no record of this digest in staging"]);

    // Where GitHub does not answer, no commits are left out in silence.
    let mut blind = gate.command_everywhere("grace", &["diff", "staging", "production"]);
    blind
        .env("GITHUB_API_URL", "http://127.0.0.1:1")
        .env("GITHUB_GRAPHQL_URL", "http://127.0.0.1:1/graphql");
    super::ended(&mut blind).is(3, &["the commits between the environments are not known"]);
}

/// A person who keeps a copy of the newest hash can tell whether the chain was cut off or is the one they know.
#[test]
fn a_chain_is_held_against_the_hash_that_somebody_knows() {
    let gate = Gate::new("gate-head");
    gate.declare("");
    let records = [gate.healthy(&digest('1'), 0), gate.healthy(&digest('2'), 1)];
    let newest = gate.plant("production", &records);
    let verify = |head: &str| gate.run("grace", &["verify", "--head", head]);
    verify(&newest).is(0, &[]);
    let first = gate.plant("production", &records[..1]);
    let older = verify(&first);
    older.is(3, &["storefront#production"]);
    verify(&"a".repeat(64)).is(3, &[]);
    verify("latest").is(2, &["is not the hash of a record"]);
}

#[test]
fn what_runs_is_compared_with_what_is_recorded() {
    let gate = Gate::new("gate-live");
    gate.declare("");
    wait(TIMEOUT, gate.world.serve(instance())).unwrap();
    let good = gate.image("live");
    gate.plant("production", &[gate.healthy(&good, 0)]);
    let live = || {
        let status = gate.run("grace", &["status", "--live"]);
        status.is(0, &[]);
        (status.json["environments"][0]["live"].clone(), status.text)
    };
    let (seen, text) = live();
    assert_eq!(seen["healthy"], false, "{text}");
    assert!(!seen["missing"].as_array().unwrap().is_empty(), "{text}");
    gate.deploy(&good);
    let (seen, text) = live();
    assert_eq!(seen["healthy"], true, "{text}");
}

/// Each permission that the token lacks is named, with the facts that a check would not see.
#[test]
fn the_doctor_names_what_the_token_may_not_read() {
    let scene = OnGitHub::approved_by("gate-doctor", "[dora, grace, linus]", "");
    wait(TIMEOUT, scene.gate.world.serve(instance())).unwrap();
    let all = "{actions: read, checks: read, contents: read, pull-requests: read}";
    scene.declaring(all, "grace", &["doctor"]).is(0, &[]);
    for (lacking, facts) in [
        ("checks", &["checks"][..]),
        ("pull-requests", &["pull requests"]),
        ("contents", &["comparison of commits", "pushes"]),
        ("actions", &["promoter"]),
    ] {
        let rest: Vec<String> = ["actions", "checks", "contents", "pull-requests"]
            .iter()
            .filter(|name| **name != lacking)
            .map(|name| format!("{name}: read"))
            .collect();
        let given = format!("{{{}}}", rest.join(", "));
        let doctor = scene.declaring(&given, "grace", &["doctor"]);
        let needs = format!("{lacking}: read");
        doctor.is(3, &["has no access to: ", &needs]);
        let listed = doctor.json["facts"].as_array().unwrap();
        for fact in facts {
            let found = listed
                .iter()
                .find(|row| row["fact"].as_str().unwrap().contains(fact));
            let found = found.unwrap_or_else(|| panic!("no {fact}: {}", doctor.text));
            assert_eq!(found["seen"], false, "{lacking}: {}", doctor.text);
            assert!(found["next"].as_str().unwrap().contains(&needs), "{found}");
        }
    }
}

/// A person who opens the page sees what waits, and whether it waits for them.
#[test]
fn the_board_names_requests_and_those_whom_they_wait_for() {
    let gate = asking("gate-waiting");
    gate.declare(", approve: {count: 2, people: [ada, grace, dora, eve]}");
    gate.run("linus", &["request", "--reason", WHY]).is(0, &[]);
    gate.run("grace", &["approve", "--request", "2"]).is(0, &[]);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("board.html");
    let board = gate.run("linus", &["board", "--page", page.to_str().unwrap()]);
    board.is(0, &[]);
    let next = &board.json["environments"][1]["next"];
    assert_eq!(next["rule"], "approved", "{}", board.text);
    for (member, words) in [
        ("fact", "1 of 2 approvals (grace)"),
        ("next", "have 1 more of dora, eve approve it: "),
    ] {
        let message = next[member].as_str().unwrap();
        assert!(message.contains(words), "{}", board.text);
    }
    let html = std::fs::read_to_string(&page).unwrap();
    for piece in ["request 2", "dora, eve"] {
        assert!(html.contains(piece), "no {piece:?} in\n{html}");
    }
}
