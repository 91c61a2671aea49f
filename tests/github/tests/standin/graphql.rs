//! The GraphQL subset: true to GitHub's schema, and silent about nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};
use standin_github::SchemaField;

use crate::support::{Server, World, npm_file};

const PULL: &str = "
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      author { login __typename ... on User { databaseId } ... on Bot { databaseId } }
      headRefOid mergedBy { login } mergeCommit { oid } baseRefName
      latestOpinionatedReviews(first: 100) { nodes { ...review } }
      commits(first: 1) { totalCount pageInfo { hasNextPage endCursor } nodes { commit { oid authors(first: 10) { nodes { email user { login databaseId } } } committer { user { login } } } } }
    }
  }
}
fragment review on PullRequestReview { state submittedAt commit { oid } author { login __typename } }
";

fn ask(world: &World, query: &str, variables: Value) -> Value {
    world
        .call(
            "POST",
            "/graphql",
            Some(json!({"query": query, "variables": variables})),
        )
        .expect(200)
}

fn variables(world: &World, number: u64) -> Value {
    let (owner, name) = world.repository.split_once('/').unwrap();
    json!({"owner": owner, "name": name, "number": number})
}

#[test]
fn a_pull_request_is_told_with_reviews_and_all_authors() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    world.act("push", json!({"user": "ana", "branch": "topic", "files": {"b.txt": "b\n"}, "message": "Pair\n\nCo-authored-by: ben <ben@acme.test>"}));
    let head = world.git(&["rev-parse", "topic"]);
    for (user, state) in [
        ("ben", "CHANGES_REQUESTED"),
        ("ben", "APPROVED"),
        ("ben", "COMMENTED"),
        ("rita", "COMMENTED"),
    ] {
        world.act(
            &format!("pulls/{number}/reviews"),
            json!({"user": user, "state": state}),
        );
    }
    let answer = ask(&world, PULL, variables(&world, number));
    assert_eq!(answer["errors"], Value::Null, "{answer:#}");
    let pull = &answer["data"]["repository"]["pullRequest"];
    assert_eq!(
        pull["author"],
        json!({"login": "ana", "__typename": "User", "databaseId": 101})
    );
    assert_eq!(
        (&pull["headRefOid"], &pull["mergeCommit"]),
        (&json!(head), &Value::Null)
    );
    let reviews = pull["latestOpinionatedReviews"]["nodes"]
        .as_array()
        .unwrap();
    assert_eq!(
        (
            reviews.len(),
            &reviews[0]["state"],
            &reviews[0]["commit"]["oid"]
        ),
        (1, &json!("APPROVED"), &json!(head))
    );
    assert_eq!(
        (
            &pull["commits"]["totalCount"],
            &pull["commits"]["pageInfo"]["hasNextPage"]
        ),
        (&json!(2), &json!(true))
    );
    let after = &pull["commits"]["pageInfo"]["endCursor"];
    let next = PULL.replace(
        "commits(first: 1)",
        &format!("commits(first: 1, after: {after})"),
    );
    let second = ask(&world, &next, variables(&world, number));
    let authors = &second["data"]["repository"]["pullRequest"]["commits"]["nodes"][0]["commit"]["authors"]
        ["nodes"];
    assert_eq!(
        (
            &authors[0]["user"]["login"],
            &authors[1]["user"]["databaseId"]
        ),
        (&json!("ana"), &json!(102))
    );
}

#[test]
fn what_is_not_there_is_an_error_with_a_path() {
    let world = World::new();
    let answer = ask(&world, PULL, variables(&world, 99));
    assert_eq!(
        (&answer["errors"][0]["type"], &answer["errors"][0]["path"]),
        (&json!("NOT_FOUND"), &json!(["repository", "pullRequest"]))
    );
    let missing = ask(&world, PULL, json!({"owner": "x", "name": "y"}));
    assert_eq!(
        missing["errors"][0]["message"],
        "Variable $number of type Int! was provided invalid value"
    );
}

