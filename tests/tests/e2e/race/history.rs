//! Checks what happened in a race: the raw items of the chain, the calls that updated the service, and how the steps ended.
//! It shares no code with the product.

use std::collections::BTreeMap;

use sandbox::instance::sha256;
use serde_json::Value;

/// The message of a deployment whose update of the service came after another one had begun.
pub(super) const OVERTAKEN: &str = "had superseded this one before the update";

/// Where a call stands among the beginnings and ends of all calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) began: u64,
    pub(super) ended: u64,
}

impl Span {
    /// Returns true if it was over before the other began.
    fn before(self, other: Self) -> bool {
        self.ended < other.began
    }
}

/// An item of the chain as the table has it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) record: String,
    pub(super) hash: String,
    pub(super) prev: String,
}

/// How one step of one run ended.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The page of the run with the attempt.
    pub(super) run: String,
    pub(super) verb: &'static str,
    pub(super) digest: String,
    /// The permit that it got, or that it was given.
    pub(super) permit: Option<u64>,
    /// Nothing if it was killed.
    pub(super) code: Option<i32>,
    /// True if the test killed it.
    pub(super) killed: bool,
    pub(super) stderr: String,
}

/// Everything that is known of a race.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// The chain, oldest first.
    pub(super) items: Vec<Item>,
    /// How many of them were there before.
    pub(super) given: u64,
    /// When each of the others was appended, in their order.
    pub(super) appends: Vec<Span>,
    /// The updates of the service to another task definition that ECS did, in the order in which they ended.
    pub(super) updates: Vec<(Span, String)>,
    /// The task definitions of the service's deployments, oldest first, as ECS lists them, from the one that was there before on.
    pub(super) rollouts: Vec<String>,
    /// The digest of each task definition's image.
    pub(super) images: BTreeMap<String, String>,
    /// The service's task definition at the end.
    pub(super) runs: String,
    pub(super) steps: Vec<Step>,
}

/// A record with what the checker needs of it.
#[derive(Debug)]
struct Record {
    seq: u64,
    hash: String,
    content: Value,
}

impl Record {
    fn verdict(&self) -> &str {
        self.content["verdict"].as_str().unwrap_or_default()
    }

    fn is_deployment(&self) -> bool {
        let deploys_nothing = [
            "permitted",
            "started",
            "reviewed",
            "requested",
            "approved",
            "rejected",
            "withdrawn",
        ];
        !deploys_nothing.contains(&self.verdict())
    }

    fn digest(&self) -> &str {
        self.content["digest"].as_str().unwrap_or_default()
    }

    fn revision(&self) -> &str {
        self.content["task_definition"].as_str().unwrap_or_default()
    }

    fn page(&self) -> &str {
        self.content["run"].as_str().unwrap_or_default()
    }

    /// The run without its attempt.
    fn run(&self) -> &str {
        let page = self.page();
        page.split_once("/attempts/").map_or(page, |(run, _)| run)
    }

    fn under(&self) -> Option<u64> {
        self.content["under"].as_u64()
    }

    /// Returns true if it is of a rollback, which need not wait for what is under way.
    fn rolls_back(&self) -> bool {
        self.content["rollback"].is_object()
    }
}

impl History {
    fn records(&self) -> Vec<Record> {
        let record = |(index, item): (usize, &Item)| Record {
            seq: index as u64 + 1,
            hash: item.hash.clone(),
            content: serde_json::from_str(&item.record).unwrap_or_default(),
        };
        self.items.iter().enumerate().map(record).collect()
    }

    /// When a record was appended, if it was not there before.
    fn append(&self, record: &Record) -> Option<Span> {
        let index = record.seq.checked_sub(self.given + 1)?;
        self.appends.get(usize::try_from(index).ok()?).copied()
    }

    fn image(&self, revision: &str) -> &str {
        self.images.get(revision).map_or("nothing", String::as_str)
    }

