//! The verb `plan`: observe the stack and the template, make a change set, judge it, and name it by an ID.

use crate::args;
use crate::changes::ordered;
use crate::chosen::Chosen;
use crate::client::{Client, Creation, Value};
use crate::identity::{
    AsItIs, LONGEST_DESCRIPTION, Made as Description, PREFIX, PULL_PREFIX, Planned, Regional,
    empty_plan_id, plan_id,
};
use crate::imports::{Wanted, identified};
use crate::inputs::parameters;
use crate::judge::judge;
use crate::locate::{self, Found};
use crate::make::{Made, make};
use crate::progress::Progress;
use crate::readable::declared_readable;
use crate::report::plan::{self as report, MadeHere, Part, Subject};
use crate::seen::{ChangeSet, Stack};
use crate::settings::{Protection, Settings, protection, settings};
use crate::source::{acknowledged, source, template};
use crate::standing::{Kind, change_set_kind};
use kit::contract::WithStack;
use kit::error::{Error, Result};
use kit::id::PlanId;
use kit::{Cx, Defaults, Report};
use net::{Account, Purpose};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The plan in every region of the stack.
struct Run<'a> {
    cx: &'a Cx,
    args: &'a args::Plan,
    /// The resources to take over; without any, the plan is an update.
    imports: &'a [Wanted],
    settings: &'a Settings,
    protection: &'a Protection,
    gate: Option<&'a str>,
    progress: &'a RefCell<Progress>,
    /// True if it only shows what a pull request would change.
    look: bool,
}

/// Plans in each region of the stack. A plan that only shows something (`look`) is made by the role that reads, and is gone when this
/// ends.
///
/// # Errors
/// Bad input, a stack that cannot be changed, or changes that nobody allowed (exit 3).
pub(crate) async fn plan(
    args: &args::Plan,
    imports: &[Wanted],
    cx: &Cx,
    progress: &RefCell<Progress>,
    look: bool,
) -> Result<Report> {
    let defaults = cx.defaults_stack()?;
    // Everything that is missing is said before a file is read.
    locate::name(&defaults, &args.stack)?;
    let settings = settings(cx, &defaults, args, look)?;
    let protection = protection(&defaults)?;
    let gate = gated(&defaults);
    let run = Run {
        cx,
        args,
        imports,
        settings: &settings,
        protection: &protection,
        gate: gate.as_deref(),
        progress,
        look,
    };
    let all = locate::find(cx, &defaults, &args.stack, purpose(look)).await?;
    if all.len() > 1 && !imports.is_empty() {
        return Err(
            Error::usage("resources are taken over in one region at a time")
                .hint("name the region: --region REGION"),
        );
    }
    let parts = run.everywhere(&all).await?;
    let id = match whole_id(&parts) {
        _ if look => None,
        Some(id) => Some(id.to_string()),
        None => {
            let unchanged = parts.iter().filter_map(|part| match &part.made {
                MadeHere::Unchanged(as_it_is) => Some(as_it_is.as_ref().clone()),
                MadeHere::ChangeSet { .. } => None,
            });
            let unchanged: Vec<AsItIs> = unchanged.collect();
            Some(empty_plan_id(&unchanged, &protection.protects()))
        }
    };
    let arguments = args.stack.arguments(cx);
    Ok(report::whole(parts, id.as_deref(), &arguments, run.gate))
}

/// The ID of the last plan that changes anything, which covers those of all regions.
fn whole_id(parts: &[Part]) -> Option<&PlanId> {
    parts.iter().rev().find_map(|part| match &part.made {
        MadeHere::ChangeSet { plan, .. } => plan.as_ref(),
        MadeHere::Unchanged(_) => None,
    })
}

