//! The objects of the schema, where they stand in the state, and how connections show them page by page.

use serde_json::{Value, json};

use super::GraphError;
use super::parse::Field;
use crate::git::{Commit, Signature, TreeEntry};
use crate::state::{EventKind, Pull, PullEvent, Repo, Review, User};

/// An object of the schema and where it stands in the state.
#[derive(Clone)]
pub(super) enum Node<'a> {
    Query,
    RateLimit,
    Repository(&'a Repo),
    Ref(&'a Repo, String),
    Pull(&'a Repo, &'a Pull),
    Review(&'a Repo, &'a Pull, &'a Review),
    PullCommit(&'a Repo, &'a Pull, Commit),
    Commit(&'a Repo, Commit),
    Tree(&'a Repo, String),
    TreeEntry(TreeEntry),
    Blob(&'a Repo, String),
    Event(&'a Repo, &'a Pull, &'a PullEvent),
    Person(Signature),
    Account(&'a User),
    /// The caller, which for GitHub is a user even where it is a bot.
    Viewer(&'a User),
    Connection(Box<Connection<'a>>),
    Edge(usize, Box<Node<'a>>),
    Page {
        next: bool,
        previous: bool,
        start: Option<usize>,
        end: Option<usize>,
    },
}

#[derive(Clone)]
pub(super) struct Connection<'a> {
    kind: &'static str,
    total: usize,
    /// Position in the whole list, then the node.
    shown: Vec<(usize, Node<'a>)>,
    listed: usize,
}

pub(super) enum Found<'a> {
    Value(Value),
    Node(Node<'a>),
    List(Vec<Node<'a>>),
}

pub(super) type Resolved<'a> = Result<Found<'a>, GraphError>;

pub(super) fn value<'a>(value: impl serde::Serialize) -> Resolved<'a> {
    Ok(Found::Value(json!(value)))
}

pub(super) fn optional(node: Option<Node<'_>>) -> Resolved<'_> {
    Ok(node.map_or(Found::Value(Value::Null), Found::Node))
}

pub(super) fn connect<'a>(kind: &'static str, all: Vec<Node<'a>>, field: &Field) -> Resolved<'a> {
    let total = all.len();
    page(kind, all, total, field)
}

pub(super) fn page<'a>(
    kind: &'static str,
    all: Vec<Node<'a>>,
    total: usize,
    field: &Field,
) -> Resolved<'a> {
    let count = |name: &str| {
        field
            .arguments
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|count| usize::try_from(count).ok())
    };
    let position = |name: &str| match text(field, name) {
        "" => Ok(None),
        text => text
            .strip_prefix("cursor:")
            .and_then(|at| at.parse::<usize>().ok())
            .map(Some)
            .ok_or_else(|| {
                GraphError::new(format!("`{text}` does not appear to be a valid cursor."))
            }),
    };
    let listed = all.len();
    let start = position("after")?.map_or(0, |at| at + 1).min(listed);
    let end = position("before")?.unwrap_or(listed).min(listed);
    let mut shown: Vec<(usize, Node<'a>)> = all
        .into_iter()
        .enumerate()
        .filter(|(at, _)| (start..end).contains(at))
        .collect();
    match (count("first"), count("last")) {
        (Some(first), _) => shown.truncate(first),
        (None, Some(last)) => drop(shown.drain(..shown.len().saturating_sub(last))),
        (None, None) => {}
    }
    Ok(Found::Node(Node::Connection(Box::new(Connection {
        kind,
        total,
        shown,
        listed,
    }))))
}

pub(super) fn connection_field<'a>(connection: &Connection<'a>, field: &Field) -> Found<'a> {
    let (first, last) = (
        connection.shown.first().map(|(at, _)| *at),
        connection.shown.last().map(|(at, _)| *at),
    );
    match field.name.as_str() {
        "nodes" => Found::List(
            connection
                .shown
                .iter()
                .map(|(_, node)| node.clone())
                .collect(),
        ),
        "edges" => Found::List(
            connection
                .shown
                .iter()
                .map(|(at, node)| Node::Edge(*at, Box::new(node.clone())))
                .collect(),
        ),
        "totalCount" => Found::Value(json!(connection.total)),
        _ => Found::Node(Node::Page {
            next: last.is_some_and(|at| at + 1 < connection.listed),
            previous: first.is_some_and(|at| at > 0),
            start: first,
            end: last,
        }),
    }
}

pub(super) fn cursor(position: usize) -> String {
    format!("cursor:{position}")
}

pub(super) fn text<'f>(field: &'f Field, name: &str) -> &'f str {
    field
        .arguments
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn type_name(node: &Node<'_>) -> String {
    match node {
        Node::Query => "Query".into(),
        Node::RateLimit => "RateLimit".into(),
        Node::Repository(_) => "Repository".into(),
        Node::Ref(..) => "Ref".into(),
        Node::Pull(..) => "PullRequest".into(),
        Node::Review(..) => "PullRequestReview".into(),
        Node::PullCommit(..) => "PullRequestCommit".into(),
        Node::Commit(..) => "Commit".into(),
        Node::Tree(..) => "Tree".into(),
        Node::TreeEntry(_) => "TreeEntry".into(),
        Node::Blob(..) => "Blob".into(),
        Node::Event(_, _, event) => match event.kind {
            EventKind::BaseChanged { .. } => "BaseRefChangedEvent",
            EventKind::ForcePushed { .. } => "HeadRefForcePushedEvent",
            EventKind::Dismissed { .. } => "ReviewDismissedEvent",
        }
        .into(),
        Node::Person(_) => "GitActor".into(),
        Node::Account(user) => user.kind.clone(),
        Node::Viewer(_) => "User".into(),
        Node::Connection(connection) => connection.kind.into(),
        Node::Edge(_, node) if matches!(**node, Node::Event(..)) => {
            "PullRequestTimelineItemsEdge".into()
        }
        Node::Edge(_, node) => format!("{}Edge", type_name(node)),
        Node::Page { .. } => "PageInfo".into(),
    }
}
