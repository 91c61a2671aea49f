//! A promotion that every rule lets pass, for the tests to spoil.

mod allows;
mod evidence;
mod hidden;
mod people;
mod refuses;
mod whole;

use super::Subject;
use super::answer::{Answer, Decision};
use super::change::Change;
use super::decide::decide;
use super::fact::{Promoter, RunKind, Unknown};
use super::facts::Facts;
use super::policy::{CommitPosition, Judging, Policy};
use super::pushes::Pushes;
use super::range::{Base, Range};
use super::sides::{COMMITS, Sides};
use super::trail::Trail;
use crate::environment_history::tests::actor;
use crate::setting::Setting;
use github::{
    Activity, App, CheckRun, Event, Pull, PullCommit, RangeCommit, Review, Run, Signer, User,
};
use kit::contract::{Gate, Person, Reviewers, StandsFor};
use ledger::{Chain, Record, Verdict};
use net::Target;
use std::collections::BTreeMap;

const HEAD: &str = "1111111111111111111111111111111111111111";
const MERGE: &str = "2222222222222222222222222222222222222222";
const OLD: &str = "3333333333333333333333333333333333333333";
/// The commit that the environment runs, by a regular promotion.
const BASE: &str = "0123456789012345678901234567890123456789";
/// Where there was no branch before.
const NONE: &str = "0000000000000000000000000000000000000000";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn user(login: &str) -> User {
    let kind = if login.ends_with("[bot]") {
        "Bot"
    } else {
        "User"
    };
    User {
        login: login.to_owned(),
        id: login
            .bytes()
            .fold(7, |id, byte| id * 31 % 1_000_003 + u64::from(byte)),
        kind: kind.to_owned(),
    }
}

/// The text of the contract whose setting is [`setting`].
const CONTRACT: &str = "version: 1
service: storefront
build: {account: var:BUILD, region: ca-central-1}
environments:
  staging: {account: var:STAGING}
  production:
    account: var:PRODUCTION
    follows: staging
    gate: {checks: [test@15368], workflow: .github/workflows/promote.yml, rollback: {approvals: 0}}
";

pub(crate) fn setting() -> Setting {
    Setting {
        service: "storefront".to_owned(),
        environment: "production".to_owned(),
        follows: Some("staging".to_owned()),
        gate: Gate {
            checks: vec!["test@15368".to_owned()],
            workflow: Some(".github/workflows/promote.yml".to_owned()),
            ..Gate::of_approvals(1)
        },
        people: BTreeMap::new(),
        apps: BTreeMap::new(),
        ledger: "ledger".to_owned(),
        trust: ledger::Trust::default(),
        ledger_reader: Target::ambient(),
        permit: Target::ambient(),
        read: Target::ambient(),
        cluster: None,
        ecs_service: "storefront".to_owned(),
        container: None,
        function: None,
        proofs: None,
        image_repository: None,
        infrastructure: None,
        declared: true,
        contract: Some(CONTRACT.to_owned()),
        contract_path: Some("delivery.yaml".to_owned()),
        moved_from: None,
    }
}

fn record(verdict: Verdict) -> Record {
    let record = Record::new(
        &Chain::new("storefront", "staging").unwrap(),
        DIGEST.parse().unwrap(),
        MERGE.parse().unwrap(),
        verdict,
        actor("dora"),
        "2026-11-21T18:00:00Z".to_owned(),
    );
    Record { seq: 4, ..record }
}

/// An account's signature.
pub(crate) fn signer(login: &str) -> Signer {
    Signer {
        email: Some(format!("{login}@acme.example")),
        account: Some(user(login)),
    }
}

/// The signature of an address that belongs to no account.
fn nobody(email: &str) -> Signer {
    Signer {
        email: Some(email.to_owned()),
        account: None,
    }
}

/// A commit of a pull request on `parent`, whose tree is named after it.
pub(crate) fn commit(sha: &str, parent: &str, author: &str) -> PullCommit {
    PullCommit {
        sha: sha.to_owned(),
        tree: format!("tree of {sha}"),
        parents: vec![parent.to_owned()],
        message: format!("change {sha}"),
        authored_at: "2026-11-21T16:00:00Z".to_owned(),
        by_github: false,
        author: signer(author),
        committer: signer(author),
        co_authors: Vec::new(),
    }
}

/// A commit of the branch.
pub(crate) fn on_branch(sha: &str, tree: &str, parents: &[&str]) -> RangeCommit {
    RangeCommit {
        sha: sha.to_owned(),
        tree: tree.to_owned(),
        parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
        message: format!("commit {sha}"),
        authored_at: "2026-11-21T17:00:00Z".to_owned(),
        author: "alice".to_owned(),
    }
}

/// The branch with the merge of [`change`], after `BASE`.
fn range() -> Range {
    let commits = vec![
        on_branch(OLD, "x", &[BASE]),
        on_branch(HEAD, "y", &[OLD]),
        on_branch(MERGE, &format!("tree of {HEAD}"), &[BASE, HEAD]),
    ];
    let base = Base::Record {
        commit: BASE.to_owned(),
        seq: 3,
        runs: true,
    };
    Range::new(base, "ahead", commits, Vec::new())
}

