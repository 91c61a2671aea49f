//! Notifies the people of a gate's `approve` of a request and of each answer, in the way that the contract
//! names. A request stands whether or not anybody could be notified of it.

mod issue;

use crate::check::Unknown;
use crate::environment_history::{EnvironmentHistory, at};
use crate::requests::{Approvers, Asked, RequestContext};
use crate::setting::Setting;
use github::{GitHub, Issue};
use issue::{Act, Wanted, marker, page, plan_acts};
use kit::aws::Arn;
use kit::clock::rfc3339;
use kit::contract::{Approve, Notify};
use kit::error::Error;
use kit::{Cx, Report, markdown};
use ledger::{Chain, Ledger};
use net::{Account, Net};
use serde_json::{Value, json};
use time::Duration;

/// How often issues are compared with the ledger while other runs change both.
const ROUNDS: usize = 5;
/// The most of a subject and of a message that SNS takes (Amazon SNS API Reference, `Publish`).
const SUBJECT: usize = 99;
const MESSAGE: usize = 262_144;
const VERSION: &str = "2010-03-31";

/// The people to notify, and the clients and settings that this needs.
pub(crate) struct Notifier<'a> {
    pub(crate) cx: &'a Cx,
    pub(crate) net: &'a Net,
    pub(crate) setting: &'a Setting,
    pub(crate) approve: &'a Approve,
    pub(crate) approvers: &'a Approvers,
    /// The repository on GitHub, if it is not the run's.
    pub(crate) repository: Option<&'a str>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) chain: &'a Chain,
}

/// A message about a request.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The number of the request.
    pub(crate) request: u64,
    /// The subject of a message.
    pub(crate) subject: String,
    /// The message.
    pub(crate) text: &'a str,
    /// The description of the request in Markdown, for an issue.
    pub(crate) details: Option<String>,
}

/// The outcome of notifying the approvers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// The contract names no way, or there was nothing to notify anybody of.
    Nothing,
    /// The page of the issue, or the ARN of the topic.
    At(String),
    Nobody(Unknown),
}

impl Notification {
    /// Adds it to a report, and warns if nobody was notified.
    pub(crate) fn report(&self, cx: &Cx, mut report: Report, request: u64) -> Report {
        let line = match self {
            Self::Nothing => String::new(),
            Self::At(destination) => format!("the approvers are notified by {destination}"),
            Self::Nobody(unknown) => format!(
                "the approvers could not be notified: {}; {}",
                unknown.why, unknown.next
            ),
        };
        if matches!(self, Self::Nobody(_)) {
            cx.host
                .warn(format!("request {request} stands, but {line}"));
        }
        if !line.is_empty() {
            report.text.push_str(&format!("{line}\n"));
            report
                .summary
                .push_str(&format!("\n{}\n", markdown::text(&line)));
        }
        report.json["notified"] = self.json();
        report
    }

    fn json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::At(destination) => json!({"at": destination}),
            Self::Nobody(unknown) => {
                json!({"at": null, "why": unknown.why, "next": unknown.next})
            }
        }
    }
}