impl Run<'_> {
    /// The plan in every region. Nobody can apply a part of it, so one that fails leaves none behind.
    async fn everywhere(&self, all: &[Found]) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for found in all {
            let regions = self.regional(all, &parts, parts.len());
            match self.in_region(found, &regions).await {
                Ok(part) => parts.push(part),
                Err(error) => return Err(self.undone(all, &parts, found, error).await),
            }
        }
        let changes = |part: &Part| matches!(part.made, MadeHere::ChangeSet { .. });
        let Some(last) = parts.iter().rposition(changes) else {
            return Ok(parts);
        };
        if self.look || last + 1 == all.len() {
            return Ok(parts);
        }
        // The regions after it were not known when its change set was made, and are a part of what is reviewed.
        let regions = self.regional(all, &parts, last);
        match self.again(&all[last], &parts[last], &regions).await {
            Ok(part) => {
                parts[last] = part;
                Ok(parts)
            }
            Err(error) => Err(self.undone(all, &parts, &all[last], error).await),
        }
    }

    /// Makes the change set of a region once more, with more to say of the other regions.
    async fn again(&self, found: &Found, part: &Part, regions: &[Regional]) -> Result<Part> {
        if let MadeHere::ChangeSet { id, .. } = &part.made {
            found.client.delete(id).await?;
        }
        let again = self.in_region(found, regions).await?;
        match again.made {
            MadeHere::ChangeSet { .. } => Ok(again),
            MadeHere::Unchanged(_) => Err(Error::failed(format!(
                "the stack {} changed while it was planned",
                found.name
            ))
            .hint("find out who else changes it, and plan again")),
        }
    }

    /// What the change set in the region at `own` says of the regions whose plans are known; nothing where there is only one.
    fn regional(&self, all: &[Found], parts: &[Part], own: usize) -> Vec<Regional> {
        if all.len() == 1 {
            return Vec::new();
        }
        let protects = self.protection.protects();
        let mut regions = Vec::new();
        for (index, found) in all.iter().enumerate() {
            let part = match parts.get(index).map(|part| &part.made) {
                _ if index == own => None,
                Some(MadeHere::ChangeSet { plan, .. }) => plan.clone().map(Planned::Plan),
                Some(MadeHere::Unchanged(as_it_is)) => {
                    let id = empty_plan_id(&[as_it_is.as_ref().clone()], &protects);
                    id.parse().ok().map(Planned::Same)
                }
                None => None,
            };
            let unnamed = match index == own {
                true => Planned::Own(()),
                false => Planned::Later(()),
            };
            regions.push(Regional {
                region: found.account.region.clone(),
                part: part.unwrap_or(unnamed),
            });
        }
        regions
    }

    /// The plan in one region, and what its change set says of the others.
    async fn in_region(&self, found: &Found, regions: &[Regional]) -> Result<Part> {
        let Self { cx, look, .. } = *self;
        let Found {
            account,
            client,
            name,
        } = found;
        let mut settings = self.settings.clone();
        same_account(&settings, account)?;
        let chosen = Chosen::of(&mut settings, found)?;
        if look {
            cx.host.info(format!(
                "planning with {}: the change set is only shown, and deleted again",
                account.arn
            ));
        }
        let stack = client.stack(name).await?;
        let arguments = self.args.stack.arguments(cx);
        let kind = change_set_kind(stack.as_ref(), &arguments).map_err(|error| *error)?;
        // A stack that was only ever planned has nothing that could be kept or compared.
        let current = stack.as_ref().filter(|_| kind == Kind::Update);
        let source = source(cx, account, &settings, look).await?;
        let template = template(client, &source).await?;
        acknowledged(&template, &settings)?;
        let assets = match &chosen {
            Some(chosen) => chosen.hash(account, look).await?,
            None => None,
        };
        let description = Description {
            assets,
            readable: declared_readable(&template, current),
            regions: regions.to_vec(),
            ..self.description(stack.as_ref())
        };
        if look {
            settings.keep_unset(&template, current);
        }
        let imports = identified(&template, self.imports).map_err(|error| *error)?;
        let values = parameters(&template, &settings.given, current).map_err(|error| *error)?;
        let prefix = if look { PULL_PREFIX } else { PREFIX };
        let change_set_name = format!("{prefix}{}", uuid::Uuid::new_v4());
        if let Some(chosen) = &chosen {
            chosen.protects(self.protection, current)?;
            let notes = chosen.ready(cx, found, look).await?;
            settings.notes.extend(notes);
        }
        let capabilities: Vec<&'static str> = settings
            .capabilities
            .iter()
            .map(|one| one.as_str())
            .collect();
        let wanted = Creation {
            stack: name,
            name: &change_set_name,
            kind,
            imports: &imports,
            template: &source,
            parameters: &values,
            tags: &settings.tags,
            capabilities: &capabilities,
            // The role that reads may pass none, and nothing is executed with it.
            role: settings.role.as_ref().filter(|_| !look),
            description: &text_of(&description)?,
        };
        self.progress
            .replace(Progress::Planning(change_set_name.clone()));
        let made = make(cx, client, &wanted).await?;
        let subject = Subject {
            account,
            name,
            stack: current,
            protection: self.protection,
            settings: &settings,
            made: &description,
            kept: kept(&values),
            look,
        };
        match made {
            Made::Changes(set) => changed(cx, client, &subject, &set).await,
            Made::Nothing => nothing(client, &subject, &arguments).await,
        }
    }

    /// The settings that CloudFormation does not tell, as far as they do not depend on the template and on other regions.
    fn description(&self, stack: Option<&Stack>) -> Description {
        let settings = self.settings;
        // A stack that was only ever planned can have a role too, which CloudFormation uses where the change set names none.
        let kept_role = stack.and_then(|stack| stack.role.clone());
        Description {
            commit: locate::commit(self.args.commit.as_ref(), self.cx),
            kept_role: kept_role.filter(|_| settings.role.is_none()),
            role: settings.role.as_ref().map(String::from),
            protects: self.protection.protects(),
            allow_replace: settings.allow_replace.clone(),
            ..Description::default()
        }
    }

    /// Deletes what was made in other regions than the one that failed.
    async fn undone(&self, all: &[Found], parts: &[Part], failed: &Found, error: Error) -> Error {
        let mut error = error;
        for (found, part) in all.iter().zip(parts) {
            let MadeHere::ChangeSet { id, .. } = &part.made else {
                continue;
            };
            if let Err(second) = found.client.delete(id).await {
                error = error
                    .with_second_failure(second)
                    .hint(format!("the change set {id} is left behind"));
            }
        }
        match all.len() {
            1 => error,
            _ => error.under(format!(
                "no plan: it was not made in {}",
                failed.account.region
            )),
        }
    }
}

