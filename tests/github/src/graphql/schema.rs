//! The implemented part of GitHub's public GraphQL schema, in its own notation.

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub(super) struct Field {
    pub(super) name: String,
    /// As in the schema, with `!` and brackets.
    pub(super) returns: String,
    pub(super) arguments: Vec<(String, String)>,
}

const SCHEMA: &str = "
type Query
  repository(owner: String!, name: String!) Repository
  viewer User!
  rateLimit RateLimit
type RateLimit
  limit Int!
  cost Int!
  remaining Int!
  used Int!
  resetAt DateTime!
type Repository
  id ID!
  databaseId Int
  name String!
  nameWithOwner String!
  isPrivate Boolean!
  url URI!
  owner RepositoryOwner!
  defaultBranchRef Ref
  ref(qualifiedName: String!) Ref
  object(oid: GitObjectID, expression: String) GitObject
  pullRequest(number: Int!) PullRequest
type RepositoryOwner
  login String!
  id ID!
  url URI!
type Ref
  id ID!
  name String!
  prefix String!
  target GitObject
type GitObject
  id ID!
  oid GitObjectID!
type PullRequest
  id ID!
  databaseId Int
  fullDatabaseId BigInt
  number Int!
  title String!
  body String!
  state PullRequestState!
  isDraft Boolean!
  url URI!
  author Actor
  closed Boolean!
  merged Boolean!
  mergedBy Actor
  mergedAt DateTime
  createdAt DateTime!
  updatedAt DateTime!
  closedAt DateTime
  headRefOid GitObjectID!
  headRefName String!
  baseRefOid GitObjectID!
  baseRefName String!
  mergeCommit Commit
  isCrossRepository Boolean!
  baseRepository Repository
  headRepository Repository
  timelineItems(since: DateTime, skip: Int, itemTypes: [PullRequestTimelineItemsItemType!], after: String, before: String, first: Int, last: Int) PullRequestTimelineItemsConnection!
  reviews(after: String, before: String, first: Int, last: Int, states: [PullRequestReviewState!], author: String) PullRequestReviewConnection
  latestOpinionatedReviews(after: String, before: String, first: Int, last: Int, writersOnly: Boolean) PullRequestReviewConnection
  commits(after: String, before: String, first: Int, last: Int) PullRequestCommitConnection!
type PullRequestReview
  id ID!
  databaseId Int
  fullDatabaseId BigInt
  state PullRequestReviewState!
  submittedAt DateTime
  createdAt DateTime!
  body String!
  url URI!
  author Actor
  authorAssociation CommentAuthorAssociation!
  authorCanPushToRepository Boolean!
  commit Commit
type PullRequestTimelineItems
type PullRequestTimelineItemsConnection
  nodes [PullRequestTimelineItems]
  edges [PullRequestTimelineItemsEdge]
  pageInfo PageInfo!
  totalCount Int!
type PullRequestTimelineItemsEdge
  node PullRequestTimelineItems
  cursor String!
type BaseRefChangedEvent
  id ID!
  createdAt DateTime!
  actor Actor
  currentRefName String!
  previousRefName String!
type AutomaticBaseChangeSucceededEvent
  id ID!
  createdAt DateTime!
  actor Actor
  newBase String!
  oldBase String!
type HeadRefForcePushedEvent
  id ID!
  createdAt DateTime!
  actor Actor
  beforeCommit Commit
  afterCommit Commit
type ReviewDismissedEvent
  id ID!
  databaseId Int
  createdAt DateTime!
  actor Actor
  previousReviewState PullRequestReviewState!
  review PullRequestReview
type PullRequestReviewConnection
  nodes [PullRequestReview]
  edges [PullRequestReviewEdge]
  pageInfo PageInfo!
  totalCount Int!
type PullRequestReviewEdge
  node PullRequestReview
  cursor String!
type PullRequestCommit
  id ID!
  url URI!
  commit Commit!
type PullRequestCommitConnection
  nodes [PullRequestCommit]
  edges [PullRequestCommitEdge]
  pageInfo PageInfo!
  totalCount Int!
