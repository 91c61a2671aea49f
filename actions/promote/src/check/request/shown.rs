//! The request for people and machines: what it brings, who may approve it, and how they answer.

use crate::answer::Word;
use crate::check::approved;
use crate::check::fact::RunKind;
use crate::check::report::ChangeReport;
use crate::notify::{Message, Notifier};
use crate::requests::{Approvers, Asked, Barred, Tally};
use crate::setting::Setting;
use kit::contract::Approve;
use kit::markdown;
use kit::{Cx, Report};
use serde_json::json;

/// The workflow whose dispatches answer: that of the repository for approvals, else the one that asks.
pub(super) fn workflow(cx: &Cx, approve: &Approve, run: &RunKind) -> Option<Workflow> {
    if let Some(repository) = &approve.repository {
        return Some(Workflow {
            file: "approve.yml".to_owned(),
            repository: repository.clone(),
            branch: None,
        });
    }
    let RunKind::GitHub(Ok(run)) = run else {
        return None;
    };
    Some(Workflow {
        file: run.file().rsplit('/').next()?.to_owned(),
        repository: cx.env.get("GITHUB_REPOSITORY")?.to_owned(),
        branch: Some(run.head_branch.clone()?),
    })
}

pub(super) struct Workflow {
    file: String,
    repository: String,
    /// The default one, if none is named.
    branch: Option<String>,
}

/// A request, and the facts that are shown with it.
pub(super) struct Shown<'a> {
    pub(super) setting: &'a Setting,
    pub(super) approve: &'a Approve,
    pub(super) approvers: &'a Approvers,
    pub(super) asked: &'a Asked,
    pub(super) brought: ChangeReport,
    pub(super) outcome: &'static str,
    pub(super) workflow: Option<Workflow>,
}

impl Shown<'_> {
    /// How a person answers.
    fn command(&self, word: Word) -> String {
        let environment = &self.setting.environment;
        let number = self.asked.number();
        let digest = &self.asked.record().digest;
        let verb = word.verb();
        let (field, argument) = match word.needs_a_reason() {
            true => (" -f reason=TEXT", " --reason TEXT"),
            false => ("", ""),
        };
        match &self.workflow {
            Some(workflow) => {
                let branch = workflow.branch.as_ref();
                let branch = branch.map_or_else(String::new, |name| format!(" --ref {name}"));
                format!(
                    "gh workflow run {} --repo {}{branch} -f command={verb} -f environment={environment} -f request={number} -f digest={digest}{field}",
                    workflow.file, workflow.repository
                )
            }
            None => format!(
                "{} --digest {digest}{argument}",
                approved::answer(environment, verb, number)
            ),
        }
    }

    /// The report, after the approvers were notified.
    pub(super) async fn report_after_notifying(&self, notifier: &Notifier<'_>) -> Report {
        let report = self.report();
        let number = self.asked.number();
        let message = Message {
            request: number,
            subject: format!(
                "Approve request {number} of {} in {}",
                self.setting.service, self.setting.environment
            ),
            text: &report.text,
            details: Some(self.details()),
        };
        let notification = notifier.notify(&message).await;
        notification.report(notifier.cx, report, number)
    }

    /// The request and how to answer it, in Markdown.
    fn details(&self) -> String {
        format!(
            "{}\n{}\n{}\n{}",
            markdown::block("", &self.asked.lines()),
            self.brought.markdown,
            markdown::block("sh", &self.command(Word::Approve)),
            markdown::block("sh", &self.command(Word::Reject)),
        )
    }

    pub(super) fn report(&self) -> Report {
        let persons = self.setting.persons();
        let barred = Barred::by(self.asked, &persons);
        let tally = Tally::of(self.approvers, &persons, Some(self.asked), &barred);
        let environment = &self.setting.environment;
        let number = self.asked.number();
        let request = &self.asked.request;
        let may = match tally.may.as_slice() {
            [] => "nobody else".to_owned(),
            some => some.join(", "),
        };
        let not = match tally.barred.as_slice() {
            [] => String::new(),
            some => format!(" (not: {})", some.join(", ")),
        };
        let count = tally.shown(self.approve);
        let title = format!(
            "request {number} of {} in {environment} {}: {count}, until {}",
            self.setting.service, self.outcome, request.expires
        );
        let brought = &self.brought;
        let approve = self.command(Word::Approve);
        let reject = self.command(Word::Reject);
        let text = format!(
            "{title}\n{}{}who may approve: {may}{not}\nto approve it: {approve}\nto reject it: {reject}\n",
            self.asked.lines(),
            brought.text
        );
        let summary = format!(
            "### {}\n\n{}\n{}\n**Who may approve:** {}\n\n{}\n{}",
            markdown::text(&title),
            markdown::block("", &self.asked.lines()),
            brought.markdown,
            markdown::text(&format!("{may}{not}")),
            markdown::block("sh", &approve),
            markdown::block("sh", &reject),
        );
        Report {
            text,
            summary,
            json: json!({
                "record": self.asked.record(),
                "hash": self.asked.recorded.hash,
                "written": self.outcome == "written",
                "approved": tally.approved,
                "may_approve": tally.may,
                "may_not_approve": tally.barred,
                "commits": brought.commits,
                "changes": brought.changes,
                "approve": approve,
                "reject": reject,
            }),
            ..Report::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{deployed, history};
    use crate::requests::tests::{asking, requested};

    /// A person who pastes it only has to write the reason, without which a rejection is refused.
    #[test]
    fn the_command_that_rejects_asks_for_a_reason() {
        let setting = asking();
        let records = [deployed('a'), requested(&setting, 'b', "hash-1")];
        let all = Asked::all(history(&records).records());
        let approve = setting.gate.approve.as_ref().unwrap();
        let approvers = Approvers::of(approve, &setting.persons(), &[]);
        let mut shown = Shown {
            setting: &setting,
            approve,
            approvers: &approvers,
            asked: &all[0],
            brought: ChangeReport::default(),
            outcome: "written",
            workflow: None,
        };
        let ends = |command: String, text: &str| assert!(command.ends_with(text), "{command}");
        let digest = &all[0].record().digest;
        ends(
            shown.command(Word::Reject),
            &format!("--request 2 --digest {digest} --reason TEXT"),
        );
        ends(
            shown.command(Word::Approve),
            &format!("--request 2 --digest {digest}"),
        );
        shown.workflow = Some(Workflow {
            file: "approve.yml".to_owned(),
            repository: "acme/storefront".to_owned(),
            branch: Some("main".to_owned()),
        });
        ends(shown.command(Word::Reject), " -f reason=TEXT");
        ends(
            shown.command(Word::Approve),
            &format!(" -f digest={digest}"),
        );
    }
}
