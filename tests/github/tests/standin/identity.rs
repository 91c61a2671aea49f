//! Identity tokens: who gets one, what it claims, and that its signature holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::support::{Run, World};

const CALLER: &str = "
name: Promote
on: {workflow_dispatch: {inputs: {environment: {type: string, required: true}}}}
permissions: {}
jobs:
  go:
    permissions: {contents: read, id-token: write}
    uses: slipway-delivery/slipway/.github/workflows/promote.yml@v1
    with: {environment: '${{ inputs.environment }}'}
  plan:
    runs-on: ubuntu-latest
    permissions: {id-token: write}
    steps: [{run: 'true'}]
  plain:
    runs-on: ubuntu-latest
    steps: [{run: 'true'}]
";
const CALLED: &str = "
name: Promote callable
on: {workflow_call: {inputs: {environment: {type: string}}}}
jobs:
  deploy:
    runs-on: ubuntu-latest
    environment: '${{ inputs.environment }}'
    steps: [{run: 'true'}]
";

fn start(world: &World) -> Run {
    world.start(json!({
        "workflow": ".github/workflows/promote.yml", "event": "workflow_dispatch", "actor": "ana", "inputs": {"environment": "Prod:V1"},
        "workflows": {".github/workflows/promote.yml": CALLER, "slipway-delivery/slipway/.github/workflows/promote.yml@v1": CALLED},
    }))
}

/// The claims of a token whose signature the published keys confirm.
fn verified(world: &World, token: &str) -> Value {
    let keys = world
        .server
        .curl(&[], None, "GET", "/.well-known/jwks", None)
        .expect(200);
    let parts: Vec<&str> = token.split('.').collect();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    let key = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .expect("the key is published");
    let public = RsaPublicKeyComponents {
        n: decode(key["n"].as_str().unwrap()),
        e: decode(key["e"].as_str().unwrap()),
    };
    let signed = format!("{}.{}", parts[0], parts[1]);
    public
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            signed.as_bytes(),
            &decode(parts[2]),
        )
        .expect("the signature holds");
    assert!(
        public
            .verify(
                &RSA_PKCS1_2048_8192_SHA256,
                format!("{signed}x").as_bytes(),
                &decode(parts[2])
            )
            .is_err()
    );
    serde_json::from_slice(&decode(parts[1])).unwrap()
}

#[test]
fn a_token_names_repository_environment_and_called_workflow() {
    let world = World::new();
    let run = start(&world);
    let answer = world.identity(&run, "deploy").expect(200);
    let claims = verified(&world, answer["value"].as_str().unwrap());
    let repository = &world.repository;
    assert_eq!(
        claims["sub"],
        format!("repo:{repository}:environment:Prod%3AV1")
    );
    assert_eq!(claims["environment"], "Prod:V1");
    assert_eq!(claims["iss"], "https://token.actions.githubusercontent.com");
    assert_eq!(claims["aud"], "sts.amazonaws.com");
    assert_eq!(claims["repository_id"], world.id.to_string());
    assert_eq!(
        (&claims["actor"], &claims["actor_id"]),
        (&json!("ana"), &json!("101"))
    );
    assert_eq!(
        (&claims["ref"], &claims["ref_type"], &claims["event_name"]),
        (
            &json!("refs/heads/main"),
            &json!("branch"),
            &json!("workflow_dispatch")
        )
    );
    assert_eq!(
        claims["workflow_ref"],
        format!("{repository}/.github/workflows/promote.yml@refs/heads/main")
    );
    assert_eq!(
        claims["job_workflow_ref"],
        "slipway-delivery/slipway/.github/workflows/promote.yml@refs/tags/v1"
    );
    assert_eq!(
        (&claims["run_id"], &claims["run_attempt"]),
        (&json!(run.id), &json!("1"))
    );
    assert_eq!(claims["sha"], json!(world.git(&["rev-parse", "main"])));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300
    );
}

#[test]
fn a_job_without_an_environment_is_known_by_its_branch() {
    let world = World::new();
    let run = start(&world);
    let claims = verified(
        &world,
        world.identity(&run, "plan").expect(200)["value"]
            .as_str()
            .unwrap(),
    );
    assert_eq!(
        claims["sub"],
        format!("repo:{}:ref:refs/heads/main", world.repository)
    );
    assert_eq!(claims["environment"], Value::Null);
    assert_eq!(claims["job_workflow_ref"], claims["workflow_ref"]);
}

