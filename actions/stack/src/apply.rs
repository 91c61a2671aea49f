//! The verb `apply`: find the plan that was reviewed, execute exactly that, and follow it to its end.

use crate::args;
use crate::changes::ordered;
use crate::client::Executed;
use crate::identity::{Made, token};
use crate::judge::judge;
use crate::place::{self, Found};
use crate::progress::Progress;
use crate::protect::enforce;
use crate::report::apply::{self as report, Applied};
use crate::search::{Search, search};
use crate::seen::{ChangeSet, Stack};
use crate::settings::{Protection, protection};
use crate::standing::{Kind, busy, is_terminal, standing};
use crate::watch::{Ended, Watch};
use kit::error::{Error, Result};
use kit::{Cx, Report};
use ledger::applied::{self, AppliedPermit, Permit};
use net::Purpose;
use std::cell::RefCell;
use std::time::Duration;

/// How often the plan is looked for again, if somebody executed it between two looks.
const LOOKS: usize = 3;

/// # Errors
/// A plan that is not there or not permitted (exit 3), another operation (exit 4), or an execution that did not succeed.
pub(crate) async fn apply(
    args: args::Apply,
    cx: &Cx,
    progress: &RefCell<Progress>,
) -> Result<Report> {
    let plan = plan_id(&args.plan)?;
    refuse_no_time(args.wait.timeout)?;
    let defaults = cx.defaults_stack()?;
    let name = place::name(&defaults, &args.stack)?;
    let protection = protection(&defaults, &args.guards)?;
    let contract = defaults.contract().map(|contract| &contract.resolved);
    let commit = || cx.host.commit().ok().flatten();
    let commit = args.commit.clone().or_else(commit);
    let permit = match applied::asked(args.permit.as_deref(), contract, plan, commit)? {
        Some(asked) => Some(Permit::open(asked, plan, cx).await?),
        None => None,
    };
    let found = place::find(cx, &defaults, name, Purpose::Deploy).await?;
    let run = Run {
        cx,
        found: &found,
        plan,
        permit,
        protection,
        timeout: args.wait.timeout,
        arguments: args.stack.arguments(cx),
        progress,
    };
    run.to_the_end().await
}

fn plan_id(text: &str) -> Result<&str> {
    let text = text.trim();
    if kit::hex::is_hex(text, 64) {
        return Ok(text);
    }
    Err(Error::usage(format!("`{text}` is not the ID of a plan"))
        .hint("it is the output plan-id of `plan`: 64 hexadecimal digits"))
}

fn refuse_no_time(timeout: Duration) -> Result<()> {
    if !timeout.is_zero() {
        return Ok(());
    }
    Err(
        Error::usage("--timeout is zero: nothing is executed that fast")
            .hint("give it as long as the resources need, such as 60m"),
    )
}

/// One run of the verb.
struct Run<'a> {
    cx: &'a Cx,
    found: &'a Found,
    plan: &'a str,
    permit: Option<Permit<'a>>,
    protection: Protection,
    timeout: Duration,
    arguments: String,
    progress: &'a RefCell<Progress>,
}

