//! The verb `apply`: find the plan that was reviewed, execute exactly that, and follow it to its end.

use crate::args;
use crate::changes::ordered;
use crate::client::{Client, Executed};
use crate::fit::unfit;
use crate::follow::Verdict;
use crate::foreign::foreign;
use crate::identity::{Made, PREFIX, Protects, token};
use crate::judge::judge;
use crate::locate::{self, Found};
use crate::progress::Progress;
use crate::protect::{enforce, missing};
use crate::regions::{Bound, bound, check, together};
use crate::report::apply::{self as report, Applied};
use crate::report::regions::{self, halted};
use crate::search::{Execution, Search, search};
use crate::seen::{ChangeSet, Stack};
use crate::settings::{Protection, protection};
use crate::standing::{Kind, REVIEW, change_set_kind, is_terminal};
use crate::watch::{Ended, Watch};
use kit::aws::Region;
use kit::error::{Error, Result};
use kit::id::PlanId;
use kit::{Cx, Report};
use ledger::applied::{self, AppliedPermit, Permit};
use net::{Purpose, SessionTag};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep;

/// How often the plan is looked for, if nothing is found or somebody else executed it between two looks.
const LOOKS: usize = 3;
/// How long it waits between two of these looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The key of the tag that holds the change set's name: without it the deploy role executes none in an environment whose gate says
/// `plan: true`, and protects no stack otherwise (docs/policies/deploy-stack.json).
const TAG: &str = "slipway-change-set";

/// # Errors
/// A plan that is not there or not permitted (exit 3), another operation (exit 4), or an execution that did not succeed.
pub(crate) async fn apply(
    args: args::Apply,
    cx: &Cx,
    progress: &RefCell<Progress>,
) -> Result<Report> {
    let plan = &args.plan;
    refuse_no_time(args.wait.timeout)?;
    refuse_pull_requests(cx)?;
    let defaults = cx.defaults_stack()?;
    let protection = protection(&defaults)?;
    let contract = defaults.contract().map(|contract| &contract.resolved);
    let commit = locate::commit(args.commit.as_ref(), cx);
    let permit = match applied::asked(args.permit.as_deref(), contract, plan.as_str(), commit)? {
        Some(asked) => Some(Permit::open_vouching(asked, plan.as_str(), cx).await?),
        None => None,
    };
    let all = locate::find(cx, &defaults, &args.stack, Purpose::Deploy).await?;
    let bound = bound(&all, plan, &protection.protects()).await?;
    let regions: Vec<&Region> = all.iter().map(|it| &it.account.region).collect();
    let under = Under {
        permit: permit.as_ref(),
        checked: OnceCell::new(),
        told: Cell::new(false),
    };
    let mut done = Vec::new();
    for (index, (found, part)) in all.iter().zip(&bound).enumerate() {
        let region = &found.account.region;
        let run = Run {
            cx,
            found,
            regions: &regions,
            whole: plan,
            plan: match part {
                Bound::Plan(plan) => plan,
                Bound::Same(_) | Bound::Before => plan,
            },
            under: &under,
            protection: &protection,
            timeout: args.wait.timeout,
            arguments: args.stack.arguments(cx),
            progress,
        };
        if all.len() == 1 {
            return run.to_the_end().await;
        }
        let number = index + 1;
        cx.host
            .info(format!("region {number} of {}: {region}", all.len()));
        let ended = match part {
            Bound::Plan(_) => run.to_the_end().await,
            Bound::Same(_) | Bound::Before => run.unchanged(part).await,
        };
        match ended {
            Ok(report) => done.push((region.clone(), report)),
            Err(error) => {
                let rest: Vec<&Region> =
                    all[number..].iter().map(|it| &it.account.region).collect();
                return Err(halted(&done, region, error, &rest));
            }
        }
    }
    Ok(regions::applied(done))
}

pub(crate) fn refuse_no_time(timeout: Duration) -> Result<()> {
    if !timeout.is_zero() {
        return Ok(());
    }
    Err(
        Error::usage("--timeout is zero: nothing is executed that fast")
            .hint("give it as long as the resources need, such as 60m"),
    )
}