    /// The outcomes in numbers, for measurements.
    pub(super) fn summary(&self) -> String {
        let records = self.records();
        let of = |verdict: &str| records.iter().filter(|it| it.verdict() == verdict).count();
        let killed = |verb: &str| {
            let killed = self.steps.iter().filter(|it| it.code.is_none());
            killed.filter(|it| it.verb.starts_with(verb)).count()
        };
        format!(
            "{} steps, {} permits, {} beginnings, {} healthy, {} failed, {} updates; killed in grant {}, deploy {}, record {}",
            self.steps.len(),
            of("permitted"),
            of("started"),
            of("healthy"),
            of("failed"),
            self.updates.len(),
            killed("grant"),
            killed("deploy"),
            killed("record"),
        )
    }
}

/// Returns the faults in a history, none if it is right.
pub(super) fn check(history: &History) -> Vec<String> {
    let records = history.records();
    let mut wrong = Vec::new();
    linked(history, &mut wrong);
    walked(history, &records, &mut wrong);
    updated(history, &records, &mut wrong);
    ended(history, &records, &mut wrong);
    stepped(history, &records, &mut wrong);
    wrong
}

/// Each item holds its hash and that of the one before.
fn linked(history: &History, wrong: &mut Vec<String>) {
    let mut prev = "0".repeat(64);
    for (index, item) in history.items.iter().enumerate() {
        let seq = index + 1;
        let content: Value = serde_json::from_str(&item.record).unwrap_or_default();
        let hash = sha256(format!("{}{}", item.prev, item.record).as_bytes());
        if item.prev != prev || item.hash != hash || content["seq"] != seq {
            wrong.push(format!("record {seq} does not follow the one before"));
        }
        prev.clone_from(&item.hash);
    }
    let appended = history.items.len() as u64 - history.given;
    if appended != history.appends.len() as u64 {
        let calls = history.appends.len();
        wrong.push(format!("{calls} appends made {appended} records"));
    }
}

/// Goes along the chain: what was permitted, began and ended.
fn walked(history: &History, records: &[Record], wrong: &mut Vec<String>) {
    let mut newest = "0".repeat(64);
    let mut begun: Vec<&Record> = Vec::new();
    for record in records {
        let seq = record.seq;
        if record.seq > history.given {
            match record.verdict() {
                "permitted" => permitted(record, &newest, &begun, wrong),
                "started" => {
                    started(record, records, &newest, &begun, wrong);
                    begun.push(record);
                }
                _ if record.is_deployment() => closed(history, record, &begun, wrong),
                other => wrong.push(format!("record {seq} is {other}")),
            }
        }
        if record.is_deployment() {
            newest.clone_from(&record.hash);
            begun.clear();
        }
    }
    for open in begun {
        wrong.push(format!("record {} began and nothing closed it", open.seq));
    }
}

fn permitted(record: &Record, newest: &str, begun: &[&Record], wrong: &mut Vec<String>) {
    let seq = record.seq;
    if record.content["permit"]["head"] != newest {
        wrong.push(format!("permit {seq} was judged by an older deployment"));
    }
    let other = begun.iter().find(|it| it.run() != record.run());
    if let (Some(other), false) = (other, record.rolls_back()) {
        wrong.push(format!(
            "permit {seq} came while {} was under way",
            other.seq
        ));
    }
}

fn started(
    record: &Record,
    records: &[Record],
    newest: &str,
    begun: &[&Record],
    wrong: &mut Vec<String>,
) {
    let (seq, under) = (record.seq, record.under().unwrap_or_default());
    let permit = records
        .iter()
        .find(|it| it.seq == under && it.seq < seq && it.verdict() == "permitted");
    let Some(permit) = permit else {
        wrong.push(format!(
            "record {seq} began under {under}, which is not a permit"
        ));
        return;
    };
    let other = begun.iter().find(|it| it.run() != record.run());
    if let (Some(other), false) = (other, permit.rolls_back()) {
        wrong.push(format!(
            "record {seq} began while {} was under way",
            other.seq
        ));
    }
    if permit.digest() != record.digest() {
        wrong.push(format!(
            "record {seq} began another digest than {under} permits"
        ));
    }
    let content = &permit.content["permit"];
    let expires = content["expires"].as_str().unwrap_or_default();
    let at = record.content["at"].as_str().unwrap_or_default();
    if content["head"] != newest || expires <= at {
        wrong.push(format!("record {seq} began under {under}, which was void"));
    }
    let earlier = records
        .iter()
        .filter(|it| it.under() == Some(under) && it.seq < seq);
    if earlier.clone().any(|it| it.run() != record.run()) {
        wrong.push(format!("permit {under} was used by two runs"));
    }
    let judged = seconds(permit.content["at"].as_str().unwrap_or_default());
    if earlier.count() == 0 && !permit.rolls_back() && seconds(at) - judged > 600 {
        wrong.push(format!(
            "record {seq} began more than ten minutes after {under} was judged"
        ));
    }
}

