//! Many who want one lock, some of whom are killed and some of whom sleep past their lease: never two at once, no update
//! lost, every wait over. What happened is written to a history, which is checked afterwards by a program that can fail.
//!
//! The full size: `SLIPWAY_CONTENDERS=64 SLIPWAY_ACQUISITIONS=1000 cargo test -p sandbox --test e2e contend`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::cancel::State;
use crate::job::Job;
use crate::support::{Started, heavy, log, place};

/// What a holder does: it says that it is there, and whether somebody else is; reads the counter, takes its time, writes
/// it back; and says that it leaves. Each line of the history is one write that appends.
const WORK: &str = r#"
alive() { s=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null); [ -n "$s" ] && [ "$s" != Z ] && [ "$s" != X ]; }
trap 'echo "stopped $ID" >> history; exit 1' INT
echo "enter $ID" >> history
other=$(cat inside 2>/dev/null)
if [ -n "$other" ] && alive "$other"; then echo "overlap $ID" >> history; fi
echo $$ > inside
n=$(cat counter 2>/dev/null || echo 0)
sleep 0.05
echo $((n + 1)) > counter
rm -f inside
echo "leave $ID $((n + 1))" >> history
"#;

/// One line of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Enter(usize),
    /// The one that enters saw another alive.
    Overlap(usize),
    /// It was told to stop, and did.
    Stopped(usize),
    /// It wrote this number.
    Leave(usize, u64),
}

fn parse(text: &str) -> Vec<Event> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse().unwrap();
            match words[0] {
                "enter" => Event::Enter(number(1)),
                "overlap" => Event::Overlap(number(1)),
                "stopped" => Event::Stopped(number(1)),
                "leave" => Event::Leave(number(1), words[2].parse().unwrap()),
                other => panic!("no event: {other}"),
            }
        })
        .collect()
}

/// What is wrong with a history. `disturbed` were killed or put to sleep, and need not have left.
fn check(history: &[Event], disturbed: &[usize], counter: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut inside: BTreeMap<usize, ()> = BTreeMap::new();
    let mut last = 0;
    let mut unseen = 0;
    for event in history {
        match *event {
            Event::Enter(id) => {
                for other in inside.keys().filter(|other| !disturbed.contains(other)) {
                    wrong.push(format!("{id} entered while {other} was inside"));
                }
                // A disturbed one that is still inside is dead: whoever entered looked.
                unseen += inside.len() as u64;
                inside.clear();
                inside.insert(id, ());
            }
            Event::Overlap(id) => wrong.push(format!("{id} met somebody alive")),
            Event::Stopped(id) => {
                if inside.remove(&id).is_none() && !disturbed.contains(&id) {
                    wrong.push(format!("{id} stopped outside"));
                }
                // It may have written before it stopped.
                unseen += 1;
            }
            Event::Leave(id, number) => {
                if inside.remove(&id).is_none() {
                    wrong.push(format!("{id} left without being inside"));
                }
                if number <= last {
                    wrong.push(format!(
                        "{id} wrote {number} after {last}: an update was lost"
                    ));
                }
                if number > last + 1 + unseen {
                    wrong.push(format!(
                        "{id} wrote {number} after {last}: an update nobody made"
                    ));
                }
                unseen = 0;
                last = number;
            }
        }
    }
    let left = inside.keys().filter(|id| !disturbed.contains(id));
    wrong.extend(left.map(|id| format!("{id} never left")));
    if counter < last || counter > last + unseen + inside.len() as u64 {
        wrong.push(format!("the counter is {counter} after {last}"));
    }
    wrong
}

/// What befalls one acquisition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Undisturbed,
    /// The run is killed, alone.
    Killed,
    /// The run sleeps for longer than its lease.
    Asleep,
}

/// How one acquisition ended.
#[derive(Debug)]
struct End {
    id: usize,
    fate: Fate,
    code: Option<i32>,
    said: String,
}

/// Numbers that look random and are the same at every run.
fn draw(seed: usize) -> u64 {
    let mut x = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

const LEASE: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(1800);

/// Lets `contenders` at a time go through `acquisitions`, each started by `start` in one folder. Returns who was disturbed
/// and how each ended.
fn contend(
    folder: &Path,
    contenders: usize,
    acquisitions: usize,
    fate: impl Fn(usize) -> Fate + Sync,
    start: impl Fn(usize) -> Command + Sync,
) -> (Vec<usize>, Vec<End>) {
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
                    let mut command = start(id);
                    command.current_dir(folder).env("ID", id.to_string());
                    let started = Started::new(&mut command);
                    let fate = fate(id);
                    // Not before it may be inside, and at any point from then on.
                    if fate != Fate::Undisturbed {
                        let enters = format!("enter {id}\n");
                        let deadline = std::time::Instant::now() + PATIENCE;
                        while std::time::Instant::now() < deadline {
                            let history = std::fs::read_to_string(folder.join("history"));
                            if history.unwrap_or_default().contains(&enters) {
                                break;
                            }
                            std::thread::sleep(Duration::from_millis(5));
                        }
                        std::thread::sleep(Duration::from_millis(draw(id) % 90));
                        if fate == Fate::Killed {
                            started.try_signal(Signal::KILL);
                        } else {
                            started.try_signal(Signal::STOP);
                            std::thread::sleep(LEASE + LEASE / 2);
                            started.try_signal(Signal::CONT);
                        }
                    }
                    let output = started.end(PATIENCE);
                    let end = End {
                        id,
                        fate,
                        code: output.status.code(),
                        said: log(&output),
                    };
                    ended.lock().unwrap().push(end);
                }
            });
        }
    });
    let ended = ended.into_inner().unwrap();
    let disturbed = ended
        .iter()
        .filter(|end| end.fate != Fate::Undisturbed)
        .map(|end| end.id)
        .collect();
    (disturbed, ended)
}

fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

fn counter(folder: &Path) -> u64 {
    let text = std::fs::read_to_string(folder.join("counter")).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

#[test]
fn many_contend_for_one_lock_and_nobody_meets_anybody() {
    let state = State::new("contended");
    let _turn = heavy();
    let (contenders, acquisitions) = (
        size("SLIPWAY_CONTENDERS", 8),
        size("SLIPWAY_ACQUISITIONS", 40),
    );
    let folder = tempfile::tempdir().unwrap();
    let mut variables = state.world.variables(place());
    variables.extend(state.keys.variables());
    let jobs: Vec<Job> = (0..acquisitions)
        .map(|_| Job::new(variables.clone()))
        .collect();
    let lease = format!("{}s", LEASE.as_secs());
    let fate = |id: usize| match (id % 29, id % 47) {
        (11, _) => Fate::Killed,
        (_, 23) => Fate::Asleep,
        _ => Fate::Undisturbed,
    };
    let (disturbed, ended) = contend(folder.path(), contenders, acquisitions, fate, |id| {
        jobs[id].command(
            "slipway-state",
            &[
                "run",
                "--bucket",
                state.bucket(),
                "--table",
                state.table(),
                "--key",
                &state.key,
                "--lease",
                &lease,
                "--lock-timeout",
                "30m",
                "--",
                "/bin/sh",
                "-c",
                WORK,
            ],
        )
    });
    assert_eq!(ended.len(), acquisitions, "every wait ends");
    for end in ended.iter().filter(|end| end.fate == Fate::Undisturbed) {
        assert_eq!(end.code, Some(0), "{}: {}", end.id, end.said);
    }
    let text = std::fs::read_to_string(folder.path().join("history")).unwrap();
    let history = parse(&text);
    let wrong = check(&history, &disturbed, counter(folder.path()));
    assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    let entered = history
        .iter()
        .filter(|event| matches!(event, Event::Enter(_)));
    assert_eq!(entered.count(), acquisitions);
    assert!(disturbed.len() >= 2, "nobody was disturbed");
    // What the killed left is gone as well.
    let queue = format!("{}/{}#q", state.bucket(), state.key);
    assert_eq!(
        crate::support::wait(
            PATIENCE,
            crate::support::item(&state.aws, state.table(), "LockID", &queue)
        ),
        None
    );
}

/// The checker sees what a lock is for: the same work without one.
#[test]
fn without_a_lock_the_history_is_found_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (disturbed, ended) = contend(
        folder.path(),
        8,
        40,
        |_| Fate::Undisturbed,
        |_| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", WORK]);
            command
        },
    );
    assert_eq!(ended.len(), 40);
    let text = std::fs::read_to_string(folder.path().join("history")).unwrap();
    let wrong = check(&parse(&text), &disturbed, counter(folder.path()));
    for sort in ["was inside", "met somebody alive", "an update was lost"] {
        assert!(
            wrong.iter().any(|line| line.contains(sort)),
            "{sort}: {wrong:#?}"
        );
    }
}

#[test]
fn a_history_is_wrong_in_each_way_it_can_be() {
    let good = parse(
        "enter 1\nleave 1 1\nenter 2\nenter 3\nleave 3 3\nenter 4\nstopped 4\nenter 5\nleave 5 4\n",
    );
    assert_eq!(check(&good, &[2, 4], 4), Vec::<String>::new());
    for (text, disturbed, counter, wanted) in [
        (
            "enter 1\nenter 2\nleave 1 1\nleave 2 2\n",
            &[][..],
            2,
            "2 entered while 1 was inside",
        ),
        (
            "enter 1\noverlap 1\nleave 1 1\n",
            &[],
            1,
            "1 met somebody alive",
        ),
        (
            "enter 1\nleave 1 1\nenter 2\nleave 2 1\n",
            &[],
            1,
            "an update was lost",
        ),
        ("enter 1\nleave 1 5\n", &[], 5, "an update nobody made"),
        ("enter 1\n", &[], 0, "1 never left"),
        ("leave 1 1\n", &[], 1, "left without being inside"),
        ("enter 1\nleave 1 1\n", &[], 9, "the counter is 9"),
        // A disturbed one may die inside, and not come back to life.
        (
            "enter 1\nenter 2\nleave 2 1\nleave 1 2\n",
            &[1],
            2,
            "left without being inside",
        ),
    ] {
        let wrong = check(&parse(text), disturbed, counter);
        assert!(
            wrong.iter().any(|line| line.contains(wanted)),
            "{text}: {wrong:?}"
        );
    }
}
