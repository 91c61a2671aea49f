//! Many contenders for one lock, some killed and some suspended past their lease: never two at once, no update lost, every wait over. They
//! update the state itself, in its bucket, with writes that nothing but the lock keeps apart. A history of the events is checked afterwards
//! by a program that can fail; a table that forgets the conditions of writes shows that it does.
//!
//! The full size: `SLIPWAY_CONTENDERS=64 SLIPWAY_ACQUISITIONS=1000 cargo test --workspace --test e2e contend`.

mod history;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbox::instance::port;
use sandbox::say::note;
use serde_json::{Value, json};

use crate::cancel::State;
use crate::hold::{alone, fault, object};
use crate::job::Job;
use crate::support::{Started, heavy, instance, item, log, wait};
use history::{Event, check, parse};

/// The holder's command, with the credentials that the run lends it: it records that it entered and whether anybody else is inside; reads
/// the state, waits, and writes it back with the serial raised by one; and records that it leaves.
const WORK: &str = r#"
alive() { s=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null); [ -n "$s" ] && [ "$s" != Z ] && [ "$s" != X ]; }
state() {
    printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" |
        curl --config - --silent --show-error --fail --max-time 20 --aws-sigv4 "aws:amz:$AWS_REGION:s3" \
            --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --header 'content-type: application/json' "$@" "$STATE"
}
trap 'echo "stopped $ID $EPOCHREALTIME" >> history; exit 1' INT
echo "enter $ID $EPOCHREALTIME" >> history
other=$(cat inside 2>/dev/null)
if [ -n "$other" ] && alive "$other"; then echo "overlap $ID $EPOCHREALTIME" >> history; fi
echo $$ > inside
read=$(state) || exit 2
serial=${read#*\"serial\": }
serial=$((${serial%%,*} + 1))
sleep "$STAY"
state --request PUT --data-binary "{\"version\": 4, \"serial\": $serial, \"lineage\": \"contended\"}" || exit 2
rm -f inside
echo "leave $ID $EPOCHREALTIME $serial" >> history
"#;

/// The disturbance of one acquisition, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Undisturbed,
    /// The run is killed, alone, a while after this.
    Killed(When, Duration),
    /// The run sleeps for longer than its lease, and its command would stay for longer or be over by then.
    Asleep {
        stays: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Started,
    Entered,
    Left,
}

const FIRST_KILLED: usize = 3;
const FIRST_KILLED_INSIDE: usize = 15;

impl Fate {
    /// A tenth of all is disturbed: killed while they start, wait, are inside or leave, or put to sleep.
    fn of(id: usize, contenders: usize) -> Self {
        let within = |millis: u64| Duration::from_millis(draw(id) % millis);
        match (id % 12, id % 28) {
            (3, _) => {
                let (when, after) = match id / 12 % 4 {
                    // So that on any machine one is killed before it enters.
                    0 if id == FIRST_KILLED => (When::Started, Duration::ZERO),
                    0 => (When::Started, within(300)),
                    1 => (When::Entered, within(120)),
                    2 => (When::Left, within(25)),
                    _ => (When::Started, within(contenders as u64 * 500)),
                };
                Self::Killed(when, after)
            }
            (_, 9) => Self::Asleep {
                stays: (id / 28).is_multiple_of(2),
            },
            _ => Self::Undisturbed,
        }
    }
}

/// How one acquisition ended.
#[derive(Debug)]
struct End {
    id: usize,
    fate: Fate,
    code: Option<i32>,
    stderr: String,
}

/// Numbers that look random and are the same at every run.
fn draw(seed: usize) -> u64 {
    let mut x = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Half of it is more than a renewal takes while others keep the machine busy.
const LEASE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(3600);

/// A lock, a state that counts, and the folder of those who want both.
struct Contention {
    state: State,
    /// As `--locking` says it.
    locking: &'static str,
    folder: tempfile::TempDir,
}

impl Contention {
    fn new(state: State, locking: &'static str) -> Self {
        let first = r#"{"version": 4, "serial": 0, "lineage": "contended"}"#;
        let path = format!("/{}/{}", state.bucket(), state.key);
        wait(TIMEOUT, state.aws.put(&path, first.to_owned()))
            .unwrap()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self {
            state,
            locking,
            folder,
        }
    }

    /// One who wants the lock, and who works under it for this long.
    fn start(&self, job: &Job, id: usize, stay: Duration) -> Started {
        let lease = format!("{}s", LEASE.as_secs());
        let arguments = [
            "run",
            "--bucket",
            self.state.bucket(),
            "--table",
            self.state.table(),
            "--key",
            &self.state.key,
            "--locking",
            self.locking,
            "--lease",
            &lease,
            "--lock-timeout",
            "60m",
            "--",
            "/bin/bash",
            "-c",
            WORK,
        ];
        let (bucket, key) = (self.state.bucket(), &self.state.key);
        let mut command = job.command("slipway-state", &arguments);
        command
            .current_dir(self.folder.path())
            .env("ID", id.to_string())
            .env("STAY", stay.as_secs_f64().to_string())
            .env(
                "STATE",
                format!("{}/{bucket}/{key}", instance().url(port::GATEWAY)),
            );
        Started::new(&mut command)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("history")).unwrap_or_default()
    }

    /// Lets `contenders` at a time go through `acquisitions`. Returns how each ended.
    fn run(
        &self,
        contenders: usize,
        acquisitions: usize,
        fate: impl Fn(usize) -> Fate + Sync,
    ) -> Vec<End> {
        let next = AtomicUsize::new(0);
        let ended = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..contenders.min(acquisitions) {
                scope.spawn(|| {
                    loop {
                        let id = next.fetch_add(1, Ordering::SeqCst);
                        if id >= acquisitions {
                            return;
                        }
                        let end = self.acquire(id, fate(id));
                        ended.lock().unwrap().push(end);
                    }
                });
            }
        });
        ended.into_inner().unwrap()
    }

    fn acquire(&self, id: usize, fate: Fate) -> End {
        let stay = match fate {
            Fate::Asleep { stays: true } => LEASE * 3,
            // So that on any machine one is killed inside.
            Fate::Killed(When::Entered, _) if id == FIRST_KILLED_INSIDE => LEASE,
            _ => Duration::from_millis(50),
        };
        let job = self.state.job();
        let mut started = self.start(&job, id, stay);
        match fate {
            Fate::Undisturbed => {}
            Fate::Killed(when, after) => {
                self.wait_for_event(&mut started, id, when);
                std::thread::sleep(after);
                started.try_signal(Signal::KILL);
            }
            Fate::Asleep { .. } => {
                self.wait_for_event(&mut started, id, When::Entered);
                started.try_signal(Signal::STOP);
                std::thread::sleep(LEASE + LEASE / 2);
                started.try_signal(Signal::CONT);
            }
        }
        let output = started.end(TIMEOUT);
        End {
            id,
            fate,
            code: output.status.code(),
            stderr: log(&output),
        }
    }

    /// Waits until the run logs the event of `there`, or has ended.
    fn wait_for_event(&self, started: &mut Started, id: usize, there: When) {
        let word = match there {
            When::Started => return,
            When::Entered => format!("enter {id} "),
            When::Left => format!("leave {id} "),
        };
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline && !started.ended() {
            if self.text().lines().any(|line| line.starts_with(&word)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The serials of all versions of the state, as the bucket has them.
    fn serials(&self) -> Vec<u64> {
        let (bucket, key) = (self.state.bucket(), &self.state.key);
        let mut serials = Vec::new();
        let prefix = key.replace('/', "%2F");
        let mut after = [String::new(), String::new()];
        loop {
            // The parts of a query are signed in their order.
            let [first, second] = &after;
            let page = format!("/{bucket}?{first}prefix={prefix}&{second}versions=");
            let page = wait(TIMEOUT, self.state.aws.get(&page)).unwrap().unwrap();
            for version in page.split("<Version>").skip(1) {
                // The lock file's versions come after all of the state's.
                if crate::support::element(version, "Key").as_ref() != Some(key) {
                    return serials;
                }
                let id = crate::support::element(version, "VersionId").unwrap();
                let path = format!("/{bucket}/{key}?versionId={id}");
                let text = wait(TIMEOUT, self.state.aws.get(&path)).unwrap().unwrap();
                let state: Value = serde_json::from_str(&text).unwrap();
                serials.push(state["serial"].as_u64().unwrap());
            }
            if crate::support::element(&page, "IsTruncated").as_deref() != Some("true") {
                return serials;
            }
            let next = crate::support::element(&page, "NextVersionIdMarker").unwrap();
            after = [
                format!("key-marker={prefix}&"),
                format!("version-id-marker={next}&"),
            ];
        }
    }
}

fn disturbed(ended: &[End]) -> Vec<usize> {
    ended
        .iter()
        .filter(|end| end.fate != Fate::Undisturbed)
        .map(|end| end.id)
        .collect()
}

/// Those whom nothing disturbed but a machine on which they could not renew their lease in time. They stop, as they must.
fn stopped(ended: &[End], history: &[Event]) -> Vec<usize> {
    ended
        .iter()
        .filter(|end| end.fate == Fate::Undisturbed && end.code.is_some_and(|code| code != 0))
        .filter(|end| {
            end.stderr.contains("could not be renewed in time")
                || history.contains(&Event::Stopped(end.id))
        })
        .map(|end| end.id)
        .collect()
}

fn events(history: &[(Event, f64)]) -> Vec<Event> {
    history.iter().map(|(event, _)| *event).collect()
}

fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn many_contend_for_a_lock_in_the_table_and_nobody_meets_anybody() {
    contended("dynamodb");
}

#[test]
fn many_contend_for_a_lock_file_and_nobody_meets_anybody() {
    contended("file");
}

#[test]
fn many_contend_for_a_lock_in_both_places_and_nobody_meets_anybody() {
    contended("both");
}

fn contended(locking: &'static str) {
    let contention = Contention::new(State::new(&format!("contended-{locking}")), locking);
    let _turn = heavy();
    let (contenders, acquisitions) = (
        size("SLIPWAY_CONTENDERS", 8),
        size("SLIPWAY_ACQUISITIONS", 40),
    );
    let began = Instant::now();
    let ended = contention.run(contenders, acquisitions, |id| Fate::of(id, contenders));
    let took = began.elapsed();
    assert_eq!(ended.len(), acquisitions, "every wait ends");
    let text = contention.text();
    let history = parse(&text);
    let stopped = stopped(&ended, &events(&history));
    for end in ended.iter().filter(|end| end.fate == Fate::Undisturbed) {
        let fine = end.code == Some(0) || stopped.contains(&end.id);
        assert!(fine, "{} ended with {:?}: {}", end.id, end.code, end.stderr);
    }
    assert!(
        stopped.len() * 4 <= acquisitions,
        "{} of {acquisitions} could not renew in time: {stopped:?}",
        stopped.len()
    );
    let unsaid = [disturbed(&ended), stopped.clone()].concat();
    let wrong = check(&events(&history), &unsaid, &contention.serials());
    assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    tell(locking, &ended, stopped.len(), &history, took);

    // The next run removes the locks and queue entries of killed ones.
    let job = contention.state.job();
    let last = contention
        .start(&job, acquisitions, Duration::ZERO)
        .end(TIMEOUT);
    assert!(last.status.success(), "{}", log(&last));
    let queue = format!("{}/{}#q", contention.state.bucket(), contention.state.key);
    let line = item(
        &contention.state.aws,
        contention.state.table(),
        "LockID",
        &queue,
    );
    assert_eq!(wait(TIMEOUT, line), None);
    assert_eq!(contention.state.lock(), None);
    assert_eq!(object(&contention.state), None);
}

/// Says how it went, for whoever measures; and sees that the disturbances struck where they were meant to.
fn tell(locking: &str, ended: &[End], stopped: usize, history: &[(Event, f64)], took: Duration) {
    let had = |id: usize, which: fn(&Event) -> Option<usize>| {
        history.iter().any(|(event, _)| which(event) == Some(id))
    };
    let enters = |event: &Event| match event {
        Event::Enter(id) => Some(*id),
        _ => None,
    };
    let leaves = |event: &Event| match event {
        Event::Leave(id, _) => Some(*id),
        _ => None,
    };
    let mut killed = [0; 3];
    for end in ended.iter().filter(|end| end.code.is_none()) {
        let instance = usize::from(had(end.id, enters)) + usize::from(had(end.id, leaves));
        killed[instance] += 1;
    }
    let asleep = |end: &&End| matches!(end.fate, Fate::Asleep { .. });
    let stayed = |end: &&End| end.fate == Fate::Asleep { stays: true };
    let slept = ended.iter().filter(asleep).count();
    assert!(
        killed[0] > 0 && killed[1] > 0,
        "killed before, inside and after: {killed:?}"
    );
    assert!(slept > 0, "nobody slept");
    for end in ended.iter().filter(stayed) {
        assert_ne!(end.code, Some(0), "it slept past its lease: {}", end.stderr);
    }
    let mut delays: Vec<f64> = history
        .iter()
        .zip(history.iter().skip(1))
        .filter_map(|((before, left), (after, entered))| {
            (leaves(before).is_some() && enters(after).is_some()).then_some(entered - left)
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    let at = |part: usize| {
        delays
            .get(delays.len() * part / 10)
            .copied()
            .unwrap_or_default()
    };
    note(&format!(
        "{locking}: {} acquisitions in {} s; killed before {}, inside {}, after {}; {} slept; {stopped} could not renew in time; from one to the next {:.2} s, one in ten more than {:.2} s",
        ended.len(),
        took.as_secs(),
        killed[0],
        killed[1],
        killed[2],
        slept,
        at(5),
        at(9),
    ));
}

/// The same contenders on a table that forgets the conditions of writes: two hold the lock, and the checker sees it.
#[test]
fn on_a_broken_lock_the_history_is_found_wrong() {
    let contention = Contention::new(alone("broken-lock"), "dynamodb");
    let forgets = json!({"service": "dynamodb", "operation": "PutItem", "times": 100_000,
        "fault": {"kind": "unconditional"}});
    fault(&contention.state, forgets);
    let ended = contention.run(8, 40, |_| Fate::Undisturbed);
    assert_eq!(ended.len(), 40);
    let history = parse(&contention.text());
    let wrong = check(&events(&history), &[], &contention.serials());
    for sort in [
        "was inside",
        "met somebody alive",
        "an update was lost",
        "was written twice",
    ] {
        assert!(
            wrong.iter().any(|line| line.contains(sort)),
            "{sort}: {wrong:#?}"
        );
    }
}