/// A record's time as a number.
fn seconds(at: &str) -> i64 {
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let at = time::OffsetDateTime::parse(at, rfc3339);
    at.unwrap().unix_timestamp()
}

fn closed(history: &History, record: &Record, begun: &[&Record], wrong: &mut Vec<String>) {
    let seq = record.seq;
    let last = begun.last();
    match (record.under(), last) {
        (Some(under), Some(last)) if last.under() == Some(under) => {
            if last.digest() != record.digest() {
                wrong.push(format!("record {seq} is of another digest than began"));
            }
        }
        (Some(under), _) => wrong.push(format!("record {seq} closes {under}, which had not begun")),
        (None, _) if record.verdict() == "healthy" => {
            wrong.push(format!("record {seq} is healthy without a permit"));
        }
        (None, Some(_)) => {}
        (None, None) => wrong.push(format!("record {seq} closes nothing")),
    }
    if record.verdict() != "healthy" {
        return;
    }
    if history.image(record.revision()) != record.digest() {
        wrong.push(format!("record {seq} saw another image run"));
    }
    let Some(append) = history.append(record) else {
        return;
    };
    let mut before = history
        .updates
        .iter()
        .filter(|(span, _)| span.before(append));
    match before.next_back() {
        Some((_, revision)) if revision == record.revision() => {}
        found => wrong.push(format!("record {seq} is healthy after {found:?}")),
    }
}

/// Each update of the service came after the record that it begins, and before anything that ended that.
fn updated(history: &History, records: &[Record], wrong: &mut Vec<String>) {
    for (span, revision) in &history.updates {
        let over = |record: &&Record| history.append(record).is_some_and(|it| it.before(*span));
        let mut begun = records
            .iter()
            .filter(over)
            .filter(|it| it.verdict() == "started" && it.revision() == revision);
        let Some(begun) = begun.next_back() else {
            wrong.push(format!("{revision} was deployed before it began on record"));
            continue;
        };
        if history.image(revision) != begun.digest() {
            wrong.push(format!("{revision} is another image than began"));
        }
        let ends = |it: &&Record| it.is_deployment() || it.verdict() == "started";
        let mut later = records.iter().filter(over).filter(ends);
        // Nothing keeps a call that is on its way from being done late; its step then says that it was overtaken.
        let tells = history.steps.iter().any(|it| {
            it.run == begun.page() && it.verb == "deploy" && it.stderr.contains(OVERTAKEN)
        });
        if let (Some(later), false) = (later.rfind(|it| it.seq > begun.seq), tells) {
            wrong.push(format!(
                "{revision} was deployed after record {}",
                later.seq
            ));
        }
    }
    // An update to what is deployed already makes no deployment.
    let mut asked: Vec<&str> = Vec::new();
    asked.extend(history.rollouts.first().map(String::as_str));
    asked.extend(
        history
            .updates
            .iter()
            .map(|(_, revision)| revision.as_str()),
    );
    asked.dedup();
    let mut made: Vec<&str> = history.rollouts.iter().map(String::as_str).collect();
    made.dedup();
    if asked != made {
        wrong.push(format!("ECS made the deployments {made:?} of {asked:?}"));
    }
}

