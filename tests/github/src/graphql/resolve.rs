//! Answers validated selections from the stand-in's state.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::GraphError;
use super::node::{
    Found, Node, Resolved, connect, connection_field, cursor, optional, text, type_name, value,
};
use super::parse::{Field, Selection};
use super::schema;
use crate::actions::Access;
use crate::git::{Commit, GitError, Signature};
use crate::rest::{Identity, allowed, may_see, pull_commits};
use crate::state::{Pull, Repo, State, User, WEB_FLOW_EMAIL, timestamp};
use crate::view::HTML;

pub(crate) struct Executor<'a> {
    pub(super) state: &'a State,
    pub(super) caller: &'a Identity,
    pub(super) base: &'a str,
    pub(super) errors: Vec<GraphError>,
}

impl<'a> Executor<'a> {
    /// The answer's data; nothing where an error has come up to it.
    pub(super) fn run(&mut self, selections: &[Selection]) -> Option<Value> {
        self.object(&Node::Query, &[selections], &[])
    }

    /// An object, or nothing where a field of it is null that must not be.
    fn object(
        &mut self,
        node: &Node<'a>,
        selections: &[&[Selection]],
        path: &[Value],
    ) -> Option<Value> {
        let mut wanted = Vec::new();
        for selections in selections {
            collect(node, selections, &mut wanted);
        }
        let mut out = Map::new();
        let mut whole = true;
        for (alias, fields) in wanted {
            let mut path = path.to_vec();
            path.push(json!(alias));
            // The others are resolved all the same, for their errors.
            match self.field(node, &fields, &path) {
                Some(value) => drop(out.insert(alias.to_owned(), value)),
                None => whole = false,
            }
        }
        whole.then_some(Value::Object(out))
    }

