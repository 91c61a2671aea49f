//! How busy the processors were: where they were, a run gets quicker only by computing less; where they were not, by waiting less.

use std::fs;

/// The time of all processors since the machine started, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Processors {
    total: u64,
    idle: u64,
}

impl Processors {
    /// As the kernel counts it now. None where it does not say.
    pub(super) fn now() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// `cpu  USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL …`; what guests use is part of USER (proc_stat(5)).
    fn of(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.split_whitespace();
        if words.next() != Some("cpu") {
            return None;
        }
        let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
        let [_, _, _, idle, waits, ..] = ticks.as_slice() else {
            return None;
        };
        Some(Self {
            total: ticks.iter().sum(),
            idle: idle + waits,
        })
    }

    /// The percentage of the time since `self` in which the processors worked, whoever they worked for.
    fn busy(self, now: Self) -> Option<u64> {
        let total = now.total.checked_sub(self.total)?;
        let idle = now.idle.checked_sub(self.idle)?;
        (100 * total.checked_sub(idle)?).checked_div(total)
    }
}

/// `processors 93 % busy` since then. None where the kernel does not say.
pub(super) fn since(began: Option<Processors>) -> Option<String> {
    let percent = began?.busy(Processors::now()?)?;
    Some(format!("processors {percent} % busy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_neither_idle_nor_waiting_is_busy() {
        let at = |line: &str| Processors::of(line).unwrap();
        let before = at("cpu  100 10 20 300 40 1 2 3 50 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
        let after = at("cpu  160 20 30 310 50 1 2 3 90 0\n");
        assert_eq!(before.busy(after), Some(80));
        assert_eq!(before.busy(before), None);
        assert_eq!(after.busy(before), None);
    }

    #[test]
    fn another_text_says_nothing() {
        for text in ["", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3", "cpu  1 2 x 4 5"] {
            assert_eq!(Processors::of(text), None, "{text}");
        }
        assert!(Processors::now().is_some());
    }
}
