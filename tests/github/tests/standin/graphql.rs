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
fn a_pull_request_is_returned_with_reviews_and_all_authors() {
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
fn a_missing_object_is_an_error_with_a_path() {
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
fn an_error_where_null_may_not_stand_makes_its_parent_null() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let query = PULL.replace(
        "commits(first: 1)",
        "title commits(first: 1, after: \"nowhere\")",
    );
    let answer = ask(&world, &query, variables(&world, number));
    assert_eq!(
        (&answer["data"], &answer["errors"][0]["path"]),
        (
            &json!({"repository": {"pullRequest": null}}),
            &json!(["repository", "pullRequest", "commits"])
        )
    );
    // A commit may not be read here, and its place in the list is the nearest that may be null.
    let workflow =
        "on: workflow_dispatch\njobs: {a: {runs-on: x, permissions: {pull-requests: read}}}";
    let run = world.start(json!({"workflow": "w.yml", "event": "workflow_dispatch", "actor": "ana", "workflows": {"w.yml": workflow}}));
    let query = "query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) { pullRequest(number: $number) { commits(first: 1) { totalCount nodes { id commit { oid } } } } } }";
    let body = json!({"query": query, "variables": variables(&world, number)});
    let answer = world
        .by_job(&run, "a", "POST", "/graphql", Some(body))
        .expect(200);
    assert_eq!(
        answer["data"]["repository"]["pullRequest"]["commits"],
        json!({"totalCount": 1, "nodes": [null]}),
        "{answer:#}"
    );
    assert_eq!(
        answer["errors"][0]["path"],
        json!(["repository", "pullRequest", "commits", "nodes", 0, "commit"])
    );
}

#[test]
fn a_field_that_is_selected_twice_holds_what_both_ask_for() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    let query = "
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) { author { login } ...more author { ... on User { databaseId } } }
  }
}
fragment more on PullRequest { author { __typename } }";
    let answer = ask(&world, query, variables(&world, number));
    assert_eq!(
        answer["data"]["repository"]["pullRequest"]["author"],
        json!({"login": "ana", "__typename": "User", "databaseId": 101})
    );
}

#[test]
fn a_filter_whose_variable_is_left_out_filters_nothing() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    world.act(
        &format!("pulls/{number}/reviews"),
        json!({"user": "ben", "state": "APPROVED"}),
    );
    let query = "query($owner: String!, $name: String!, $number: Int!, $states: [PullRequestReviewState!]) { repository(owner: $owner, name: $name) { pullRequest(number: $number) { reviews(first: 1, states: $states) { totalCount } } } }";
    let mut given = variables(&world, number);
    for (states, count) in [
        (Value::Null, 1),
        (json!(["APPROVED"]), 1),
        (json!(["DISMISSED"]), 0),
    ] {
        given["states"] = states;
        let answer = ask(&world, query, given.clone());
        let reviews = &answer["data"]["repository"]["pullRequest"]["reviews"];
        assert_eq!(reviews["totalCount"], count, "{answer:#}");
    }
}

