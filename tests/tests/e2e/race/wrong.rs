//! The checker of a race on histories that are made by hand: a right one, and wrong ones with one fault each.

use sandbox::instance::sha256;
use serde_json::{Value, json};

use super::history::{History, Item, OVERTAKEN, Span, Step, check};

const LATER: &str = "2026-11-21T19:00:00Z";

fn digest(name: &str) -> String {
    format!("sha256:{}", name.repeat(64))
}

fn revision(name: &str) -> String {
    format!("arn:aws:ecs:ca-central-1:1:task-definition/storefront:{name}")
}

fn page(run: u64, attempt: u64) -> String {
    format!("https://github.com/acme/storefront/actions/runs/{run}/attempts/{attempt}")
}

/// A history before its items are made: records with the number of the deployment that a permit was judged by.
struct Draft {
    records: Vec<Value>,
    history: History,
}

impl Draft {
    /// Runs 1 and 2 have a permit for b and for c; run 1 deploys, is killed and run again, and records. Run 2 asks anew then,
    /// and is killed when its deployment has begun. A person records that, and run 3 deploys d.
    fn new() -> Self {
        let record = |verdict: &str, name: &str| json!({"verdict": verdict, "digest": digest(name), "at": "2026-11-21T18:00:00Z"});
        let permit = |name: &str, run: u64, head: u64| {
            let mut permit = record("permitted", name);
            permit["run"] = json!(page(run, 1));
            permit["permit"] = json!({"head": head, "expires": LATER});
            permit
        };
        let under = |verdict: &str, name: &str, run: (u64, u64), permit: u64| {
            let mut under = record(verdict, name);
            under["run"] = json!(page(run.0, run.1));
            under["under"] = json!(permit);
            under["task_definition"] = json!(revision(name));
            under
        };
        let records = vec![
            record("healthy", "a"),
            permit("b", 1, 1),
            permit("c", 2, 1),
            under("started", "b", (1, 1), 2),
            under("healthy", "b", (1, 2), 2),
            permit("c", 2, 5),
            under("started", "c", (2, 1), 6),
            record("failed", "c"),
            permit("d", 3, 8),
            under("started", "d", (3, 1), 9),
            under("healthy", "d", (3, 1), 9),
        ];
        let span = |began: u64| Span {
            began,
            ended: began + 1,
        };
        let updates = [(42, "b"), (72, "c"), (102, "d")];
        let step = |run: (u64, u64), verb, name: &str, permit: u64, code: Option<i32>| Step {
            run: page(run.0, run.1),
            verb,
            digest: digest(name),
            permit: (permit > 0).then_some(permit),
            code,
            killed: code.is_none(),
            stderr: String::new(),
        };
        let history = History {
            items: Vec::new(),
            given: 1,
            appends: (2..=11).map(|seq| span(seq * 10)).collect(),
            updates: updates
                .map(|(at, name)| (span(at), revision(name)))
                .to_vec(),
            rollouts: ["a", "b", "c", "d"].map(revision).to_vec(),
            images: ["a", "b", "c", "d"]
                .map(|name| (revision(name), digest(name)))
                .into(),
            runs: revision("d"),
            steps: vec![
                step((1, 1), "grant", "b", 2, Some(0)),
                step((2, 1), "grant", "c", 3, Some(0)),
                step((4, 1), "grant", "d", 0, Some(3)),
                step((1, 1), "deploy", "b", 2, None),
                step((2, 1), "deploy", "c", 3, Some(3)),
                step((2, 1), "record failed", "c", 3, Some(0)),
                step((1, 2), "deploy", "b", 2, Some(0)),
                step((1, 2), "record healthy", "b", 2, Some(0)),
                step((2, 1), "deploy", "c", 6, None),
                step((3, 1), "deploy", "d", 9, Some(0)),
                step((3, 1), "record healthy", "d", 9, Some(0)),
            ],
        };
        Self { records, history }
    }

    /// The record of this number.
    fn record(&mut self, seq: usize) -> &mut Value {
        &mut self.records[seq - 1]
    }

    /// Puts a record behind the one of this number, while nothing else is done. The numbers that records name are those from before.
    fn insert(&mut self, seq: usize, record: Value) {
        self.records.insert(seq, record);
        let began = seq as u64 * 10 + 6;
        self.history.appends.insert(
            seq - 1,
            Span {
                began,
                ended: began + 1,
            },
        );
        for record in &mut self.records {
            let moved = |number: &Value| number.as_u64().map(|it| it + u64::from(it > seq as u64));
            if let Some(under) = moved(&record["under"]) {
                record["under"] = json!(under);
            }
            if let Some(head) = moved(&record["permit"]["head"]) {
                record["permit"]["head"] = json!(head);
            }
        }
        for step in &mut self.history.steps {
            step.permit = step.permit.map(|it| it + u64::from(it > seq as u64));
        }
    }