#[test]
fn a_new_repositorys_subject_carries_ids() {
    let world = World::with(
        crate::support::Server::shared(),
        json!({"created_at": "2026-07-16T00:00:00Z", "owner_id": 77}),
    );
    let run = start(&world);
    let claims = verified(
        &world,
        world.identity(&run, "plan").expect(200)["value"]
            .as_str()
            .unwrap(),
    );
    let owner = world.repository.split('/').next().unwrap();
    assert_eq!(
        claims["sub"],
        format!(
            "repo:{owner}@77/storefront@{}:ref:refs/heads/main",
            world.id
        )
    );
}

#[test]
fn only_a_job_that_declared_it_gets_a_token() {
    let world = World::new();
    let run = start(&world);
    let refused = world.identity(&run, "plain");
    assert!(
        refused.body["message"]
            .as_str()
            .unwrap()
            .contains("did not declare id-token: write"),
        "{:#}",
        refused.body
    );
    assert_eq!(refused.status, 403);
    let nobody = world
        .server
        .curl(&[], Some(&run.oidc_token), "GET", &run.oidc_url, None);
    assert_eq!(nobody.status, 403);
    let wrong = world.server.curl(
        &[("GITHUB_JOB", "plan"), ("GITHUB_RUN_ID", &run.id)],
        Some(&run.token),
        "GET",
        &run.oidc_url,
        None,
    );
    assert_eq!(wrong.status, 401, "the API token asks for no identity");
    world.server.control(
        &format!("runs/{}/finish", run.id),
        json!({"conclusion": "success"}),
    );
    assert_eq!(world.identity(&run, "plan").status, 401, "the run is over");
}

#[test]
fn the_discovery_document_names_the_issuer_and_its_keys() {
    let world = World::new();
    let document = world
        .server
        .curl(&[], None, "GET", "/.well-known/openid-configuration", None)
        .expect(200);
    assert_eq!(
        document["issuer"],
        "https://token.actions.githubusercontent.com"
    );
    assert_eq!(
        document["jwks_uri"],
        format!("{}/.well-known/jwks", world.server.url)
    );
    assert_eq!(
        document["id_token_signing_alg_values_supported"],
        json!(["RS256"])
    );
}

#[test]
fn a_pull_requests_token_says_so_and_names_the_merge_it_would_be() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let path = ".github/workflows/plan.yml";
    let workflow = "on: pull_request\njobs:\n  plan:\n    runs-on: ubuntu-latest\n    permissions: {id-token: write}\n    steps: [{run: 'true'}]\n";
    let body = |pull| json!({"workflow": path, "event": "pull_request", "actor": "ana", "pull": pull, "workflows": {(path): workflow}});
    let run = world.start(body(number));
    let answer = world.identity(&run, "plan").expect(200);
    let claims = verified(&world, answer["value"].as_str().unwrap());
    let repository = &world.repository;
    let git = |name: &str| world.git(&["rev-parse", name]).unwrap();
    let merge = git("refs/pull/1/merge");
    for (claim, value) in [
        ("sub", format!("repo:{repository}:pull_request")),
        ("ref", "refs/pull/1/merge".to_owned()),
        ("ref_protected", "false".to_owned()),
        ("head_ref", "topic".to_owned()),
        ("base_ref", "main".to_owned()),
        ("sha", merge.clone()),
        (
            "job_workflow_ref",
            format!("{repository}/{path}@refs/pull/1/merge"),
        ),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    let parents = ["^1", "^2"].map(|parent| git(&format!("{merge}{parent}")));
    assert_eq!(parents, ["main", "topic"].map(git));

    // GitHub starts nothing for a pull request that is not there, or that conflicts.
    let missing = world.refused("runs", body(number + 1));
    assert_eq!(missing, (422, "no pull request 2 is open".to_owned()));
    for branch in ["main", "topic"] {
        world.push("ana", branch, &[("both.txt", branch)]);
    }
    let conflict = "pull request 1 conflicts with its base".to_owned();
    assert_eq!(world.refused("runs", body(number)), (422, conflict));
}
