//! The environment with which another process started.

use std::path::PathBuf;
use std::time::Duration;

/// The pause between two looks at a process that is about to run its program.
const PAUSE: Duration = Duration::from_millis(5);
/// How often one looks at it at most: 100 ms in all.
const LOOKS: usize = 20;

/// Returns true if one of the entries (`NAME=VALUE`) with which the process `id` started is `wanted`. False
/// where that cannot be read.
///
/// While the kernel loads a program, its parent goes on already, and its environment reads as empty
/// for a moment (fs/binfmt_elf.c, `create_elf_tables`, sets `env_end` last). So an empty one is read
/// again.
pub fn has(id: i32, wanted: impl Fn(&[u8]) -> bool) -> bool {
    let folder = PathBuf::from(format!("/proc/{id}"));
    for _ in 0..LOOKS {
        match std::fs::read(folder.join("environ")) {
            // The kernel's own threads have no program, and never an environment.
            Ok(entries) if entries.is_empty() && folder.join("exe").read_link().is_ok() => {
                std::thread::sleep(PAUSE);
            }
            Ok(entries) => return entries.split(|byte| *byte == 0).any(&wanted),
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn it_is_read_of_a_process_that_just_started() {
        for round in 0..200 {
            let mut child = Command::new("sleep")
                .arg("60")
                .env("SLIPWAY_TEST_ROUND", round.to_string())
                .spawn()
                .unwrap();
            let id = i32::try_from(child.id()).unwrap();
            let wanted = format!("SLIPWAY_TEST_ROUND={round}");
            let there = has(id, |entry| entry == wanted.as_bytes());
            let other = has(id, |entry| entry == b"SLIPWAY_TEST_ROUND=other");
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(there && !other, "round {round}");
            assert!(!has(id, |_| true));
        }
    }

    #[test]
    fn a_process_without_an_environment_has_nothing() {
        let mut child = Command::new("sleep").arg("60").env_clear().spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let any = has(id, |entry| !entry.is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!any);
    }
}
