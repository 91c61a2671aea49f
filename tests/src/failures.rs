//! What a log of tests says of those that failed: a log of a thousand lines ends with what passed last.

/// The most lines that are shown; a person opens the log for the rest.
const MOST: usize = 250;
/// The most lines of one test: its message is at the end.
const OF_ONE: usize = 60;

/// What the tests that failed printed, in their order, as libtest's `failures:` sections have it; and the programs that
/// ended without saying which test it was. Nothing where no test failed.
pub(crate) fn of(log: &str) -> String {
    let mut shown: Vec<&str> = Vec::new();
    let mut test: Option<Vec<&str>> = None;
    for line in log.lines() {
        let begins = line.starts_with("---- ") && line.ends_with(" ----");
        let over = line == "failures:" || line.starts_with("test result: ");
        if begins || over {
            close(&mut shown, test.take());
        }
        if begins {
            test = Some(Vec::new());
        }
        if let Some(lines) = &mut test {
            lines.push(line);
        } else if line.ends_with(" ... FAILED") || line.starts_with("error: test failed") {
            shown.push(line);
        }
    }
    close(&mut shown, test);
    let left = shown.len().saturating_sub(MOST);
    let mut text = shown[..shown.len() - left].join("\n");
    if left > 0 {
        text.push_str(&format!("\n… {left} lines more in the log"));
    }
    text
}

fn close<'a>(shown: &mut Vec<&'a str>, test: Option<Vec<&'a str>>) {
    let Some(lines) = test else { return };
    shown.push(lines[0]);
    let from = lines.len().saturating_sub(OF_ONE).max(1);
    if from > 1 {
        shown.push("…");
    }
    shown.extend(lines[from..].iter().filter(|line| !line.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_shown_and_what_passed_is_not() {
        let log = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\n\nthread 'b' panicked at x.rs:3:\nleft is not right\n\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed\n\nerror: test failed, to rerun pass `-p x`\nrunning 1 test\ntest c ... ok\n";
        assert_eq!(
            of(log),
            "test b ... FAILED\n---- b stdout ----\nthread 'b' panicked at x.rs:3:\nleft is not right\nerror: test failed, to rerun pass `-p x`"
        );
        assert_eq!(of("test c ... ok\ntest result: ok. 1 passed\n"), "");
    }

    #[test]
    fn a_test_that_prints_much_is_cut_before_its_message() {
        let noise: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let log = format!("---- b stdout ----\n{noise}the message\n\nfailures:\n    b\n");
        let shown = of(&log);
        assert!(shown.contains("…\nline 4"), "{shown}");
        assert!(shown.ends_with("the message"), "{shown}");
        assert!(!shown.contains("line 3\n"), "{shown}");
    }
}