/// The report of a plan in a region whose stack is as the template says.
async fn nothing(client: &Client, subject: &Subject<'_>, arguments: &str) -> Result<Part> {
    let name = subject.name;
    let Some(stack) = client.stack(name).await? else {
        return Err(
            Error::failed(format!("the stack {name} was deleted meanwhile"))
                .hint("find out who deleted it, and plan again"),
        );
    };
    change_set_kind(Some(&stack), arguments).map_err(|error| *error)?;
    let policy = client.policy(&stack.id).await?;
    // The role of a pull request may not read it, and its plan has no ID.
    let as_it_is = match subject.look {
        true => AsItIs {
            stack: stack.clone(),
            template: String::new(),
        },
        false => client.as_it_is(&stack).await?,
    };
    Ok(Part {
        report: report::unchanged(subject, &stack, policy.as_deref()),
        made: MadeHere::Unchanged(Box::new(as_it_is)),
    })
}

/// The report of a change set, unless it changes what nobody allowed. Then it is deleted, so that nobody can execute it.
async fn changed(cx: &Cx, client: &Client, subject: &Subject<'_>, set: &ChangeSet) -> Result<Part> {
    let all = ordered(set);
    let policy = match subject.stack {
        Some(stack) => client
            .policy(&stack.id)
            .await
            .map_err(|error| left(error, set))?,
        None => None,
    };
    // The policy that the contract names is set before the change set is executed; a stack that is made has none.
    let in_force = subject.protection.policy.as_deref().or(policy.as_deref());
    let in_force = in_force.filter(|_| subject.stack.is_some());
    let judged = judge(
        subject.name,
        &all,
        &subject.settings.allow_replace,
        in_force,
    );
    if subject.look && judged.is_ok() {
        // Nothing of a pull request may be applied.
        client
            .delete(&set.id)
            .await
            .map_err(|error| left(error, set))?;
    }
    let unused = match judged {
        Ok(unused) => unused,
        Err(error) => {
            let error = *error;
            return Err(match client.delete(&set.id).await {
                Ok(()) => report::refused(subject, &all, policy.as_deref(), error),
                Err(second) => report::refused(subject, &all, policy.as_deref(), error)
                    .with_second_failure(second)
                    .hint(left_hint(set)),
            });
        }
    };
    for name in unused {
        cx.host.warn(format!(
            "--allow-replace {name} allows nothing: this plan loses no data of it"
        ));
    }
    let report = report::planned(subject, set, &all, policy.as_deref());
    let part = |plan| Part {
        report,
        made: MadeHere::ChangeSet {
            id: set.id.clone(),
            plan,
        },
    };
    if subject.look {
        return Ok(part(None));
    }
    let template = client.template_of(&set.id).await;
    let template = template.map_err(|error| left(error, set))?;
    if subject.settings.detour().is_some() && !is_same(&subject.settings.template, &template) {
        return Err(left(
            Error::refused("CloudFormation holds another template than the one that was sent")
                .hint("find out in CloudTrail who writes to the bucket for templates"),
            set,
        ));
    }
    let id = plan_id(set, &template).parse();
    let id = id.map_err(|_| Error::failed("the hash of a plan is not an ID"))?;
    Ok(part(Some(id)))
}