/// A gate's reviewers: people who are listed by the numbers of their accounts, and teams.
fn reviewers(setting: &mut Setting, people: &[&str], teams: &[&str]) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    for login in people {
        let person = Person {
            id: Some(user(login).id),
            ..Person::default()
        };
        setting.people.insert((*login).to_owned(), person);
    }
    setting.gate.reviewers = Some(Reviewers {
        people: owned(people),
        teams: owned(teams),
    });
}

fn review(login: &str, state: &str, head: &str) -> Review {
    Review {
        id: user(login).id,
        user: Some(user(login)),
        state: state.to_owned(),
        commit: Some(head.to_owned()),
        submitted_at: Some("2026-11-21T16:30:00Z".to_owned()),
        may_push: true,
    }
}

fn dismissed(login: &str, by: &str, was: &str) -> Event {
    Event::Dismissed {
        actor: Some(user(by)),
        review: Some(user(login).id),
        was: was.to_owned(),
    }
}

fn since_permit(status: &str) -> super::facts::SincePermit {
    super::facts::SincePermit {
        permit: 4,
        then: "7".repeat(40),
        status: status.to_owned(),
    }
}

fn retargeted(at: &str) -> Event {
    Event::BaseChanged {
        at: at.to_owned(),
        from: "release".to_owned(),
        to: "main".to_owned(),
    }
}

/// A person with a second account.
fn second_account(login: &str) -> Person {
    Person {
        accounts: BTreeMap::from([(login.to_owned(), user(login).id)]),
        ..Person::default()
    }
}

/// A push; `before` does not matter to most tests.
pub(crate) fn push(login: &str, before: &str, after: &str) -> Activity {
    Activity {
        before: before.to_owned(),
        after: after.to_owned(),
        activity_type: "push".to_owned(),
        timestamp: "2026-11-21T16:00:00Z".to_owned(),
        actor: Some(user(login)),
    }
}

fn unseen() -> Unknown {
    Unknown::from(github::Unknown {
        action: "read it".to_owned(),
        why: github::Why::Unanswered("GitHub answered 403".to_owned()),
        permission: Some("pull-requests: read".to_owned()),
    })
}

pub(crate) fn pull() -> Pull {
    Pull {
        number: 7,
        url: String::new(),
        title: "Add a thing".to_owned(),
        author: Some(user("alice")),
        merged: true,
        created_at: "2026-11-21T16:10:00Z".to_owned(),
        base_branch: "main".to_owned(),
        base_repository: Some("acme/storefront".to_owned()),
        head_branch: "thing".to_owned(),
        head_repository: Some("acme/storefront".to_owned()),
        from_fork: false,
        head: HEAD.to_owned(),
        merge_commit: Some(MERGE.to_owned()),
        commits: vec![commit(OLD, BASE, "alice"), commit(HEAD, OLD, "alice")],
        reviews: vec![review("bob", "APPROVED", HEAD)],
        events: Vec::new(),
    }
}

fn change() -> Change {
    Change {
        pull: pull(),
        pushes: Ok(Pushes::Seen(pushes(&[("alice", HEAD), ("alice", OLD)]))),
        checks: Ok(vec![check("test", 15368, Some("success"))]),
        team_reviewers: Ok(Vec::new()),
        merge: Ok(None),
        updates: BTreeMap::new(),
    }
}

/// Pushes, newest first; the oldest made the branch.
pub(crate) fn pushes(list: &[(&str, &str)]) -> Vec<Activity> {
    let before = |index: usize| list.get(index + 1).map_or(NONE, |(_, before)| before);
    let mut all: Vec<Activity> = list
        .iter()
        .enumerate()
        .map(|(index, (login, after))| push(login, before(index), after))
        .collect();
    if let Some(first) = all.last_mut() {
        first.activity_type = "branch_creation".to_owned();
    }
    all
}

fn check(name: &str, app: u64, conclusion: Option<&str>) -> CheckRun {
    CheckRun {
        name: name.to_owned(),
        status: if conclusion.is_some() {
            "completed"
        } else {
            "in_progress"
        }
        .to_owned(),
        conclusion: conclusion.map(str::to_owned),
        app: Some(App { id: app }),
    }
}

/// Both sides of a merge that has nothing to merge.
fn merged_alike() -> Sides {
    let root = |commit| ((commit, String::new()), Vec::new());
    Sides {
        directories: (0..COMMITS).map(root).collect(),
        ..Sides::default()
    }
}

fn promoters(logins: &[&str]) -> Promoter {
    Promoter {
        accounts: logins.iter().map(|login| user(login)).collect(),
        source: "according to GitHub's record of run 5".to_owned(),
    }
}