    /// One field, which may have been selected in several places, or nothing where it is null and must not be.
    /// Source: GraphQL Specification, October 2021, 6.4.4.
    fn field(&mut self, node: &Node<'a>, fields: &[&Field], path: &[Value]) -> Option<Value> {
        let field = fields.first()?;
        if field.name == "__typename" {
            return Some(json!(type_name(node)));
        }
        let below: Vec<&[Selection]> = fields.iter().map(|field| &*field.selections).collect();
        let required = schema::field(&type_name(node), &field.name)
            .is_some_and(|known| known.returns.ends_with('!'));
        let found = match self.resolve(node, field) {
            Ok(Found::Value(Value::Null)) if required => Err(GraphError::new(format!(
                "Cannot return null for non-nullable field {}.{}",
                type_name(node),
                field.name
            ))),
            found => found,
        };
        let value = match found {
            Ok(Found::Value(value)) => value,
            Ok(Found::Node(node)) => self.object(&node, &below, path).unwrap_or_default(),
            // All lists of the schema may hold nulls.
            Ok(Found::List(nodes)) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| {
                    let mut path = path.to_vec();
                    path.push(json!(index));
                    self.object(node, &below, &path).unwrap_or_default()
                })
                .collect(),
            Err(error) => {
                self.errors.push(GraphError {
                    path: path.to_vec(),
                    ..error
                });
                Value::Null
            }
        };
        (!value.is_null() || !required).then_some(value)
    }

    fn resolve(&self, node: &Node<'a>, field: &Field) -> Resolved<'a> {
        match node {
            Node::Query => self.query(field),
            Node::RateLimit => value(rate_limit(field)),
            Node::Repository(repo) => self.repository(repo, field),
            Node::Ref(repo, branch) => match field.name.as_str() {
                "name" => value(branch),
                "prefix" => value("refs/heads/"),
                "target" => self.commit_at(repo, repo.git.branch(branch).as_deref()),
                _ => value(format!("REF_{}_{branch}", repo.id)),
            },
            Node::Pull(repo, pull) => self.pull(repo, pull, field),
            Node::Review(repo, pull, review) => self.review(repo, pull, review, field),
            Node::PullCommit(repo, pull, commit) => match field.name.as_str() {
                "commit" => self
                    .need("contents", repo)
                    .map(|()| Found::Node(Node::Commit(repo, commit.clone()))),
                "url" => value(format!(
                    "{HTML}/{}/pull/{}/commits/{}",
                    repo.full_name(),
                    pull.number,
                    commit.sha
                )),
                _ => value(format!("PURC_{}", commit.sha)),
            },
            Node::Commit(repo, commit) => self.commit(repo, commit, field),
            Node::Tree(repo, sha) => match field.name.as_str() {
                "oid" => value(sha),
                "entries" => entries(repo, sha),
                _ => value(format!("T_{sha}")),
            },
            Node::TreeEntry(entry) => match field.name.as_str() {
                "name" => value(String::from_utf8_lossy(&entry.name)),
                "nameRaw" => value(STANDARD.encode(&entry.name)),
                "mode" => value(entry.mode),
                "type" => value(&entry.kind),
                _ => value(&entry.sha),
            },
            Node::Blob(repo, sha) => blob(repo, sha, field),
            Node::Event(repo, pull, event) => self.event(repo, pull, event, field),
            Node::Person(person) => match field.name.as_str() {
                "name" => value(&person.name),
                "email" => value(&person.email),
                "date" => value(timestamp(person.time)),
                // Only people: a bot's commits have an author without a user.
                _ => optional(
                    self.state
                        .user_by_email(&person.email)
                        .filter(|user| user.kind == "User")
                        .map(Node::Account),
                ),
            },
            // The one place where GraphQL names a bot as REST does.
            Node::Viewer(user) if field.name == "login" => value(&user.login),
            Node::Viewer(user) | Node::Account(user) => account(user, field),
            Node::Connection(connection) => Ok(connection_field(connection, field)),
            Node::Edge(position, node) => match field.name.as_str() {
                "node" => Ok(Found::Node((**node).clone())),
                _ => value(cursor(*position)),
            },
            Node::Page {
                next,
                previous,
                start,
                end,
            } => match field.name.as_str() {
                "hasNextPage" => value(next),
                "hasPreviousPage" => value(previous),
                "startCursor" => value(start.map(cursor)),
                _ => value(end.map(cursor)),
            },
        }
    }

    /// Requires the permission that the REST table requires for the same facts.
    pub(super) fn need(&self, scope: &'static str, repo: &Repo) -> Result<(), GraphError> {
        match allowed(
            self.state,
            self.caller,
            Some(repo),
            &[(scope, Access::Read)],
        )
        .refusal
        {
            None => Ok(()),
            Some(_) => Err(GraphError {
                kind: Some("FORBIDDEN"),
                path: Vec::new(),
                message: "Resource not accessible by integration".to_owned(),
            }),
        }
    }

    fn query(&self, field: &Field) -> Resolved<'a> {
        match field.name.as_str() {
            "repository" => {
                let full_name = format!("{}/{}", text(field, "owner"), text(field, "name"));
                let repo = self
                    .state
                    .repo(&full_name)
                    .filter(|repo| may_see(self.state, self.caller, repo));
                let repo = repo.ok_or_else(|| {
                    not_found(format!(
                        "Could not resolve to a Repository with the name '{full_name}'."
                    ))
                })?;
                self.need("metadata", repo)
                    .map(|()| Found::Node(Node::Repository(repo)))
            }
            "viewer" => optional(self.state.user(self.caller.login()).map(Node::Viewer)),
            _ => Ok(Found::Node(Node::RateLimit)),
        }
    }

    fn repository(&self, repo: &'a Repo, field: &Field) -> Resolved<'a> {
        match field.name.as_str() {
            "id" => value(format!("R_{}", repo.id)),
            "databaseId" => value(repo.id),
            "name" => value(&repo.name),
            "nameWithOwner" => value(repo.full_name()),
            "isPrivate" => value(repo.private),
            "url" => value(format!("{HTML}/{}", repo.full_name())),
            "owner" => optional(self.state.user(&repo.owner).map(Node::Account)),
            "defaultBranchRef" => self
                .need("contents", repo)
                .map(|()| Found::Node(Node::Ref(repo, repo.default_branch.clone()))),
            "ref" => {
                self.need("contents", repo)?;
                let name = text(field, "qualifiedName")
                    .trim_start_matches("refs/heads/")
                    .to_owned();
                optional(repo.git.branch(&name).map(|_| Node::Ref(repo, name)))
            }
            "object" => {
                self.need("contents", repo)?;
                let name = [text(field, "oid"), text(field, "expression")]
                    .into_iter()
                    .find(|name| !name.is_empty());
                if let Some((commit, path)) = name.and_then(|name| name.split_once(':')) {
                    let found = repo.git.object_at(commit, path);
                    return optional(found.and_then(|(kind, sha)| match kind.as_str() {
                        "blob" => Some(Node::Blob(repo, sha)),
                        "tree" => Some(Node::Tree(repo, sha)),
                        _ => None,
                    }));
                }
                self.commit_at(
                    repo,
                    name.and_then(|name| repo.git.resolve(name)).as_deref(),
                )
            }
            _ => {
                self.need("pull_requests", repo)?;
                let number = field
                    .arguments
                    .get("number")
                    .and_then(Value::as_u64)
                    .unwrap_or_default();
                let pull = repo.pull(number);
                pull.map(|pull| Found::Node(Node::Pull(repo, pull)))
                    .ok_or_else(|| {
                        not_found(format!(
                            "Could not resolve to a PullRequest with the number of {number}."
                        ))
                    })
            }
        }
    }

    pub(super) fn commit_at(&self, repo: &'a Repo, sha: Option<&str>) -> Resolved<'a> {
        optional(
            sha.and_then(|sha| repo.git.commit(sha).ok())
                .map(|commit| Node::Commit(repo, commit)),
        )
    }

    fn commit(&self, repo: &'a Repo, commit: &Commit, field: &Field) -> Resolved<'a> {
        match field.name.as_str() {
            "id" => value(format!("C_{}", commit.sha)),
            "oid" => value(&commit.sha),
            "abbreviatedOid" => value(&commit.sha[..7]),
            "message" => value(&commit.message),
            "messageHeadline" => value(commit.message.lines().next().unwrap_or_default()),
            "authoredDate" => value(timestamp(commit.author.time)),
            "committedDate" => value(timestamp(commit.committer.time)),
            "committedViaWeb" => value(commit.committer.email == WEB_FLOW_EMAIL),
            "tree" => Ok(Found::Node(Node::Tree(repo, commit.tree.clone()))),
            "url" => value(format!("{HTML}/{}/commit/{}", repo.full_name(), commit.sha)),
            "author" => Ok(Found::Node(Node::Person(commit.author.clone()))),
            "committer" => Ok(Found::Node(Node::Person(commit.committer.clone()))),
            "authors" => connect(
                "GitActorConnection",
                authors(commit).into_iter().map(Node::Person).collect(),
                field,
            ),
            "parents" => {
                let parents = commit
                    .parents
                    .iter()
                    .filter_map(|sha| repo.git.commit(sha).ok());
                connect(
                    "CommitConnection",
                    parents.map(|parent| Node::Commit(repo, parent)).collect(),
                    field,
                )
            }
            _ => {
                self.need("pull_requests", repo)?;
                let holds = |repo: &Repo, pull: &Pull| {
                    pull.merged
                        .as_ref()
                        .is_some_and(|merge| merge.commit == commit.sha)
                        || pull_commits(repo, pull)
                            .is_ok_and(|all| all.iter().any(|one| one.sha == commit.sha))
                };
                // A commit is the same one in all forks, so that theirs are listed as well.
                let network = self.state.network(repo);
                let seen = network.filter(|repo| may_see(self.state, self.caller, repo));
                let pulls = seen.flat_map(|repo| repo.pulls.iter().map(move |pull| (repo, pull)));
                connect(
                    "PullRequestConnection",
                    pulls
                        .filter(|(repo, pull)| holds(repo, pull))
                        .map(|(repo, pull)| Node::Pull(repo, pull))
                        .collect(),
                    field,
                )
            }
        }
    }
}

/// The state of the token's rate limit.
fn rate_limit(field: &Field) -> Value {
    match field.name.as_str() {
        "limit" => json!(5000),
        "cost" => json!(1),
        "remaining" => json!(4999),
        "used" => json!(1),
        _ => json!(timestamp(crate::state::seconds() + 3600)),
    }
}

/// The entries of a tree.
fn entries<'a>(repo: &'a Repo, sha: &str) -> Resolved<'a> {
    let entries = repo.git.tree_entries(sha);
    let entries = entries.map_err(|error| GraphError::new(error.to_string()))?;
    Ok(Found::List(
        entries.into_iter().map(Node::TreeEntry).collect(),
    ))
}