/// The service ends up with the digest that the chain names.
fn ended(history: &History, records: &[Record], wrong: &mut Vec<String>) {
    let newest = records.iter().rfind(|it| it.is_deployment());
    match newest {
        Some(newest) if newest.verdict() == "healthy" => {
            if history.image(&history.runs) != newest.digest() {
                wrong.push(format!("the service runs {}", history.runs));
            }
        }
        _ => wrong.push("the newest deployment is not healthy".to_owned()),
    }
}

/// Returns true if another run began a deployment after this one began its own, and before a record closed that.
fn overtaken(records: &[Record], run: &str, permit: Option<u64>) -> bool {
    let own = |it: &&Record| it.verdict() == "started" && it.page() == run && it.under() == permit;
    let Some(own) = records.iter().find(own) else {
        return false;
    };
    let later = records.iter().filter(|it| it.seq > own.seq);
    let mut open = later.take_while(|it| !it.is_deployment());
    open.any(|it| it.verdict() == "started" && it.run() != own.run())
}

/// Returns true if the update of a deployment that this one had overtaken was done after this one's own, and before a record closed
/// this one. It was on its way when this one began, and the service runs what was asked of it last.
fn displaced(history: &History, records: &[Record], run: &str, permit: Option<u64>) -> bool {
    let own = |it: &&Record| it.verdict() == "started" && it.page() == run && it.under() == permit;
    let Some(own) = records.iter().find(own) else {
        return false;
    };
    let update = |begun: &Record| {
        let append = history.append(begun)?;
        let mut updates = history.updates.iter();
        updates
            .find(|(span, revision)| revision == begun.revision() && append.before(*span))
            .map(|(span, _)| *span)
    };
    let Some(ours) = update(own) else {
        return false;
    };
    let closed = records
        .iter()
        .find(|it| it.seq > own.seq && it.is_deployment())
        .and_then(|it| history.append(it));
    let earlier = records.iter().rev().filter(|it| it.seq < own.seq);
    let mut open = earlier.take_while(|it| !it.is_deployment());
    open.any(|it| {
        it.verdict() == "started"
            && it.run() != own.run()
            && update(it).is_some_and(|late| {
                !late.before(ours) && closed.is_none_or(|closed| !closed.before(late))
            })
    })
}

/// How each step ended is what the chain says of its run.
fn stepped(history: &History, records: &[Record], wrong: &mut Vec<String>) {
    for step in &history.steps {
        let Step {
            run,
            verb,
            permit,
            code,
            ..
        } = step;
        let there = |verdict: &str| {
            records.iter().any(|record| {
                let number = if verdict == "permitted" {
                    Some(record.seq)
                } else {
                    record.under()
                };
                record.verdict() == verdict
                    && record.page() == run
                    && number == *permit
                    && record.digest() == step.digest
            })
        };
        let by_run = |verdict: &str| {
            records.iter().any(|record| {
                record.verdict() == verdict
                    && run.starts_with(&format!("{}/", record.run()))
                    && record.under() == *permit
                    && record.digest() == step.digest
            })
        };
        let fits = match (*verb, *code) {
            (_, None) => step.killed,
            ("grant", Some(0)) => there("permitted"),
            // An earlier attempt may have begun it, of the same revision.
            ("deploy", Some(0)) => by_run("started"),
            ("deploy", Some(1)) if step.stderr.contains(OVERTAKEN) => {
                overtaken(records, run, *permit)
            }
            ("deploy", Some(7)) => {
                overtaken(records, run, *permit) || displaced(history, records, run, *permit)
            }
            ("deploy", Some(1 | 3 | 4)) => !there("started"),
            // An earlier attempt may have recorded it.
            ("record healthy", Some(0)) => by_run("healthy"),
            // The step saw another image run.
            ("record healthy", Some(1)) => !there("healthy"),
            ("record failed", Some(0))
            | ("grant" | "record healthy" | "record failed", Some(3 | 4)) => true,
            _ => false,
        };
        if !fits {
            wrong.push(format!(
                "{verb} of {run} under {permit:?} ended with {code:?}: {}",
                step.stderr
            ));
        }
    }
}