fn run() -> Run {
    Run {
        id: 5,
        event: "workflow_dispatch".to_owned(),
        path: ".github/workflows/promote.yml".to_owned(),
        head_branch: Some("main".to_owned()),
        head_sha: MERGE.to_owned(),
        run_attempt: Some(1),
        actor: Some(user("dora")),
        triggering_actor: Some(user("dora")),
        status: Some("in_progress".to_owned()),
        conclusion: None,
        html_url: String::new(),
    }
}

/// The contract that judges, and the branch's.
fn judging(own: &str, newest: Option<&str>) -> Judging {
    Judging {
        path: "delivery.yaml".to_owned(),
        own: own.to_owned(),
        newest: newest.map(str::to_owned),
        converted: false,
    }
}

fn policy(position: CommitPosition) -> Policy {
    Policy {
        commit: MERGE.to_owned(),
        tip: MERGE.to_owned(),
        position,
        contract: Some(judging("1111111", Some("1111111"))),
    }
}

/// A promotion that every rule lets pass.
pub(crate) struct Promotion {
    pub(crate) setting: Setting,
    pub(crate) subject: Subject,
    pub(crate) facts: Facts,
}

impl Promotion {
    pub(crate) fn new() -> Self {
        Self {
            setting: setting(),
            subject: Subject {
                digest: DIGEST.parse().unwrap(),
                commit: Some(MERGE.parse().unwrap()),
                evidence: Some(record(Verdict::Healthy)),
                trail: Trail::default(),
                built_for: None,
                plan: None,
                base: Base::Nothing,
            },
            facts: Facts {
                on_branch: Ok("ahead".to_owned()),
                repository: Some("acme/storefront".to_owned()),
                tip: Ok("5".repeat(40)),
                since_permit: None,
                range: Ok(range()),
                changes: Ok(vec![change()]),
                accepted: Ok(Vec::new()),
                providers: Ok(Vec::new()),
                promoter: Ok(promoters(&["dora"])),
                run: RunKind::GitHub(Ok(run())),
                policy: Some(Ok(policy(CommitPosition::Newest))),
            },
        }
    }

    fn decide(&self) -> Decision {
        decide(&self.setting, &self.subject, &self.facts)
    }

    fn change(&mut self) -> &mut Change {
        &mut self.facts.changes.as_mut().unwrap()[0]
    }

    pub(crate) fn pull(&mut self) -> &mut Pull {
        &mut self.change().pull
    }

    /// A rollback or a break-glass followed the base.
    fn not_running(&mut self) {
        let Base::Record { runs, .. } = &mut self.range().base else {
            return;
        };
        *runs = false;
    }

    pub(crate) fn range(&mut self) -> &mut Range {
        self.facts.range.as_mut().unwrap()
    }

    /// Adds a merge of the branch into the pull request, which `login` made.
    fn updated(&mut self, login: &str, sides: Sides) {
        let update = "7".repeat(40);
        let mut made = commit(&update, OLD, login);
        made.parents.push("8".repeat(40));
        self.pull().commits.insert(1, made);
        self.change().updates.insert(update, Ok(sides));
    }

    /// Replaces the pushes.
    fn pushed(&mut self, list: &[(&str, &str)]) {
        self.change().pushes = Ok(Pushes::Seen(pushes(list)));
    }

    /// Adds a second pull request, merged after the first, by its author and its approver.
    fn second(&mut self, author: &str, approver: &str) {
        let (head, merge) = ("4".repeat(40), "5".repeat(40));
        let mut second = change();
        second.pull = Pull {
            number: 8,
            author: Some(user(author)),
            head: head.clone(),
            merge_commit: Some(merge.clone()),
            commits: vec![commit(&head, MERGE, author)],
            reviews: vec![review(approver, "APPROVED", &head)],
            ..second.pull
        };
        second.pushes = Ok(Pushes::Seen(pushes(&[(author, &head)])));
        self.facts.changes.as_mut().unwrap().push(second);
        let range = self.range();
        let more = [
            on_branch(&head, "z", &[MERGE]),
            on_branch(&merge, &format!("tree of {head}"), &[MERGE, &head]),
        ];
        let commits = range.commits.iter().cloned().chain(more).collect();
        *range = Range::new(range.base.clone(), "ahead", commits, Vec::new());
        self.subject.commit = Some(merge.parse().unwrap());
    }

    fn run(&mut self) -> &mut Run {
        match &mut self.facts.run {
            RunKind::GitHub(Ok(run)) => run,
            other => panic!("{other:?}"),
        }
    }
}

fn with(answer: Answer, decision: &Decision) -> Vec<&'static str> {
    decision
        .rules
        .iter()
        .filter(|rule| rule.answer == answer)
        .map(|rule| rule.rule)
        .collect()
}
#[test]
fn all_is_well() {
    let decision = Promotion::new().decide();
    assert!(decision.allowed(), "{decision:?}");
    assert_eq!(with(Answer::Pass, &decision).len(), 11, "{decision:?}");
}