fn blob<'a>(repo: &Repo, sha: &str, field: &Field) -> Resolved<'a> {
    let broken = |error: GitError| GraphError::new(error.to_string());
    let bytes = repo.git.blob(sha).map_err(broken)?;
    let text = String::from_utf8(bytes.clone()).ok();
    let text = text.filter(|text| !text.contains('\0'));
    match field.name.as_str() {
        "oid" => value(sha),
        "byteSize" => value(bytes.len()),
        "isBinary" => value(text.is_none()),
        "isTruncated" => value(false),
        "text" => value(text),
        _ => value(format!("B_{sha}")),
    }
}

/// The fields that apply to a node, by the key that each has in the answer.
fn collect<'s>(
    node: &Node<'_>,
    selections: &'s [Selection],
    wanted: &mut Vec<(&'s str, Vec<&'s Field>)>,
) {
    let name = type_name(node);
    let fits = |kind: &str| kind == name || schema::possible(kind).contains(&name.as_str());
    for selection in selections {
        match selection {
            Selection::On(kind, inner) => {
                if kind.as_deref().is_none_or(fits) {
                    collect(node, inner, wanted);
                }
            }
            Selection::Field(field) => match wanted.iter_mut().find(|(key, _)| *key == field.alias)
            {
                Some((_, fields)) => fields.push(field),
                None => wanted.push((&field.alias, vec![field])),
            },
        }
    }
}

