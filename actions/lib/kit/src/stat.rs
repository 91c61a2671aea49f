//! One process as the kernel describes it in a line of `/proc/PID/stat` (proc_pid_stat(5)).

/// The fields of the line.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process ID.
    pub id: i32,
    /// The process that started it, or that it was left to.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// When it started, in clock ticks since the machine did: process IDs come round again, both together do not.
    pub started: u64,
    /// Dead, and only not yet waited for: in a container often for ever.
    pub zombie: bool,
}

/// The process `id`; `None` if there is none, or if it cannot be seen.
pub fn stat(id: i32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// `PID (NAME) STATE PPID PGRP …`. The name may hold anything, brackets and spaces included.
fn parse(line: &str) -> Option<Stat> {
    let (front, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        id: front.split_once(' ')?.0.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_process_is_called() {
        let line = "70 (a) b) (c) S 1 70 70 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 1 0 12345 9 9";
        let read = Stat {
            id: 70,
            parent: 1,
            group: 70,
            started: 12345,
            zombie: false,
        };
        assert_eq!(parse(line), Some(read));
        assert_eq!(parse("70 (a)"), None);
    }
}
