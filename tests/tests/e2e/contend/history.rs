//! Parses and checks the history of a contended lock, without side effects.

/// One line of the history, which its author appends in one write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Event {
    Enter(usize),
    /// The one that enters saw another alive.
    Overlap(usize),
    /// It was told to stop, and did.
    Stopped(usize),
    /// It wrote a state with this serial.
    Leave(usize, u64),
}

/// The events with the time at which each author wrote its own, in seconds.
pub(super) fn parse(text: &str) -> Vec<(Event, f64)> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let id = words[1].parse().unwrap();
            let event = match words[0] {
                "enter" => Event::Enter(id),
                "overlap" => Event::Overlap(id),
                "stopped" => Event::Stopped(id),
                "leave" => Event::Leave(id, words[3].parse().unwrap()),
                other => panic!("no event: {other}"),
            };
            (event, words[2].parse().unwrap())
        })
        .collect()
}

/// Returns the faults in a history. The contenders in `disturbed` were killed or suspended, and need not have left. `serials` are those of
/// all versions that the state ever had; the first, 0, was written by none of them.
pub(super) fn check(history: &[Event], disturbed: &[usize], serials: &[u64]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut inside: Option<usize> = None;
    let mut last = 0;
    // Disturbed ones who may have written and said nothing of it.
    let mut unsaid = 0;
    let mut leaves = 0;
    for event in history {
        match *event {
            Event::Enter(id) => {
                if let Some(other) = inside.replace(id) {
                    // One that was disturbed inside is dead: whoever enters looks.
                    if !disturbed.contains(&other) {
                        wrong.push(format!("{id} entered while {other} was inside"));
                    }
                    unsaid += 1;
                }
            }
            Event::Overlap(id) => wrong.push(format!("{id} met somebody alive")),
            Event::Stopped(id) => {
                if !disturbed.contains(&id) {
                    wrong.push(format!("{id} was stopped"));
                }
                if inside.take_if(|inside| *inside == id).is_some() {
                    unsaid += 1;
                }
            }
            Event::Leave(id, serial) => {
                if inside.take_if(|inside| *inside == id).is_none() {
                    wrong.push(format!("{id} left without being inside"));
                }
                if serial <= last {
                    wrong.push(format!(
                        "{id} wrote {serial} after {last}: an update was lost"
                    ));
                }
                leaves += 1;
                last = serial;
            }
        }
    }
    if let Some(id) = inside {
        if disturbed.contains(&id) {
            unsaid += 1;
        } else {
            wrong.push(format!("{id} never left"));
        }
    }
    let mut sorted = serials.to_vec();
    sorted.sort_unstable();
    for (before, after) in sorted.iter().zip(sorted.iter().skip(1)) {
        if before == after {
            wrong.push(format!("{after} was written twice: an update was lost"));
        } else if *after != before + 1 {
            wrong.push(format!("nothing was written between {before} and {after}"));
        }
    }
    let written = sorted.len().saturating_sub(1);
    if written < leaves || written > leaves + unsaid {
        wrong.push(format!(
            "{written} updates of {leaves} who left and at most {unsaid} who could not say so"
        ));
    }
    wrong
}

#[test]
fn a_history_is_wrong_in_each_way_it_can_be() {
    let events =
        |text: &str| -> Vec<Event> { parse(text).into_iter().map(|(event, _)| event).collect() };
    let good = events(
        "enter 1 0.5\nleave 1 0.6 1\nenter 2 1\nenter 3 2\nleave 3 2 3\nenter 4 3\nstopped 4 3\nenter 5 4\nleave 5 5 4\n",
    );
    // The second died after its write and before it said so, the fourth before its write.
    assert_eq!(check(&good, &[2, 4], &[3, 0, 1, 2, 4]), [""; 0]);
    for (text, disturbed, serials, wanted) in [
        (
            "enter 1 0\nenter 2 0\nleave 1 0 1\nleave 2 0 2\n",
            &[][..],
            &[0, 1, 2][..],
            "2 entered while 1 was inside",
        ),
        (
            "enter 1 0\noverlap 1 0\nleave 1 0 1\n",
            &[],
            &[0, 1],
            "1 met somebody alive",
        ),
        (
            "enter 1 0\nleave 1 0 1\nenter 2 0\nleave 2 0 1\n",
            &[],
            &[0, 1, 1],
            "2 wrote 1 after 1: an update was lost",
        ),
        // No remaining run reports it, but the bucket shows it.
        (
            "enter 1 0\nenter 2 0\nleave 2 0 1\n",
            &[1],
            &[0, 1, 1],
            "1 was written twice: an update was lost",
        ),
        (
            "enter 1 0\nleave 1 0 5\n",
            &[],
            &[0, 5],
            "nothing was written between 0 and 5",
        ),
        ("enter 1 0\n", &[], &[0], "1 never left"),
        ("enter 1 0\nstopped 1 0\n", &[], &[0], "1 was stopped"),
        ("leave 1 0 1\n", &[], &[0, 1], "1 left without being inside"),
        ("enter 1 0\nleave 1 0 1\n", &[], &[0], "0 updates of 1"),
        (
            "enter 1 0\nleave 1 0 1\n",
            &[],
            &[0, 1, 2],
            "2 updates of 1",
        ),
        // A disturbed one may die inside, and not come back to life.
        (
            "enter 1 0\nenter 2 0\nleave 2 0 1\nleave 1 0 2\n",
            &[1],
            &[0, 1, 2],
            "1 left without being inside",
        ),
    ] {
        let wrong = check(&events(text), disturbed, serials);
        assert!(
            wrong.iter().any(|line| line.contains(wanted)),
            "{text}: {wrong:?}"
        );
    }
}