/// The author and those named by `Co-authored-by:` lines.
fn authors(commit: &Commit) -> Vec<Signature> {
    let mut all = vec![commit.author.clone()];
    for line in commit.message.lines() {
        let Some((_, person)) = line
            .split_once(':')
            .filter(|(key, _)| key.eq_ignore_ascii_case("co-authored-by"))
        else {
            continue;
        };
        if let Some((name, email)) = person
            .trim()
            .strip_suffix('>')
            .and_then(|person| person.split_once('<'))
        {
            all.push(Signature {
                name: name.trim().to_owned(),
                email: email.to_owned(),
                time: commit.author.time,
            });
        }
    }
    all
}

fn account<'a>(user: &'a User, field: &Field) -> Resolved<'a> {
    // Unlike REST, GraphQL names a bot without "[bot]".
    let login = user.login.trim_end_matches("[bot]");
    match field.name.as_str() {
        "login" => value(login),
        "url" if user.kind == "Bot" => value(format!("{HTML}/apps/{login}")),
        "url" => value(format!("{HTML}/{login}")),
        "databaseId" => value(user.id),
        "name" => value(&user.name),
        _ => value(format!(
            "{}_{}",
            user.kind.chars().next().unwrap_or('U'),
            user.id
        )),
    }
}

fn not_found(message: String) -> GraphError {
    GraphError {
        kind: Some("NOT_FOUND"),
        path: Vec::new(),
        message,
    }
}