pub(crate) fn refuse_pull_requests(cx: &Cx) -> Result<()> {
    match github::pull_run(&cx.env) {
        None => Ok(()),
        Some(_) => Err(
            Error::refused("no stack is changed from a pull request's run")
                .hint("merge it first; the run on the branch plans and applies"),
        ),
    }
}

/// The permit of the whole apply. It is judged once, before the first change: it may be over by the time that the last region begins.
struct Under<'a> {
    permit: Option<&'a Permit<'a>>,
    checked: OnceCell<AppliedPermit>,
    /// True once a region reported it.
    told: Cell<bool>,
}

/// One run of the verb.
struct Run<'a> {
    cx: &'a Cx,
    found: &'a Found,
    /// All regions that the plan is applied to.
    regions: &'a [&'a Region],
    /// The plan that was named.
    whole: &'a PlanId,
    /// The plan in this region.
    plan: &'a PlanId,
    under: &'a Under<'a>,
    protection: &'a Protection,
    timeout: Duration,
    arguments: String,
    progress: &'a RefCell<Progress>,
}

impl Run<'_> {
    async fn to_the_end(&self) -> Result<Report> {
        let client = &self.found.client;
        let protects = self.protection.protects();
        for look in 1.. {
            let Some(stack) = client.stack(&self.found.name).await? else {
                return Err(self.unknown(None));
            };
            match search(client, &stack, self.plan, &protects).await? {
                Search::Nothing => return self.nothing(&stack).await,
                Search::Started(execution) => return self.resume(&stack, execution).await,
                Search::Open(set, made) => {
                    if let Some(report) = self.open(&stack, &set, &made).await? {
                        return Ok(report);
                    }
                }
                // Between the end of a change set and the first event of its execution nothing shows it.
                Search::Unknown if look < LOOKS => {}
                Search::Unknown => return Err(self.unknown(Some(&stack))),
            }
            if look >= LOOKS {
                break;
            }
            sleep(PAUSE).await;
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
        let kind = change_set_kind(Some(stack), &self.arguments).map_err(|error| *error)?;
        self.refuse_unreviewed(stack, set, made, kind)?;
        let policy = match (kind, &self.protection.policy) {
            (Kind::Create, _) => None,
            (Kind::Update, Some(policy)) => Some(policy.clone()),
            (Kind::Update, None) => client.policy(&stack.id).await?,
        };
        let all = ordered(set);
        judge(&stack.name, &all, &made.allow_replace, policy.as_deref()).map_err(|error| *error)?;
        let under = self.permitted().await?;
        let session = self.session(set.name.clone()).await;
        let session = session.map_err(|error| error.cause("nothing was executed"))?;
        let allowed = under.as_ref().map_or_else(String::new, |under| {
            format!(", under permit {}", under.line())
        });
        // A stack must not lose a protection to the change itself. One that is created gets it afterwards: it has no policy before,
        // and what is left of a failed creation has to be deleted.
        let mut enforced = match kind {
            Kind::Create => Vec::new(),
            Kind::Update => {
                self.progress.replace(Progress::Protecting);
                let protecting = session.as_ref().unwrap_or(client);
                enforce(protecting, &stack.id, self.protection).await?
            }
        };
        let token = token(self.plan.as_str(), &made.protects);
        let watch = Watch::ahead(
            self.cx,
            client,
            &stack.id,
            &self.arguments,
            token.clone(),
            self.timeout,
        )
        .await?;
        self.cx.host.info(format!(
            "executing plan {} of the stack {}: {}{allowed}",
            self.plan,
            stack.name,
            crate::changes::counts(&all)
        ));
        self.progress.replace(Progress::Executing);
        // By its ARN: a name can be that of another change set, which somebody made after this one was deleted.
        let executing = session.as_ref().unwrap_or(client);
        match executing.execute(&set.id, &token).await {
            Ok(Executed::Started) => {}
            Ok(Executed::Not) => return Ok(None),
            Err(error) => return self.not_started(&stack.id, error).await,
        }
        let ended = watch.follow().await?;
        if ended.verdict == Verdict::Succeeded {
            self.same_role(made, &ended)?;
            if kind == Kind::Create {
                enforced = self.protect(&stack.id).await?;
            }
        }
        report::ended(&self.applied(enforced, under), ended).map(Some)
    }

    /// Refuses a change set that `plan` did not make so, for this commit, lately, and for this protection.
    fn refuse_unreviewed(
        &self,
        stack: &Stack,
        set: &ChangeSet,
        made: &Made,
        kind: Kind,
    ) -> Result<()> {
        let again = format!("slipway-stack plan {}", self.arguments);
        self.of_these_regions(made)?;
        let lines = foreign(set, made, stack, kind);
        if !lines.is_empty() {
            return Err(Error::refused(format!(
                "the change set {} is not as `plan` made it",
                set.name
            ))
            .with_causes(lines)
            .hint(format!("plan again: {again}")));
        }
        let commit = self.under.permit.map(Permit::commit);
        let lines = unfit(set, made, commit, self.found.account.time()?);
        if !lines.is_empty() {
            return Err(
                Error::refused(format!("plan {} cannot be applied", self.plan))
                    .with_causes(lines)
                    .hint(format!(
                        "plan again, and have the new plan approved: {again}"
                    )),
            );
        }
        match made.protects == self.protection.protects() {
            true => Ok(()),
            false => Err(self.protected_otherwise("was made for", Some(&made.protects))),
        }
    }

    /// The next step after CloudFormation refused to execute: the stack is read again if another operation was faster.
    async fn not_started(&self, stack: &str, error: Error) -> Result<Option<Report>> {
        match self.found.client.stack(stack).await {
            Ok(Some(stack)) if !is_terminal(&stack.status) && stack.status != REVIEW => Ok(None),
            _ => Err(error),
        }
    }

    /// Follows an execution that an earlier run began. Nothing is opened under it: what is set afterwards is what the plan says,
    /// and only under a permit that is still valid.
    async fn resume(&self, stack: &Stack, execution: Execution) -> Result<Report> {
        let client = &self.found.client;
        self.cx.host.info(format!(
            "an earlier run executed plan {}; this one follows it",
            self.plan
        ));
        self.progress.replace(Progress::Executing);
        let same = execution.token == token(self.plan.as_str(), &self.protection.protects());
        let made = execution.made.clone();
        if let Some(made) = &made {
            self.of_these_regions(made)?;
        }
        let watch = Watch::resume(
            self.cx,
            client,
            &stack.id,
            &self.arguments,
            execution,
            self.timeout,
        );
        let ended = watch.follow().await?;
        let (mut enforced, mut under) = (Vec::new(), None);
        if ended.verdict == Verdict::Succeeded {
            if let Some(made) = &made {
                self.same_role(made, &ended)?;
            }
            if !same {
                let planned = made.as_ref().map(|made| &made.protects);
                return Err(self.protected_otherwise("was applied with", planned));
            }
            if !missing(client, &stack.id, self.protection)
                .await?
                .is_nothing()
            {
                under = self.permitted().await.map_err(|error| {
                    error.hint("the plan was applied, and the stack is not protected as it says: plan again, and apply that")
                })?;
                enforced = self.protect(&stack.id).await?;
            }
        }
        report::ended(&self.applied(enforced, under), ended)
    }

    /// Refuses a plan of one region that is a part of a plan of several. Of several regions, [`bound`] knows.
    fn of_these_regions(&self, made: &Made) -> Result<()> {
        match self.regions {
            [only] => together(made, only, self.regions, self.plan).map_err(|error| *error),
            _ => Ok(()),
        }
    }

    /// A region in which the plan changes no resource, or in which that is not known any more: then it is not protected either.
    async fn unchanged(&self, part: &Bound) -> Result<Report> {
        // It may have changed while the regions before it were changed.
        check(self.found, part, self.whole, &self.protection.protects()).await?;
        let Some(stack) = self.found.client.stack(&self.found.name).await? else {
            return Err(self.unknown(None));
        };
        let lacks = missing(&self.found.client, &stack.id, self.protection).await?;
        match part {
            Bound::Before if !lacks.is_nothing() => Err(Error::refused(format!(
                "the stack {} is not protected as is declared here, and what plan {} said of it is not known any more",
                stack.name, self.whole
            ))
            .hint(format!("plan again: slipway-stack plan {}", self.arguments))),
            _ => self.nothing(&stack).await,
        }
    }

    /// A plan without changes of resources: the protection is enforced all the same.
    async fn nothing(&self, stack: &Stack) -> Result<Report> {
        change_set_kind(Some(stack), &self.arguments).map_err(|error| *error)?;
        let under = self.permitted().await?;
        let enforced = self.protect(&stack.id).await?;
        Ok(report::nothing(&self.applied(enforced, under), stack))
    }

    /// Refuses an end in which the stack has another role than the plan: CloudFormation does not tell the role of a change set
    /// before it is executed.
    fn same_role(&self, made: &Made, ended: &Ended) -> Result<()> {
        let role = ended.stack.as_ref().and_then(|stack| stack.role.as_deref());
        if role == made.effective_role() {
            return Ok(());
        }
        Err(Error::failed(format!(
            "plan {} was executed with another role than was reviewed",
            self.plan
        ))
        .cause(format!(
            "the plan: {}",
            made.effective_role().unwrap_or("none")
        ))
        .cause(format!("the stack: {}", role.unwrap_or("none")))
        .hint("find out who made the change set: AWS CloudTrail has the calls"))
    }

    /// The error of a plan that protects the stack in another way than the contract here.
    fn protected_otherwise(&self, verb: &str, planned: Option<&Protects>) -> Error {
        let error = Error::refused(format!(
            "plan {} {verb} another protection of the stack than is declared here",
            self.plan
        ));
        let error = planned
            .map(Protects::lines)
            .into_iter()
            .flatten()
            .fold(error, |error, line| {
                error.cause(format!("the plan: {line}"))
            });
        let here = self.protection.protects().lines();
        here.into_iter()
            .fold(error, |error, line| error.cause(format!("here: {line}")))
            .hint("apply with the contract that the plan was made with: --environment NAME, at the same commit")
            .hint(format!("or plan again: slipway-stack plan {}", self.arguments))
    }

    /// Checks the permit right before something changes, unless a region before did. It is answered to the first region alone, which
    /// reports it.
    async fn permitted(&self) -> Result<Option<AppliedPermit>> {
        let Some(permit) = self.under.permit else {
            return Ok(None);
        };
        let checked = self
            .under
            .checked
            .get_or_try_init(|| permit.check())
            .await?;
        Ok((!self.under.told.replace(true)).then(|| checked.clone()))
    }

    /// Sets the protection that the stack lacks, with no change set under way.
    async fn protect(&self, stack: &str) -> Result<Vec<String>> {
        let client = &self.found.client;
        if missing(client, stack, self.protection).await?.is_nothing() {
            return Ok(Vec::new());
        }
        // No change set can have this name, so the session executes none.
        let session = self.session(format!("{PREFIX}protection:{}", self.plan));
        let session = session
            .await
            .map_err(|error| error.cause("the stack's protection was not set"))?;
        self.progress.replace(Progress::Protecting);
        enforce(session.as_ref().unwrap_or(client), stack, self.protection).await
    }

    /// The client that may execute the change set of this name and protect the stack, where that takes a permit. It is made before
    /// anything is changed.
    async fn session(&self, change_set: String) -> Result<Option<Client>> {
        let Some(permit) = self.under.permit else {
            return Ok(None);
        };
        let tag = SessionTag {
            key: TAG,
            value: change_set,
        };
        let region = &self.found.account.region;
        let session = permit.session(region, tag).await;
        Ok(Some(Client::new(&session?)))
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