type PullRequestCommitEdge
  node PullRequestCommit
  cursor String!
type Commit
  id ID!
  oid GitObjectID!
  abbreviatedOid String!
  message String!
  messageHeadline String!
  authoredDate DateTime!
  committedDate DateTime!
  committedViaWeb Boolean!
  tree Tree!
  url URI!
  author GitActor
  committer GitActor
  authors(after: String, before: String, first: Int, last: Int) GitActorConnection!
  parents(after: String, before: String, first: Int, last: Int) CommitConnection!
  associatedPullRequests(after: String, before: String, first: Int, last: Int) PullRequestConnection
type Tree
  id ID!
  oid GitObjectID!
  entries [TreeEntry!]
type TreeEntry
  name String!
  nameRaw Base64String!
  mode Int!
  type String!
  oid GitObjectID!
type Blob
  id ID!
  oid GitObjectID!
  byteSize Int!
  isBinary Boolean
  isTruncated Boolean!
  text String
type CommitConnection
  nodes [Commit]
  edges [CommitEdge]
  pageInfo PageInfo!
  totalCount Int!
type CommitEdge
  node Commit
  cursor String!
type PullRequestConnection
  nodes [PullRequest]
  edges [PullRequestEdge]
  pageInfo PageInfo!
  totalCount Int!
type PullRequestEdge
  node PullRequest
  cursor String!
type GitActor
  name String
  email String
  date GitTimestamp
  user User
type GitActorConnection
  nodes [GitActor]
  edges [GitActorEdge]
  pageInfo PageInfo!
  totalCount Int!
type GitActorEdge
  node GitActor
  cursor String!
type PageInfo
  hasNextPage Boolean!
  hasPreviousPage Boolean!
  startCursor String
  endCursor String
type Actor
  login String!
  url URI!
type User
  login String!
  url URI!
  id ID!
  databaseId Int
  name String
type Bot
  login String!
  url URI!
  id ID!
  databaseId Int
type Organization
  login String!
  url URI!
  id ID!
  databaseId Int
";

/// Types to their fields.
pub(super) fn all() -> &'static BTreeMap<String, Vec<Field>> {
    static PARSED: OnceLock<BTreeMap<String, Vec<Field>>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut types: BTreeMap<String, Vec<Field>> = BTreeMap::new();
        let mut current = String::new();
        for line in SCHEMA.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("type ") {
                // A union has no fields of its own.
                Some(name) => {
                    name.clone_into(&mut current);
                    types.entry(current.clone()).or_default();
                }
                None => types
                    .entry(current.clone())
                    .or_default()
                    .push(parse(line.trim())),
            }
        }
        types
    })
}

fn parse(line: &str) -> Field {
    let (head, returns) = match line.split_once(") ") {
        Some((head, returns)) => (head, returns),
        None => line.split_once(' ').unwrap_or((line, "")),
    };
    let (name, arguments) = head.split_once('(').unwrap_or((head, ""));
    let arguments = arguments
        .split(", ")
        .filter_map(|argument| argument.split_once(": "))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    Field {
        name: name.to_owned(),
        returns: returns.to_owned(),
        arguments,
    }
}

pub(super) fn field(on: &str, name: &str) -> Option<&'static Field> {
    all().get(on)?.iter().find(|field| field.name == name)
}

/// A type without `!` and brackets.
pub(super) fn bare(kind: &str) -> &str {
    kind.trim_matches(|c| matches!(c, '!' | '[' | ']'))
}

/// Objects that an abstract type may turn out to be.
pub(super) fn possible(kind: &str) -> &'static [&'static str] {
    match kind {
        "Actor" => &["User", "Bot", "Organization"],
        "RepositoryOwner" => &["User", "Organization"],
        "GitObject" => &["Commit", "Tree", "Blob"],
        "PullRequestTimelineItems" => &[
            "BaseRefChangedEvent",
            "AutomaticBaseChangeSucceededEvent",
            "HeadRefForcePushedEvent",
            "ReviewDismissedEvent",
        ],
        _ => &[],
    }
}

pub(super) fn is_object(kind: &str) -> bool {
    all().contains_key(kind)
}