    fn made(mut self) -> History {
        let mut prev = "0".repeat(64);
        let mut hashes: Vec<String> = Vec::new();
        for (seq, mut record) in (1..).zip(self.records) {
            record["seq"] = json!(seq);
            if let Some(head) = record["permit"]["head"].as_u64() {
                record["permit"]["head"] = json!(hashes[usize::try_from(head).unwrap() - 1]);
            } else if record["permit"].is_null() {
                record.as_object_mut().unwrap().remove("permit");
            }
            let record = record.to_string();
            let hash = sha256(format!("{prev}{record}").as_bytes());
            hashes.push(hash.clone());
            self.history.items.push(Item {
                record,
                hash: hash.clone(),
                prev,
            });
            prev = hash;
        }
        self.history
    }
}

#[test]
fn a_right_history_of_a_race_is_right() {
    assert_eq!(check(&Draft::new().made()), [""; 0]);
}

/// Run 2 rolls back to c while run 1 deploys b, and records `verdict`.
fn with_a_rollback(verdict: &str) -> Draft {
    let mut draft = Draft::new();
    draft.record(3)["rollback"] = json!({});
    let mut begun = draft.records[3].clone();
    begun["run"] = json!(page(2, 1));
    begun["under"] = json!(3);
    begun["digest"] = json!(digest("c"));
    begun["task_definition"] = json!(revision("c"));
    let mut closing = begun.clone();
    closing["verdict"] = json!(verdict);
    *draft.record(5) = closing;
    draft.insert(4, begun);
    draft
}

#[test]
fn a_history_in_which_a_rollback_overtakes_a_deployment_is_right() {
    let mut draft = with_a_rollback("healthy");
    let history = &mut draft.history;
    let back = Span {
        began: 48,
        ended: 49,
    };
    history.updates.insert(1, (back, revision("c")));
    history.steps[4].code = Some(0);
    history.steps[5].verb = "record healthy";
    history.steps[6].code = Some(3);
    history.steps[7].code = Some(3);
    assert_eq!(check(&draft.made()), [""; 0]);
}

/// The rollback's update is done first, and the update that it had overtaken comes late and takes the service over.
fn with_a_late_update(late: Span, closed: Span) -> Draft {
    let mut draft = with_a_rollback("failed");
    let history = &mut draft.history;
    let back = Span {
        began: 48,
        ended: 49,
    };
    history.updates[0].0 = late;
    history.updates.push((back, revision("c")));
    history.updates.sort_by_key(|(span, _)| span.ended);
    let made = history.updates.iter().map(|(_, revision)| revision.clone());
    history.rollouts = [revision("a")].into_iter().chain(made).collect();
    history.appends[4] = closed;
    let overtaken = &mut history.steps[3];
    (overtaken.code, overtaken.killed) = (Some(1), false);
    overtaken.stderr = OVERTAKEN.to_owned();
    history.steps[4].code = Some(7);
    history.steps[6].code = Some(3);
    history.steps[7].code = Some(3);
    draft
}

