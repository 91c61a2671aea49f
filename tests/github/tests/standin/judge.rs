//! GitHub's schema judges every answer to a query: by hand what it must find, then the stand-in's own answers.

use std::sync::OnceLock;

use serde_json::{Value, json};
use standin_github::GraphqlJudge;

use crate::support::{Server, World, graphql};

fn judge() -> &'static GraphqlJudge {
    static JUDGE: OnceLock<GraphqlJudge> = OnceLock::new();
    JUDGE.get_or_init(|| GraphqlJudge::new(graphql()))
}

const QUERY: &str = "
query($number: Int!) {
  repository(owner: \"acme\", name: \"storefront\") {
    isPrivate
    pullRequest(number: $number) {
      state number headRefOid createdAt url fullDatabaseId
      author { ...who }
      reviews(first: 2, states: [APPROVED, DISMISSED]) { totalCount nodes { state commit { oid author { date } } } }
    }
  }
}
fragment who on Actor { login kind: __typename ... on User { databaseId } ... on Bot { id } }
";

fn right() -> Value {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    json!({"repository": {"isPrivate": true, "pullRequest": {
        "state": "MERGED", "number": 1, "headRefOid": sha, "createdAt": "2025-01-01T00:00:00Z",
        "url": "https://github.com/acme/storefront/pull/1", "fullDatabaseId": "9007199254740993",
        "author": {"login": "ana", "kind": "User", "databaseId": 101},
        "reviews": {"totalCount": 2, "nodes": [
            {"state": "APPROVED", "commit": {"oid": sha, "author": {"date": "2025-01-01T02:00:00+02:00"}}},
            {"state": "DISMISSED", "commit": null},
        ]},
    }}})
}

fn verdict(query: &str, answer: &Value) -> Result<(), String> {
    judge().judge(&json!({"query": query, "variables": {"number": 1}}), answer)
}

/// The answer in which the value at a pointer below the pull request is another, or gone.
fn changed(pointer: &str, value: Option<Value>) -> Value {
    let mut answer = json!({"data": right()});
    let pointer = format!("/data/repository/pullRequest{pointer}");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = answer.pointer_mut(parent).unwrap();
    match value {
        Some(value) => parent[name] = value,
        None => drop(parent.as_object_mut().unwrap().remove(name)),
    }
    answer
}

#[track_caller]
fn refused(verdict: Result<(), String>, pieces: &[&str]) {
    let why = verdict.unwrap_err();
    for piece in pieces {
        assert!(why.contains(piece), "no {piece:?} in {why}");
    }
}

#[test]
fn an_answer_as_githubs_passes_and_one_wrong_value_does_not() {
    assert_eq!(verdict(QUERY, &json!({"data": right()})), Ok(()));
    let bot = json!({"login": "dependabot", "kind": "Bot", "id": "B_1"});
    assert_eq!(verdict(QUERY, &changed("/author", Some(bot))), Ok(()));
    assert_eq!(
        verdict(QUERY, &changed("/author", Some(Value::Null))),
        Ok(())
    );
    for (pointer, value, why) in [
        ("/state", json!("DONE"), "not in PullRequestState"),
        ("/state", json!(1), "not in PullRequestState"),
        (
            "/state",
            json!(null),
            "null is not of type PullRequestState!",
        ),
        ("/number", json!("1"), "not of type Int"),
        ("/number", json!(3_000_000_000_u64), "not of type Int"),
        ("/headRefOid", json!("0123"), "not of type GitObjectID"),
        ("/createdAt", json!("2025-01-01"), "not of type DateTime"),
        ("/fullDatabaseId", json!(1), "not of type BigInt"),
        ("/url", json!("no uri"), "not of type URI"),
        ("/author", json!([]), "not of type Actor"),
        ("/author/login", json!(7), "not of type String"),
        ("/author/kind", json!("Commit"), "not the type's name"),
        ("/author/kind", json!("Bot"), ""),
        ("/author/id", json!("U_1"), "nobody asked for it"),
        (
            "/reviews/nodes",
            json!({}),
            "not of type [PullRequestReview]",
        ),
        (
            "/reviews/totalCount",
            json!(null),
            "null is not of type Int!",
        ),
        ("/title", json!("Add topic"), "nobody asked for it"),
    ] {
        let answer = changed(pointer, Some(value));
        refused(
            verdict(QUERY, &answer),
            &["/data/repository/pullRequest", why],
        );
    }
    let deep = changed(
        "/reviews/nodes",
        Some(json!([null, {"state": "FINE", "commit": null}])),
    );
    refused(
        verdict(QUERY, &deep),
        &["/pullRequest/reviews/nodes/1/state: \"FINE\" is not in PullRequestReviewState"],
    );
    for pointer in [
        "/state",
        "/author/login",
        "/author/databaseId",
        "/reviews/nodes",
    ] {
        let missing = verdict(QUERY, &changed(pointer, None));
        refused(missing, &[pointer, "is missing"]);
    }
}