#[test]
fn a_commit_without_a_message_has_an_empty_headline() {
    let world = World::new();
    world.act(
        "push",
        json!({"user": "ana", "branch": "main", "files": {"b.txt": "b\n"}, "message": ""}),
    );
    let query = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { object(expression: \"main\") { ... on Commit { message messageHeadline } } } }";
    let answer = ask(&world, query, variables(&world, 1));
    assert_eq!(
        answer["data"]["repository"]["object"],
        json!({"message": "", "messageHeadline": ""}),
        "{answer:#}"
    );
}

#[test]
fn the_viewer_is_a_user_even_if_it_is_a_bot() {
    let world = World::new();
    let workflow = "on: workflow_dispatch\njobs: {a: {runs-on: x, permissions: {contents: read}}}";
    let run = world.start(json!({"workflow": "w.yml", "event": "workflow_dispatch", "actor": "ana", "workflows": {"w.yml": workflow}}));
    let body =
        json!({"query": "{ viewer { __typename login url } rateLimit { remaining resetAt } }"});
    let answer = world
        .by_job(&run, "a", "POST", "/graphql", Some(body))
        .expect(200);
    assert_eq!(
        answer["data"]["viewer"],
        json!({"__typename": "User", "login": "github-actions[bot]", "url": "https://github.com/apps/github-actions"})
    );
}

#[test]
fn every_field_that_is_implemented_answers_as_githubs_does() {
    let world = World::new();
    let number = world.pull("ana", "topic");
    for state in ["CHANGES_REQUESTED", "APPROVED"] {
        world.act(
            &format!("pulls/{number}/reviews"),
            json!({"user": "ben", "state": state}),
        );
    }
    let open = world.pull("ben", "other");
    add_each_event(&world, number);
    world.act(&format!("pulls/{number}/merge"), json!({"user": "ben"}));
    for number in [number, open] {
        let inner = everything("Repository", 5);
        let query = format!(
            "query($owner: String!, $name: String!, $number: Int!) {{ viewer {{ {} }} rateLimit {{ {} }} repository(owner: $owner, name: $name) {{ {inner} }} }}",
            everything("User", 1),
            everything("RateLimit", 1)
        );
        let answer = ask(&world, &query, variables(&world, number));
        assert_eq!(answer["errors"], Value::Null);
        let pull = &answer["data"]["repository"]["pullRequest"];
        assert_eq!(pull["number"], number, "{answer:#}");
    }
}

/// One of each kind of event.
fn add_each_event(world: &World, number: u64) {
    let pull = format!("pulls/{number}");
    let review = json!({"user": "ben", "state": "CHANGES_REQUESTED"});
    let id = world.act(&format!("{pull}/reviews"), review)["id"].clone();
    world.act(
        &format!("{pull}/reviews/{id}/dismiss"),
        json!({"user": "ana"}),
    );
    world.push("ana", "release", &[("r.txt", "r\n")]);
    for base in ["release", "main"] {
        world.act(
            &format!("{pull}/base"),
            json!({"user": "ana", "base": base}),
        );
    }
    let again = json!({"user": "ana", "branch": "topic", "from": "main", "force": true,
        "files": {"topic.txt": "again\n"}});
    world.act("push", again);
    world.act(&format!("{pull}/update-branch"), json!({"user": "ben"}));
}

/// Selections of all fields of a type that the stand-in implements, so many steps down.
fn everything(on: &str, depth: usize) -> String {
    let mut out = vec!["__typename".to_owned()];
    let all = standin_github::graphql_schema();
    for field in all.iter().filter(|field| field.on == on) {
        let arguments = match field.name.as_str() {
            "ref" => "(qualifiedName: \"main\")",
            "object" => "(expression: \"main\")",
            "pullRequest" => "(number: $number)",
            _ if field.returns.trim_end_matches('!').ends_with("Connection") => "(first: 2)",
            _ => "",
        };
        let below = field.returns.trim_matches(['!', '[', ']']);
        let name = &field.name;
        if !all.iter().any(|field| field.on == below) && below != "PullRequestTimelineItems" {
            out.push(format!("{name}{arguments}"));
        } else if depth > 1 {
            let inner = everything(below, depth - 1);
            out.push(format!("{name}{arguments} {{ {inner} }}"));
        }
    }
    match on {
        "GitObject" => out.push(format!("... on Commit {{ {} }}", everything("Commit", 3))),
        "Actor" => out.push("... on User { name databaseId }".to_owned()),
        "PullRequestTimelineItems" => {
            for event in [
                "BaseRefChangedEvent",
                "HeadRefForcePushedEvent",
                "ReviewDismissedEvent",
            ] {
                out.push(format!("... on {event} {{ {} }}", everything(event, 2)));
            }
        }
        _ => {}
    }
    out.join(" ")
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
        .map(|definition| (definition["name"].as_str().unwrap(), definition))
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
            .map(|definition| {
                (
                    definition["name"].as_str().unwrap().to_owned(),
                    written(&definition["type"]),
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
