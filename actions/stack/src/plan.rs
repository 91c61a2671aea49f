//! The verb `plan`: observe the stack and the template, make a change set, judge it, and name it by an ID.

use crate::args;
use crate::bucket::Bucket;
use crate::changes::ordered;
use crate::client::{Client, Creation, Source, Value, is_code};
use crate::identity::{
    LONGEST_DESCRIPTION, Made as Description, PREFIX, PULL_PREFIX, empty_plan_id, plan_id,
};
use crate::inputs::{missing_capabilities, parameters};
use crate::judge::judge;
use crate::locate::{self, Found};
use crate::make::{Made, make};
use crate::progress::Progress;
use crate::readable::declared_readable;
use crate::report::plan::{self as report, Subject};
use crate::seen::{ChangeSet, Template};
use crate::settings::{Settings, protection, settings};
use crate::standing::{Kind, standing};
use kit::contract::WithStack;
use kit::error::{Error, ErrorKind, Result};
use kit::{Cx, Defaults, Report};
use net::{Account, Purpose};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Plans. One that only shows something (`look`) is made by the role that reads, and is gone when this ends.
///
/// # Errors
/// Bad input, a stack that cannot be changed, or changes that nobody allowed (exit 3).
pub(crate) async fn plan(
    args: args::Plan,
    cx: &Cx,
    progress: &RefCell<Progress>,
    look: bool,
) -> Result<Report> {
    let defaults = cx.defaults_stack()?;
    let name = locate::name(&defaults, &args.stack)?;
    let mut settings = settings(cx, &defaults, &args, look)?;
    let protection = protection(&defaults)?;
    let Found {
        account,
        client,
        name,
    } = locate::find(cx, &defaults, name, purpose(look)).await?;
    same_account(&settings, &account)?;
    let stack = client.stack(&name).await?;
    let arguments = args.stack.arguments(cx);
    let kind = standing(stack.as_ref(), &arguments).map_err(|error| *error)?;
    // A stack that was only ever planned has nothing that could be kept or compared.
    let current = stack.as_ref().filter(|_| kind == Kind::Update);
    let source = source(cx, &account, &settings, look).await?;
    let template = template(&client, &source).await?;
    acknowledged(&template, &settings)?;
    // A stack that was only ever planned can have a role too, which CloudFormation uses where the change set names none.
    let kept_role = stack.as_ref().and_then(|stack| stack.role.clone());
    let description = Description {
        commit: locate::commit(args.commit.as_ref(), cx),
        kept_role: kept_role.filter(|_| settings.role.is_none()),
        role: settings.role.as_ref().map(String::from),
        protects: protection.protects(),
        allow_replace: settings.allow_replace.clone(),
        readable: declared_readable(&template, current),
    };
    let made_as = description.clone();
    let description = text_of(&description)?;
    if look {
        settings.keep_unset(&template, current);
    }
    let values = parameters(&template, &settings.given, current).map_err(|error| *error)?;
    let prefix = if look { PULL_PREFIX } else { PREFIX };
    let change_set_name = format!("{prefix}{}", uuid::Uuid::new_v4());
    let capabilities: Vec<&'static str> = settings
        .capabilities
        .iter()
        .map(|one| one.as_str())
        .collect();
    let wanted = Creation {
        stack: &name,
        name: &change_set_name,
        kind,
        template: &source,
        parameters: &values,
        tags: &settings.tags,
        capabilities: &capabilities,
        // The role that reads may pass none, and nothing is executed with it.
        role: settings.role.as_ref().filter(|_| !look),
        description: &description,
    };
    progress.replace(Progress::Planning(change_set_name.clone()));
    let made = make(cx, &client, &wanted).await?;
    let subject = Subject {
        account: &account,
        name: &name,
        arguments,
        gate: gated(&defaults),
        stack: current,
        protection: &protection,
        settings: &settings,
        made: &made_as,
        kept: kept(&values),
        look,
    };
    match made {
        Made::Changes(set) => changed(cx, &client, &subject, &set).await,
        Made::Nothing => {
            let Some(stack) = client.stack(&name).await? else {
                return Err(
                    Error::failed(format!("the stack {name} was deleted meanwhile"))
                        .hint("find out who deleted it, and plan again"),
                );
            };
            standing(Some(&stack), &subject.arguments).map_err(|error| *error)?;
            let policy = client.policy(&stack.id).await?;
            let id = (!look).then(|| empty_plan_id(&stack, &protection.protects()));
            Ok(report::unchanged(
                &subject,
                &stack,
                policy.as_deref(),
                id.as_deref(),
            ))
        }
    }
}

/// The report of a change set, unless it changes what nobody allowed. Then it is deleted, so that nobody can execute it.
async fn changed(
    cx: &Cx,
    client: &Client,
    subject: &Subject<'_>,
    set: &ChangeSet,
) -> Result<Report> {
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
    if subject.look {
        return Ok(report::planned(subject, set, &all, policy.as_deref(), None));
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
    let id = plan_id(set, &template);
    Ok(report::planned(
        subject,
        set,
        &all,
        policy.as_deref(),
        Some(&id),
    ))
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

/// The template as it goes to CloudFormation: in the request, or through the bucket.
async fn source(cx: &Cx, account: &Account, settings: &Settings, look: bool) -> Result<Source> {
    let text = &settings.template;
    let Some(name) = settings.detour() else {
        return Ok(Source::Body(text.clone()));
    };
    let bucket = Bucket::new(cx, account, name, look);
    let key = bucket.keep(".template", text.as_bytes()).await?;
    cx.host.info(format!(
        "the template has {} bytes, so CloudFormation reads it from s3://{name}/{key}",
        text.len()
    ));
    Ok(Source::Url(bucket.url(&key)))
}

/// The parameters and capabilities that the template asks for.
async fn template(client: &Client, source: &Source) -> Result<Template> {
    client.template(source).await.map_err(|error| {
        if !is_code(&error, &["ValidationError"]) {
            return error;
        }
        let mut wrong = error.under("CloudFormation does not accept the template");
        wrong.kind = ErrorKind::Usage;
        wrong
    })
}

fn acknowledged(template: &Template, settings: &Settings) -> Result<()> {
    let missing = missing_capabilities(template, &settings.capabilities);
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|one| one.as_str()).collect();
    let flags: Vec<String> = names
        .iter()
        .map(|name| format!("--capability {name}"))
        .collect();
    let mut error = Error::usage(format!(
        "the template needs {}, which is not acknowledged",
        names.join(" and ")
    ));
    if let Some(reason) = &template.capabilities_reason {
        error = error.cause(reason.clone());
    }
    Err(error.hint(format!(
        "acknowledge it: {}, or `capabilities: [{}]` of the contract's `stack`",
        flags.join(" "),
        names.join(", ")
    )))
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
    Err(
        Error::usage("--allow-replace names more resources than one plan can hold")
            .hint("replace them in several plans"),
    )
}

fn kept(values: &BTreeMap<String, Value>) -> Vec<String> {
    let kept = values
        .iter()
        .filter(|(_, value)| matches!(value, Value::Kept));
    kept.map(|(name, _)| name.clone()).collect()
}