#[test]
fn a_query_that_github_refuses_has_no_data() {
    let asks = |inner: &str| {
        let query = format!(
            "query($number: Int!, $text: String, $maybe: Int, $some: Int = 3) {{ repository(owner: \"a\", name: \"b\") {{ {inner} }} }}"
        );
        verdict(&query, &json!({"data": {"repository": null}}))
    };
    for right in [
        "pullRequest(number: $number) { title }",
        "pullRequest(number: $some) { title }",
        "pullRequest(number: 1) { reviews(first: $maybe, author: $text, states: APPROVED) { totalCount } }",
        "object(oid: \"0123456789abcdef0123456789abcdef01234567\") { oid ... on Commit { message } }",
        "owner { ... on Actor { login } }",
    ] {
        assert_eq!(asks(right), Ok(()), "{right}");
    }
    for (wrong, why) in [
        ("stars", "Repository has no field stars"),
        ("name(of: 1)", "Repository.name has no argument of"),
        (
            "pullRequest { title }",
            "Repository.pullRequest(number): it is required",
        ),
        (
            "pullRequest(number: null) { title }",
            "null is not of type Int!",
        ),
        ("pullRequest(number: \"1\") { title }", "not of type Int"),
        (
            "pullRequest(number: 3000000000) { title }",
            "not of type Int",
        ),
        (
            "pullRequest(number: $maybe) { title }",
            "a variable of type Int is not of type Int!",
        ),
        (
            "pullRequest(number: $text) { title }",
            "a variable of type String is not of type Int!",
        ),
        (
            "pullRequest(number: 1) { reviews(states: [FINE]) { totalCount } }",
            "\"FINE\" is not in PullRequestReviewState",
        ),
        (
            "pullRequest(number: 1) { reviews(states: [\"APPROVED\"]) { totalCount } }",
            "not a member of PullRequestReviewState",
        ),
        (
            "ref(qualifiedName: main) { name }",
            "the word \"main\" is not of type String",
        ),
        ("object(oid: \"main\") { oid }", "not of type GitObjectID"),
        ("owner", "nothing is selected of RepositoryOwner!"),
        ("name { text }", "String! has no fields"),
        ("__typename { x }", "__typename"),
        ("... on Commit { oid }", "Repository is never a Commit"),
        ("... on Nothing { oid }", "a fragment on Nothing"),
    ] {
        refused(asks(wrong), &["GitHub would refuse the query", why]);
    }
    let twice = "{ repository(owner: \"a\", name: \"b\") { name name: isPrivate } }";
    let answer = json!({"data": {"repository": {"name": "b"}}});
    refused(verdict(twice, &answer), &["two different fields"]);
}

