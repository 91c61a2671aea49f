//! act's JSON log: read line by line into what a person reads and what a strict runner has to know.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::say::seconds;

/// The visible results of a run.
#[derive(Debug, Default)]
pub struct Log {
    /// The log as GitHub shows it, masked.
    pub text: String,
    /// The summaries that steps wrote, in order.
    pub summary: String,
    /// Step outputs by job, step and name, as they are.
    pub outputs: BTreeMap<(String, String, String), String>,
    /// `success` or `failure` by job key.
    pub jobs: BTreeMap<String, String>,
    masks: Vec<String>,
    /// Output without its line's end so far, by job.
    group: usize,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    msg: String,
    #[serde(rename = "jobID", default)]
    job: String,
    #[serde(rename = "jobResult")]
    result: Option<String>,
    #[serde(rename = "stepID", default)]
    step: Vec<String>,
    #[serde(default)]
    stage: String,
    #[serde(rename = "stepResult")]
    step_result: Option<String>,
    command: Option<String>,
    arg: Option<String>,
    name: Option<String>,
    content: Option<String>,
    #[serde(rename = "step", default)]
    title: String,
    #[serde(rename = "executionTime")]
    nanoseconds: Option<u64>,
    #[serde(default)]
    raw_output: bool,
}

impl Log {
    /// A log that hides `secrets` from the start, as GitHub hides a repository's.
    pub fn hiding(secrets: Vec<String>) -> Self {
        Self {
            masks: secrets,
            ..Self::default()
        }
    }

    /// Takes one line of act's output and answers what of it a person should see.
    pub fn take(&mut self, raw: &str) -> Option<String> {
        let shown = match serde_json::from_str::<Line>(raw) {
            Ok(line) => self.line(line)?,
            Err(_) => raw.trim_end().to_owned(),
        };
        let shown = self.masked(&shown);
        self.text.push_str(&shown);
        self.text.push('\n');
        Some(shown)
    }

    fn line(&mut self, line: Line) -> Option<String> {
        if let Some(result) = line.result {
            self.jobs.insert(line.job.clone(), result);
        }
        match line.command.as_deref() {
            Some("add-mask") => {
                self.mask(line.arg.as_deref().unwrap_or_default());
                return None;
            }
            Some("set-output") => {
                let step = line.step.first().cloned().unwrap_or_default();
                let key = (line.job, step, line.name.unwrap_or_default());
                self.outputs.insert(key, line.arg.unwrap_or_default());
                return None;
            }
            Some("summary") => {
                let content = self.masked(&line.content.unwrap_or_default());
                self.summary.push_str(&content);
                return None;
            }
            Some("group") => {
                self.group += 1;
                return Some(format!("    {}", line.arg.unwrap_or_default()));
            }
            Some("endgroup") => {
                self.group = self.group.saturating_sub(1);
                return None;
            }
            _ => {}
        }
        if line.stage == "Main"
            && line.step_result.as_deref() == Some("success")
            && let Some(nanoseconds) = line.nanoseconds
        {
            let took = seconds(Duration::from_nanos(nanoseconds));
            let title = line.title.lines().next().unwrap_or_default();
            return Some(format!("  took {took}: {title}"));
        }
        let text = line.msg.trim_end();
        if text.is_empty()
            || text.starts_with("LocalRepositoryCache")
            || text.starts_with("Using docker host")
        {
            return None;
        }
        if line.raw_output || line.command.is_some() {
            let deep = if self.group > 0 { "        " } else { "    " };
            return Some(format!("{deep}{text}"));
        }
        // act's own words: the steps' beginnings and failures, not each success.
        let trivial = ["Set up job", "Complete job", "Cleaning up"]
            .iter()
            .any(|word| text.contains(word));
        if trivial
            || line.step_result.as_deref() == Some("success")
            || (line.stage == "Post" && line.step_result.is_none())
        {
            return None;
        }
        Some(format!(
            "  {}",
            text.trim_start_matches("⭐ Run Main ").trim()
        ))
    }

    /// GitHub's masker hides the value and each of its lines.
    fn mask(&mut self, value: &str) {
        for part in std::iter::once(value).chain(value.split(['\r', '\n'])) {
            let part = part.trim();
            if !part.is_empty() && !self.masks.iter().any(|mask| mask == part) {
                self.masks.push(part.to_owned());
            }
        }
        // Longer ones first, so that no tail of one is left standing.
        self.masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    }

    fn masked(&self, text: &str) -> String {
        self.masks.iter().fold(text.to_owned(), |text, mask| {
            text.replace(mask.as_str(), "***")
        })
    }

    /// Returns true if a value holds something that is masked: GitHub drops a job output that does.
    pub fn holds_masked(&self, value: &str) -> bool {
        self.masks.iter().any(|mask| value.contains(mask.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_show_nowhere_and_taint_outputs() {
        let mut log = Log::default();
        log.take(r#"{"command":"add-mask","arg":"hunter2\nsecond","msg":"x","jobID":"a"}"#);
        let shown = log
            .take(r#"{"msg":"it is hunter2, second\n","raw_output":true,"jobID":"a"}"#)
            .unwrap();
        assert_eq!(shown, "    it is ***, ***");
        log.take(r#"{"command":"set-output","name":"o","arg":"x-hunter2","stepID":["s"],"jobID":"a","msg":"y"}"#);
        let value = &log.outputs[&("a".into(), "s".into(), "o".into())];
        assert!(log.holds_masked(value));
        assert!(!log.holds_masked("sha256:1"));
    }

    #[test]
    fn results_and_summaries_are_kept() {
        let mut log = Log::default();
        log.take(r##"{"command":"summary","content":"# hi\n","msg":"s","jobID":"a"}"##);
        log.take(r#"{"jobResult":"failure","jobID":"a","msg":"Job failed"}"#);
        assert_eq!(log.summary, "# hi\n");
        assert_eq!(log.jobs["a"], "failure");
        assert!(log.take("Error: Job 'a' failed").is_some());
    }
}