#[test]
fn a_field_outside_the_jobs_permissions_is_forbidden() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let workflow = "on: workflow_dispatch\njobs: {a: {runs-on: x, permissions: {contents: read}}, b: {runs-on: x, permissions: {contents: read, pull-requests: read}}}";
    let run = world.start(json!({"workflow": "w.yml", "event": "workflow_dispatch", "actor": "ana", "workflows": {"w.yml": workflow}}));
    let body = json!({"query": PULL, "variables": variables(&world, number)});
    let refused = world
        .by_job(&run, "a", "POST", "/graphql", Some(body.clone()))
        .expect(200);
    assert_eq!(
        (
            &refused["errors"][0]["type"],
            &refused["data"]["repository"]["pullRequest"]
        ),
        (&json!("FORBIDDEN"), &Value::Null)
    );
    assert_eq!(
        world
            .by_job(&run, "b", "POST", "/graphql", Some(body))
            .expect(200)["errors"],
        Value::Null
    );
}

#[test]
fn unknown_fields_and_open_connections_are_refused_by_name() {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let world =
        std::mem::ManuallyDrop::new(World::with(SERVER.get_or_init(Server::start), json!({})));
    let message = |query: &str| {
        ask(&world, query, json!({}))["errors"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let within = |inner: &str| format!("{{ repository(owner: \"a\", name: \"b\") {{ {inner} }} }}");
    assert_eq!(
        message(&within("stars")),
        "Field 'stars' doesn't exist on type 'Repository'"
    );
    assert_eq!(
        message(&within("pullRequest(id: 1) { title }")),
        "Field 'pullRequest' doesn't accept argument 'id'"
    );
    assert_eq!(
        message(&within("pullRequest { title }")),
        "Field 'pullRequest' is missing required arguments: number"
    );
    assert!(
        message(&within("pullRequest(number: 1) { commits { totalCount } }"))
            .contains("must provide a `first` or `last`")
    );
    assert!(
        message(&within(
            "pullRequest(number: 1) { commits(first: 101) { totalCount } }"
        ))
        .contains("exceeds the `first` limit of 100")
    );
    assert!(message(&within("owner")).contains("must have selections"));
    assert!(message("{ repository(owner: \"a\" ").contains("Parse error"));
    assert!(message("mutation { x }").contains("queries only"));
    assert!(
        world
            .server
            .standin
            .violations()
            .iter()
            .any(|one| one.message.contains("'stars'"))
    );
}

#[test]
fn the_implemented_schema_is_githubs() {
    let text = std::fs::read_to_string(npm_file("@octokit/graphql-schema", "schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let types: BTreeMap<&str, &Value> = schema["__schema"]["types"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one))
        .collect();
    let implemented = standin_github::graphql_schema();
    assert!(implemented.len() > 100);
    for SchemaField {
        on,
        name,
        returns,
        arguments,
    } in implemented
    {
        let field = types[on.as_str()]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["name"] == name.as_str());
        let field = field.unwrap_or_else(|| panic!("GitHub has no {on}.{name}"));
        assert_eq!(written(&field["type"]), returns, "{on}.{name}");
        let known: BTreeMap<String, String> = field["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["name"].as_str().unwrap().to_owned(),
                    written(&one["type"]),
                )
            })
            .collect();
        for (argument, kind) in &arguments {
            assert_eq!(known.get(argument), Some(kind), "{on}.{name}({argument})");
        }
        let required: Vec<_> = known
            .iter()
            .filter(|(_, kind)| kind.ends_with('!'))
            .map(|(argument, _)| argument)
            .collect();
        assert!(
            required
                .iter()
                .all(|argument| arguments.iter().any(|(own, _)| own == *argument)),
            "{on}.{name} needs {required:?}"
        );
    }
}

/// A type as the schema language writes it.
fn written(kind: &Value) -> String {
    match kind["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", written(&kind["ofType"])),
        "LIST" => format!("[{}]", written(&kind["ofType"])),
        _ => kind["name"].as_str().unwrap().to_owned(),
    }
}
