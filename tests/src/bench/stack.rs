//! A change of a stack, planned and applied by `slipway-stack`, beside `aws cloudformation deploy`: one property of one resource,
//! nothing, one that takes long, and one that fails.

use std::path::PathBuf;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::measure::Call;
use super::row::Row;
use super::stage::Stage;
use super::verdict::{Contender, Sample, Work, action};
use crate::fault::{Context, Fault, Result};
use crate::say::note;
use crate::world::World;
use crate::world::aws::{Aws, unless_there};
use crate::world::runner::Variables;

const VERSION: &str = "2010-05-15";
const NAME: &str = "bench";
const ROUNDS: usize = 3;
/// The most that a change without any time of its own may take of `aws cloudformation deploy`'s time.
const GOAL: f64 = 0.2;
/// How long a slow resource takes, in milliseconds.
const SLOW: u64 = 20_000;

/// A change, and the fault that CloudFormation meets on its way.
struct Change {
    name: &'static str,
    /// True if the template is another one each time.
    changes: bool,
    fault: Option<fn() -> Value>,
    wall: Option<f64>,
    /// The step's words and exit code.
    proof: &'static str,
    exit: i32,
}

const CHANGES: [Change; 4] = [
    Change {
        name: "one property",
        changes: true,
        fault: None,
        wall: Some(GOAL),
        proof: "UPDATE_COMPLETE",
        exit: 0,
    },
    Change {
        name: "no change",
        changes: false,
        fault: None,
        wall: Some(GOAL),
        proof: "no changes",
        exit: 0,
    },
    Change {
        name: "a resource that takes 20 s",
        changes: true,
        fault: Some(|| json!({"delay": SLOW})),
        wall: None,
        proof: "UPDATE_COMPLETE",
        exit: 0,
    },
    Change {
        name: "a resource that fails",
        changes: true,
        fault: Some(|| json!({"reason": "the topic says no"})),
        wall: None,
        proof: "the topic says no",
        exit: 5,
    },
];

#[derive(Clone, Copy)]
enum Tool {
    Ours,
    Cli,
    Action,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "slipway-stack plan, apply",
            Self::Cli => "aws cloudformation deploy",
            Self::Action => "the action",
        }
    }
}

pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let family = "bench-stack-";
    let name = format!(
        "{family}{}",
        &uuid::Uuid::new_v4().simple().to_string()[..6]
    );
    let _in_use = World::replace_earlier(stage.instance, family, &name).await?;
    let world = World::create(stage.instance, &name).await?;
    let account = &world.environment("dev")?.account;
    let folder = tempfile::tempdir().context("making a folder")?;
    let aws = world.administrator(stage.instance, account).await?;
    let mut environment = world.variables(stage.instance);
    environment.extend(aws.variables());
    let stack = Stack {
        stage,
        account: &account.id,
        aws,
        environment,
        folder: folder.path().to_owned(),
    };
    let mut number = 0;
    stack.write(number)?;
    super::measure::Measure::Wall.take(&stack.with(stack.cli()))?;
    let mut tools = vec![Tool::Ours, Tool::Cli];
    tools.extend(action().map(|_| Tool::Action));
    let mut rows = Vec::new();
    for change in &CHANGES {
        let mut contenders: Vec<Contender> = tools
            .iter()
            .map(|tool| Contender::new(tool.name()))
            .collect();
        for _ in 0..stage.rounds.unwrap_or(ROUNDS) {
            for (tool, kept) in tools.iter().zip(&mut contenders) {
                number += usize::from(change.changes);
                kept.samples
                    .push(stack.sample(*tool, change, number).await?);
            }
        }
        // What failed was rolled back, and the next change is none to what is there.
        let work = Work {
            name: change.name,
            wall: change.wall,
            exit: change.exit,
            alone: "CloudFormation's own part",
            rate: None,
        };
        rows.extend(work.rows(&contenders)?);
    }
    Ok(rows)
}

/// A stack of a queue and a topic.
struct Stack<'a> {
    stage: &'a Stage<'a>,
    account: &'a str,
    aws: Aws,
    environment: Variables,
    folder: PathBuf,
}