/// The error of a plan that was made and could not be judged or named.
fn left(error: Error, set: &ChangeSet) -> Error {
    error.hint(left_hint(set))
}

fn left_hint(set: &ChangeSet) -> String {
    format!(
        "the change set {} is left behind; delete it: aws cloudformation delete-change-set --change-set-name {}",
        set.name, set.id
    )
}

fn purpose(look: bool) -> Purpose {
    match look {
        true => Purpose::Read,
        false => Purpose::Deploy,
    }
}

/// Returns true if two texts are one template, whatever the ends of their lines.
fn is_same(sent: &str, held: &str) -> bool {
    sent.lines().eq(held.lines())
}

/// The role that CloudFormation assumes is one of the stack's own account.
fn same_account(settings: &Settings, account: &Account) -> Result<()> {
    match &settings.role {
        Some(role) if *role.account() != account.id => Err(Error::refused(format!(
            "the role {role} is not in account {}, where the stack is",
            account.id
        ))
        .hint("name a role of that account: --role ARN, or `role` of the contract's `stack`")),
        _ => Ok(()),
    }
}

/// The environment whose gate lets a plan be applied only under a permit.
fn gated(defaults: &Defaults<WithStack>) -> Option<String> {
    let contract = &defaults.contract()?.resolved;
    contract.gate.plan.then(|| contract.environment.clone())
}

/// The text of a description, if CloudFormation keeps all of it.
fn text_of(made: &Description) -> Result<String> {
    let description = made.description();
    if description.len() <= LONGEST_DESCRIPTION {
        return Ok(description);
    }
    Err(Error::usage(
        "the plan names more resources and regions than a change set's description can hold",
    )
    .hint("replace fewer resources in one plan, or plan fewer regions"))
}

fn kept(values: &BTreeMap<String, Value>) -> Vec<String> {
    let kept = values
        .iter()
        .filter(|(_, value)| matches!(value, Value::Kept));
    kept.map(|(name, _)| name.clone()).collect()
}