impl Notifier<'_> {
    /// Notifies the approvers. An issue that already says so is left unchanged.
    pub(crate) async fn notify(&self, message: &Message<'_>) -> Notification {
        let sent = match &self.approve.notify {
            None => return Notification::Nothing,
            Some(Notify::Issue) => self.by_issue(message).await,
            Some(Notify::Topic(name)) => self.by_topic(name, message).await.map(Some),
        };
        match sent {
            Ok(Some(destination)) => Notification::At(destination),
            Ok(None) => Notification::Nothing,
            Err(unknown) => Notification::Nobody(unknown),
        }
    }

    /// Brings the issues in line with the ledger. Another run may answer at the same moment, and its own
    /// look at the issues may be the older one, so this goes on until nothing is left to do.
    async fn by_issue(&self, message: &Message<'_>) -> Result<Option<String>, Unknown> {
        let github = GitHub::connect(self.cx, self.net, self.repository).map_err(failed)?;
        let own = message.request;
        let mut shown = None;
        let mut opened: Vec<Issue> = Vec::new();
        for _ in 0..ROUNDS {
            let history = EnvironmentHistory::read(self.ledger, self.chain)
                .await
                .map_err(failed)?;
            let wanted = self.wanted(&history, message)?;
            let mut issues = github
                .issues(&marker(self.setting), &since(&history, self.cx))
                .await?;
            // GitHub's list may come from before this run opened one.
            let listed = |ours: &&Issue| issues.iter().any(|issue| issue.number == ours.number);
            let missing: Vec<Issue> = opened.iter().filter(|it| !listed(it)).cloned().collect();
            issues.extend(missing);
            shown = page(&issues, &wanted, own).map(str::to_owned);
            let acts = plan_acts(&issues, &wanted, own);
            if acts.is_empty() {
                break;
            }
            for act in acts {
                match act {
                    Act::Open { title, body } => {
                        opened.push(github.open_issue(&title, &body).await?);
                    }
                    Act::Change(number, change) => {
                        github.change_issue(number, &change).await?;
                    }
                }
            }
        }
        Ok(shown)
    }

    fn wanted(
        &self,
        history: &EnvironmentHistory,
        message: &Message<'_>,
    ) -> Result<Vec<Wanted>, Unknown> {
        let context = RequestContext::of(self.setting, history).map_err(failed)?;
        let now = self.cx.clock.now();
        let all = Asked::all(history.records());
        let wanted_issue = |asked: &Asked| {
            let details = message.details.as_deref();
            let details = details.filter(|_| asked.number() == message.request);
            let (setting, approve) = (self.setting, self.approve);
            Wanted::of(
                setting,
                approve,
                self.approvers,
                &context,
                asked,
                now,
                details,
            )
        };
        Ok(all.iter().map(wanted_issue).collect())
    }

    async fn by_topic(&self, name: &str, message: &Message<'_>) -> Result<String, Unknown> {
        let account = self.net.account(&self.setting.permit).await;
        let account = account.map_err(failed)?;
        let Account { id, region, .. } = &account;
        let arn = Arn::new(region.partition(), "sns", Some(region), Some(id), name);
        let (subject, text) = (subject(&message.subject), plain(message.text));
        let parameters = [
            ("TopicArn", arn.as_str()),
            ("Subject", subject.as_str()),
            ("Message", text.as_str()),
        ];
        let sent = self
            .net
            .form(&account, "sns", VERSION, "Publish", &parameters);
        sent.await.map_err(|error| {
            Unknown::new(
                causes(&error),
                format!("let the environment's permit role call sns:Publish on {arn}, and see that the topic exists"),
            )
        })?;
        Ok(arn.into())
    }
}

/// The time since which issues are looked at: before the oldest request that the ledger was read back
/// to, by an hour for clocks that differ.
fn since(history: &EnvironmentHistory, cx: &Cx) -> String {
    let asked = Asked::all(history.records());
    let oldest = asked.first().and_then(|asked| at(&asked.record().at));
    rfc3339(oldest.unwrap_or_else(|| cx.clock.now()) - Duration::hours(1))
}

fn failed(error: Error) -> Unknown {
    let next = "see the cause, and run this again";
    Unknown::new(causes(&error), next)
}

fn causes(error: &Error) -> String {
    let messages = std::iter::once(error.message.to_string()).chain(error.causes());
    messages.collect::<Vec<_>>().join(": ")
}

/// One line of ASCII, as SNS takes a subject.
fn subject(text: &str) -> String {
    let shown = text
        .chars()
        .filter(|it| it.is_ascii_graphic() || *it == ' ');
    shown.take(SUBJECT).collect()
}

/// Text without control characters, as long as SNS takes it.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let kept = text.chars().filter(|it| *it == '\n' || !it.is_control());
    for character in kept {
        if out.len() + character.len_utf8() > MESSAGE {
            break;
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_short_line_of_ascii() {
        assert_eq!(
            subject("Request 2 of shop\r\nBcc: x\u{e9}"),
            "Request 2 of shopBcc: x"
        );
        assert_eq!(subject(&"a".repeat(200)).len(), 99);
    }

    #[test]
    fn a_message_has_no_control_characters_and_fits() {
        assert_eq!(plain("a\u{1b}[2Jb\rc\nd"), "a[2Jbc\nd");
        assert_eq!(plain(&"\u{e9}".repeat(200_000)).len(), 262_144);
    }
}