impl Stack<'_> {
    /// One change by one tool.
    async fn sample(&self, tool: Tool, change: &Change, number: usize) -> Result<Sample> {
        self.write(number)?;
        if let Some(fault) = change.fault {
            let mut fault = fault();
            fault["account"] = json!(self.account);
            fault["stack"] = json!(NAME);
            fault["resource"] = json!("Topic");
            fault["operation"] = json!("update");
            self.stage.tell("stacks", &fault).await?;
        }
        let call = match tool {
            Tool::Ours => self.ours(change.proof),
            Tool::Cli => self.cli(),
            Tool::Action => self.action()?,
        };
        note(&format!("{}: {}", change.name, tool.name()));
        let changes = change.changes;
        let ended = async || match changes {
            true => self.ended().await.map(Some),
            false => Ok(None),
        };
        let begins = "ExecuteChangeSet";
        Sample::of(self.stage, self.account, &self.with(call), begins, ended).await
    }

    fn with(&self, mut call: Call) -> Call {
        call.environment.extend(self.environment.clone());
        call
    }

    fn template(&self) -> PathBuf {
        self.folder.join("stack.yaml")
    }

    /// Writes the template with this number in one property.
    fn write(&self, number: usize) -> Result<()> {
        let text = format!(
            "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n  Topic:\n    Type: AWS::SNS::Topic\n    \
             Properties: {{DisplayName: number {number}}}\n"
        );
        std::fs::write(self.template(), text).context("writing the template")
    }

    fn ours(&self, proof: &str) -> Call {
        let program = self.stage.build.folder.join("slipway-stack");
        let script = format!(
            "plan=$('{0}' plan --name {NAME} --template '{1}' --json | sed -n 's/.*\"plan_id\": *\"\\([^\"]*\\)\".*/\\1/p')\n\
             exec '{0}' apply --name {NAME} --plan \"$plan\"",
            program.display(),
            self.template().display(),
        );
        self.stage.shell(&script, proof)
    }

    fn cli(&self) -> Call {
        let script = format!(
            "exec \"$AWS\" cloudformation deploy --stack-name {NAME} --template-file '{}' --no-fail-on-empty-changeset",
            self.template().display()
        );
        // It says so of a change, of none and of a failure.
        self.stage.shell(&script, "hangeset")
    }

    /// The action, as a runner starts it.
    fn action(&self) -> Result<Call> {
        let program = format!("{}/dist/index.js", action().unwrap_or_default());
        let output = self.folder.join("output");
        std::fs::write(&output, "").context("making the output's file")?;
        let mut call = self.stage.node(&[&program], "");
        for (name, value) in [
            ("INPUT_MODE", "create-and-execute"),
            ("INPUT_NAME", NAME),
            ("INPUT_TEMPLATE", "stack.yaml"),
            ("INPUT_CAPABILITIES", "CAPABILITY_IAM"),
            ("INPUT_NO-EXECUTE-CHANGESET", "false"),
            ("INPUT_NO-DELETE-FAILED-CHANGESET", "false"),
            ("INPUT_FAIL-ON-EMPTY-CHANGESET", "false"),
            ("INPUT_DISABLE-ROLLBACK", "false"),
            ("INPUT_TERMINATION-PROTECTION", "false"),
            ("INPUT_INCLUDE-NESTED-STACKS-CHANGE-SET", "0"),
            ("GITHUB_WORKSPACE", &self.folder.display().to_string()),
            ("GITHUB_OUTPUT", &output.display().to_string()),
        ] {
            call.environment.insert(name.to_owned(), value.to_owned());
        }
        Ok(call)
    }

    /// When CloudFormation ended the newest operation on the stack.
    async fn ended(&self) -> Result<OffsetDateTime> {
        loop {
            let answer = self
                .aws
                .query(
                    "cloudformation",
                    VERSION,
                    "DescribeStackEvents",
                    &[("StackName", NAME)],
                )
                .await?;
            let text = unless_there(answer, "reading the stack's events", &[])?.unwrap_or_default();
            if let Some(ended) = newest_end(&text)? {
                return Ok(ended);
            }
            // A tool may end before.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}

/// The time of the newest event, where it is the end of an operation on the stack.
fn newest_end(events: &str) -> Result<Option<OffsetDateTime>> {
    let newest = events
        .split_once("<member>")
        .and_then(|(_, rest)| rest.split_once("</member>"))
        .map(|(newest, _)| newest)
        .ok_or_else(|| Fault::new("the stack has no events"))?;
    let is_end = newest.contains("<ResourceType>AWS::CloudFormation::Stack</ResourceType>")
        && newest.contains("_COMPLETE</ResourceStatus>");
    if !is_end {
        return Ok(None);
    }
    let time = newest
        .split_once("<Timestamp>")
        .and_then(|(_, rest)| rest.split_once("</Timestamp>"))
        .map(|(time, _)| time)
        .unwrap_or_default();
    let time = OffsetDateTime::parse(time, &Rfc3339).context("reading an event's time")?;
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_event_is_an_end_only_of_the_stack_itself() {
        let event = |kind: &str, status: &str| {
            format!(
                "<StackEvents><member><Timestamp>1970-01-01T00:00:01.5Z</Timestamp><ResourceType>{kind}</ResourceType>\
                 <ResourceStatus>{status}</ResourceStatus></member><member/></StackEvents>"
            )
        };
        let of_stack = "AWS::CloudFormation::Stack";
        let end = newest_end(&event(of_stack, "UPDATE_ROLLBACK_COMPLETE")).unwrap();
        assert_eq!(end.unwrap().unix_timestamp_nanos(), 1_500_000_000);
        for (kind, status) in [
            (of_stack, "UPDATE_IN_PROGRESS"),
            (of_stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            ("AWS::SNS::Topic", "UPDATE_COMPLETE"),
        ] {
            assert_eq!(newest_end(&event(kind, status)).unwrap(), None, "{status}");
        }
        assert!(newest_end("<StackEvents/>").is_err());
    }
}