#[test]
fn errors_have_their_form_and_their_null_where_it_belongs() {
    let error = |path: Value| json!([{"type": "NOT_FOUND", "path": path, "message": "none"}]);
    let with =
        |data: Value, errors: Value| verdict(QUERY, &json!({"data": data, "errors": errors}));
    let pull = ["repository", "pullRequest"];
    let pull_gone = json!({"repository": {"isPrivate": true, "pullRequest": null}});
    // The pull request may be null; that it has a state may not be unknown, so its error goes up to there.
    for path in [json!(pull), json!([pull[0], pull[1], "state"])] {
        assert_eq!(with(pull_gone.clone(), error(path)), Ok(()));
    }
    let mut review_gone = right();
    review_gone["repository"]["pullRequest"]["reviews"]["nodes"][0] = json!(null);
    let state = json!([pull[0], pull[1], "reviews", "nodes", 0, "state"]);
    assert_eq!(with(review_gone, error(state.clone())), Ok(()));
    refused(
        with(pull_gone.clone(), error(state.clone())),
        &["/errors/0/path", "further up"],
    );
    let both = json!([error(state)[0], error(json!(pull))[0]]);
    assert_eq!(with(pull_gone.clone(), both), Ok(()));
    refused(with(right(), error(json!(pull))), &["there is a value"]);
    refused(
        with(pull_gone.clone(), error(json!(["repository", "issue"]))),
        &["leads nowhere"],
    );
    refused(
        with(pull_gone.clone(), json!([{"message": "none"}])),
        &["has a path"],
    );
    refused(with(json!(null), json!([])), &["never empty"]);

    let alone = |answer: Value| verdict(QUERY, &answer);
    assert_eq!(alone(json!({"errors": [{"message": "none"}]})), Ok(()));
    refused(alone(json!({})), &["neither data nor errors"]);
    refused(alone(json!({"data": null})), &["null without an error"]);
    refused(
        alone(json!({"data": right(), "warnings": []})),
        &["/warnings"],
    );
    for (name, value) in [
        ("message", json!(1)),
        ("path", json!("repository")),
        ("path", json!([true])),
        ("type", json!(7)),
        ("locations", json!([{"line": 1}])),
        ("code", json!("x")),
    ] {
        let mut error = json!({"message": "none"});
        error[name] = value;
        refused(
            alone(json!({"errors": [error]})),
            &[&format!("/errors/0/{name}")],
        );
    }
    refused(
        alone(json!({"errors": [{"type": "x"}]})),
        &["has a message"],
    );
}

#[test]
fn an_answer_of_the_stand_in_that_does_not_fit_becomes_a_500() {
    static BROKEN: OnceLock<Server> = OnceLock::new();
    let broken = BROKEN.get_or_init(Server::start);
    let world = std::mem::ManuallyDrop::new(World::with(broken, json!({})));
    let ask = |inner: &str| {
        let (owner, name) = world.repository.split_once('/').unwrap();
        let query = format!("{{ repository(owner: \"{owner}\", name: \"{name}\") {{ {inner} }} }}");
        world.call("POST", "/graphql", Some(json!({"query": query})))
    };
    ask("name isPrivate").expect(200);
    broken.control(
        "faults",
        json!({"path": "/graphql", "remove": "/data/repository/isPrivate"}),
    );
    let answer = ask("name isPrivate").expect(500);
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("/data/repository/isPrivate"), "{message}");
    let number = world.pull("ana", "topic");
    let pull = format!("pullRequest(number: {number})");
    ask(&format!(
        "{pull} {{ reviews(first: 1, states: [FINE]) {{ totalCount }} }}"
    ))
    .expect(500);
    let found = broken.standin.violations();
    let [missing, refused] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (missing.pointer.as_str(), &missing.repository),
        (
            "/data/repository/isPrivate",
            &Some(world.repository.clone())
        )
    );
    assert!(refused.message.contains("\"FINE\""), "{refused:?}");
    ask("name isPrivate").expect(200);
}