#[test]
fn a_rollback_may_be_superseded_by_the_late_update_that_it_had_overtaken() {
    let span = |began, ended| Span { began, ended };
    let (in_time, closed) = (span(42, 43), span(55, 56));
    for late in [span(47, 50), span(52, 53)] {
        let wrong = check(&with_a_late_update(late, closed).made());
        assert_eq!(wrong, [""; 0], "{late:?}");
    }
    for (update, closed) in [
        // It came before the rollback's own, so it took nothing over.
        (in_time, closed),
        // It came after the rollback was recorded to have failed, so it is not the reason for that.
        (span(57, 58), closed),
    ] {
        let wrong = check(&with_a_late_update(update, closed).made());
        let superseded = wrong
            .iter()
            .filter(|line| line.contains("ended with Some(7)"));
        assert_eq!(superseded.count(), 1, "{wrong:#?}");
    }
    // The late update was of the very run that rolled back.
    let mut draft = with_a_late_update(span(52, 53), closed);
    draft.record(4)["run"] = json!(page(2, 1));
    let wrong = check(&draft.made());
    assert!(
        wrong.iter().any(|line| line.contains("ended with Some(7)")),
        "{wrong:#?}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_history_of_a_race_is_wrong_in_each_way_it_can_be() {
    type Fault = fn(&mut Draft);
    let faults: [(&str, Fault); 29] = [
        ("permit 6 was judged by an older deployment", |draft| {
            draft.record(6)["permit"]["head"] = json!(1)
        }),
        // Two winners of one step: each with its own permit, or both with one.
        ("record 5 began while 4 was under way", |draft| {
            let mut other = draft.records[3].clone();
            other["run"] = json!(page(2, 1));
            other["under"] = json!(3);
            other["digest"] = json!(digest("c"));
            draft.insert(4, other);
        }),
        ("permit 2 was used by two runs", |draft| {
            let mut other = draft.records[3].clone();
            other["run"] = json!(page(2, 1));
            draft.insert(4, other);
        }),
        ("permit 5 came while 4 was under way", |draft| {
            let other = draft.records[2].clone();
            draft.insert(4, other);
        }),
        ("record 4 began under 3, which was void", |draft| {
            draft.record(3)["permit"]["expires"] = json!("2026-11-21T17:00:00Z");
            draft.record(4)["under"] = json!(3);
        }),
        ("record 7 began under 3, which was void", |draft| {
            draft.record(7)["under"] = json!(3)
        }),
        (
            "record 4 began more than ten minutes after 2 was judged",
            |it| it.record(2)["at"] = json!("2026-11-21T17:49:59Z"),
        ),
        ("record 4 began another digest than 2 permits", |draft| {
            draft.record(4)["digest"] = json!(digest("c"))
        }),
        ("record 4 began under 1, which is not a permit", |draft| {
            draft.record(4)["under"] = json!(1)
        }),
        ("record 5 closes 3, which had not begun", |draft| {
            draft.record(5)["under"] = json!(3)
        }),
        ("record 5 is of another digest than began", |draft| {
            draft.record(5)["digest"] = json!(digest("c"))
        }),
        ("record 5 is healthy without a permit", |draft| {
            draft.record(5)["under"] = Value::Null
        }),
        ("record 10 began and nothing closed it", |draft| {
            draft.records.truncate(10);
            draft.history.appends.truncate(9);
        }),
        ("record 9 closes nothing", |draft| {
            let other = draft.records[7].clone();
            draft.insert(8, other);
        }),
        (
            "storefront:b was deployed before it began on record",
            |draft| {
                draft.history.updates[0].0 = Span {
                    began: 38,
                    ended: 43,
                }
            },
        ),
        ("storefront:c was deployed after record 8", |draft| {
            draft.history.updates[1].0 = Span {
                began: 84,
                ended: 85,
            }
        }),
        ("storefront:b is another image than began", |draft| {
            draft.history.images.insert(revision("b"), digest("e"));
        }),
        ("record 5 saw another image run", |draft| {
            draft.history.images.insert(revision("b"), digest("e"));
        }),
        ("11 appends made 10 records", |draft| {
            let last = draft.history.appends[9];
            draft.history.appends.push(last);
        }),
        ("record 11 is healthy after", |draft| {
            draft.history.updates.push((
                Span {
                    began: 104,
                    ended: 105,
                },
                revision("b"),
            ));
        }),
        ("ECS made the deployments", |draft| {
            draft.history.rollouts.insert(3, revision("e"))
        }),
        ("the service runs", |draft| {
            draft.history.runs = revision("c")
        }),
        ("the newest deployment is not healthy", |draft| {
            draft.record(11)["verdict"] = json!("failed")
        }),
        // A rollback need not wait. A deployment after it waits, and one that it overtook does not succeed.
        ("record 6 closes 2, which had not begun", |draft| {
            draft.records[2]["rollback"] = json!({});
            let mut other = draft.records[3].clone();
            other["run"] = json!(page(2, 1));
            other["under"] = json!(3);
            other["digest"] = json!(digest("c"));
            draft.insert(4, other);
        }),
        ("storefront:c was deployed after record 8", |draft| {
            draft.history.updates[1].0 = Span {
                began: 84,
                ended: 85,
            };
            draft.history.steps[9].stderr = OVERTAKEN.to_owned();
        }),
        ("ended with Some(7)", |draft| {
            draft.history.steps[9].code = Some(7)
        }),
        // It says that it recorded what another run did.
        ("record healthy of", |draft| {
            draft.history.steps[7].run = page(5, 1)
        }),
        // It was refused, and its deployment had begun.
        ("ended with Some(3)", |draft| {
            draft.history.steps[9].code = Some(3)
        }),
        ("ended with None", |draft| {
            draft.history.steps[3].killed = false
        }),
    ];
    for (wanted, fault) in faults {
        let mut draft = Draft::new();
        fault(&mut draft);
        let wrong = check(&draft.made());
        assert!(
            wrong.iter().any(|line| line.contains(wanted)),
            "{wanted}: {wrong:#?}"
        );
    }
    // Somebody who can write the table changes what a record says.
    let mut history = Draft::new().made();
    history.items[4].record = history.items[4].record.replace("healthy", "failed");
    let wrong = check(&history);
    assert!(
        wrong[0].contains("record 5 does not follow the one before"),
        "{wrong:#?}"
    );
}