impl Run<'_> {
    async fn to_the_end(&self) -> Result<Report> {
        let client = &self.found.client;
        for _ in 0..LOOKS {
            let Some(stack) = client.stack(&self.found.name).await? else {
                return Err(self.unknown(None));
            };
            match search(client, &stack, self.plan).await? {
                Search::Unknown => return Err(self.unknown(Some(&stack))),
                Search::Nothing => return self.nothing(&stack).await,
                Search::Begun(events) => {
                    self.cx.host.info(format!(
                        "an earlier run executed plan {}; this one follows it",
                        self.plan
                    ));
                    self.progress.replace(Progress::Executing);
                    let token = token(self.plan);
                    let watch =
                        Watch::begun(self.cx, client, &stack.id, token, events, self.timeout);
                    let ended = watch.follow().await?;
                    return self.ended(&stack.id, ended, None).await;
                }
                Search::Open(set, made) => {
                    if let Some(report) = self.open(&stack, &set, &made).await? {
                        return Ok(report);
                    }
                }
            }
        }
        Err(Error::failed(format!(
            "CloudFormation does not execute plan {}",
            self.plan
        ))
        .hint(format!(
            "see what it does: slipway-stack status {}",
            self.arguments
        )))
    }

    /// Executes a change set; nothing if somebody else did so at the same moment.
    async fn open(&self, stack: &Stack, set: &ChangeSet, made: &Made) -> Result<Option<Report>> {
        let client = &self.found.client;
        let kind = standing(Some(stack)).map_err(|error| *error)?;
        let policy = match (kind, &self.protection.policy) {
            (Kind::Create, _) => None,
            (Kind::Update, Some(policy)) => Some(policy.clone()),
            (Kind::Update, None) => client.policy(&stack.id).await?,
        };
        let all = ordered(set);
        judge(&stack.name, &all, &made.allow_replace, policy.as_deref()).map_err(|error| *error)?;
        let under = self.permitted().await?;
        let allowed = under.as_ref().map_or_else(String::new, |under| {
            format!(", under permit {}", under.line())
        });
        // A stack that is not there yet cannot be protected, and one that is must not lose a protection to the change itself.
        let mut enforced = match kind {
            Kind::Create => Vec::new(),
            Kind::Update => {
                self.progress.replace(Progress::Protecting);
                enforce(client, &stack.id, &self.protection).await?
            }
        };
        let token = token(self.plan);
        let watch = Watch::ahead(self.cx, client, &stack.id, token.clone(), self.timeout).await?;
        self.cx.host.info(format!(
            "executing plan {} of the stack {}: {}{allowed}",
            self.plan,
            stack.name,
            crate::changes::counts(&all)
        ));
        self.progress.replace(Progress::Executing);
        match client.execute(&set.id, &token).await? {
            Executed::Begun => {}
            Executed::Not => return Ok(None),
        }
        let ended = watch.follow().await?;
        if kind == Kind::Create && ended.verdict == crate::follow::Verdict::Succeeded {
            enforced = enforce(client, &stack.id, &self.protection).await?;
        }
        let applied = self.applied(enforced, under);
        report::ended(&applied, ended).map(Some)
    }

    /// A plan without changes: the protection is enforced all the same.
    async fn nothing(&self, stack: &Stack) -> Result<Report> {
        if !is_terminal(&stack.status) {
            return Err(busy(stack));
        }
        let under = self.permitted().await?;
        self.progress.replace(Progress::Protecting);
        let enforced = enforce(&self.found.client, &stack.id, &self.protection).await?;
        Ok(report::nothing(&self.applied(enforced, under), stack))
    }

    /// The end of an execution that an earlier run began.
    async fn ended(
        &self,
        stack: &str,
        ended: Ended,
        under: Option<AppliedPermit>,
    ) -> Result<Report> {
        let enforced = match ended.verdict {
            crate::follow::Verdict::Succeeded => {
                enforce(&self.found.client, stack, &self.protection).await?
            }
            _ => Vec::new(),
        };
        report::ended(&self.applied(enforced, under), ended)
    }

    /// The permit, checked right before something changes.
    async fn permitted(&self) -> Result<Option<AppliedPermit>> {
        match &self.permit {
            Some(permit) => permit.check(self.cx).await.map(Some),
            None => Ok(None),
        }
    }

    fn applied(&self, enforced: Vec<String>, under: Option<AppliedPermit>) -> Applied<'_> {
        Applied {
            account: &self.found.account,
            name: &self.found.name,
            plan: self.plan,
            timeout: self.timeout,
            arguments: &self.arguments,
            enforced,
            under,
        }
    }

    fn unknown(&self, stack: Option<&Stack>) -> Error {
        let name = &self.found.name;
        let error = Error::refused(format!(
            "there is no plan {} for the stack {name}",
            self.plan
        ));
        let error = match stack {
            None => error.cause(format!("there is no stack {name} in account {}", self.found.account.id)),
            Some(stack) => error
                .cause("its change set was deleted, the stack changed since, or it was made for another stack of this name")
                .cause(format!("the stack is {}, {}", stack.status, stack.id)),
        };
        error.hint(format!(
            "plan again, and have the new plan approved: slipway-stack plan {}",
            self.arguments
        ))
    }
}
