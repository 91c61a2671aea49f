//! Everything that a stack is planned with: from arguments, else from the contract, with the files that they name.

use crate::args::{self, names};
use crate::assembly::Assembly;
use crate::files::{LARGEST_IN_REQUEST, read};
use crate::identity::Protects;
use crate::inputs::Given;
use crate::locate::{declared, located};
use crate::policy::Policy;
use crate::seen::{Stack, Template};
use crate::template::{Named, named};
use kit::aws::RoleArn;
use kit::contract::{Capability, WithStack};
use kit::error::{Error, Result};
use kit::{Cx, Defaults, Secret};
use std::collections::BTreeMap;

/// The largest stack policy (CloudFormation API Reference, SetStackPolicy).
const LARGEST_POLICY: usize = 16_384;

/// The settings that a change set is made from.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) template: String,
    /// The cloud assembly that the template is still to be taken from.
    pub(crate) assembly: Option<Assembly>,
    /// Further lines that a plan shows.
    pub(crate) notes: Vec<String>,
    /// The bucket for a template that does not fit into a request; always there if this one does not.
    pub(crate) bucket: Option<String>,
    pub(crate) given: Given,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) role: Option<RoleArn>,
    pub(crate) allow_replace: Vec<String>,
    /// The parameters whose secret is optional and whose variable is not set, with that variable.
    pub(crate) unset: BTreeMap<String, String>,
}

impl Settings {
    /// The bucket that the template has to go through, if it does not fit into a request.
    pub(crate) fn detour(&self) -> Option<&str> {
        let bucket = self.bucket.as_deref();
        bucket.filter(|_| self.template.len() > LARGEST_IN_REQUEST)
    }

    /// Keeps the stack's values of the secrets that are not there, for a plan that is only shown.
    pub(crate) fn keep_unset(&mut self, template: &Template, stack: Option<&Stack>) {
        let has = |name: &String| stack.is_some_and(|stack| stack.parameters.contains_key(name));
        let hidden = template.parameters.iter().filter(|it| it.no_echo);
        for name in hidden.map(|it| &it.name).filter(|name| has(name)) {
            if self.unset.remove(name).is_some() {
                self.given.kept.push(name.clone());
            }
        }
    }
}

/// The wanted protection of the stack.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protection {
    /// `None`: it stays as it is.
    pub(crate) termination: Option<bool>,
    /// The text of the stack policy. `None`: it stays as it is.
    pub(crate) policy: Option<String>,
}

impl Protection {
    /// The same, as a plan states it.
    pub(crate) fn protects(&self) -> Protects {
        let policy = self.policy.as_deref();
        Protects {
            termination: self.termination,
            policy: policy.map(|text| ledger::sha256(text.as_bytes())),
        }
    }

    /// Returns true if it leaves the stack as it is.
    pub(crate) fn is_nothing(&self) -> bool {
        self.termination.is_none() && self.policy.is_none()
    }
}

/// Reads the settings of a plan. Secrets are masked in the log before anything else is done with them. A plan that only shows
/// something (`look`) does without those that are not there: a pull request has none.
///
/// # Errors
/// An argument, a file or a variable is missing or wrong (exit 2).
pub(crate) fn settings(
    cx: &Cx,
    defaults: &Defaults<WithStack>,
    args: &args::Plan,
    look: bool,
) -> Result<Settings> {
    let stack = declared(defaults);
    let bucket = args
        .bucket
        .clone()
        .or_else(|| stack.and_then(|stack| stack.bucket.clone()));
    let (template, assembly) = match named(defaults, args, bucket.is_some())? {
        Named::File(text) => (text, None),
        // Its template is that of a stack in each region.
        Named::Assembly(assembly) => (String::new(), Some(assembly)),
    };
    let plain = pairs("parameter", &args.parameter)?;
    let mut unset = BTreeMap::new();
    let mut secret = secrets(
        cx,
        &pairs("secret-parameter", &args.secret_parameter)?,
        |_| !look,
        &mut unset,
    )?;
    let kept = names(&args.keep_parameter);
    let mut given_plain = BTreeMap::new();
    if let Some(stack) = stack {
        let replaced = |name: &String| {
            plain.contains_key(name)
                || args_name(&args.secret_parameter, name)
                || kept.contains(name)
        };
        let contract = stack.parameters.iter().filter(|(name, _)| !replaced(name));
        given_plain.extend(contract.map(|(name, value)| (name.clone(), value.clone())));
        let variables: BTreeMap<String, String> = stack
            .secret_parameters
            .iter()
            .filter(|(name, _)| !replaced(name))
            .map(|(name, variable)| (name.clone(), variable.clone()))
            .collect();
        let specs = defaults
            .contract()
            .map(|contract| contract.resolved.secrets.as_slice());
        let required = |variable: &str| {
            let mut specs = specs.into_iter().flatten();
            !look && specs.any(|spec| spec.name == variable && spec.required)
        };
        secret.extend(secrets(cx, &variables, required, &mut unset)?);
    }
    given_plain.extend(plain);
    let mut tags = stack.map(|stack| stack.tags.clone()).unwrap_or_default();
    tags.extend(pairs("tag", &args.tag)?);
    let given: Vec<Capability> = args.capability.iter().flatten().copied().collect();
    let declared_capabilities = || {
        stack
            .map(|stack| stack.capabilities.clone())
            .unwrap_or_default()
    };
    let capabilities = if given.is_empty() {
        declared_capabilities()
    } else {
        given
    };
    let role = args
        .role
        .as_ref()
        .or_else(|| stack.and_then(|stack| stack.role.as_ref()));
    Ok(Settings {
        template,
        assembly,
        notes: Vec::new(),
        bucket,
        given: Given {
            plain: given_plain,
            secret,
            kept,
        },
        tags,
        capabilities,
        role: role.cloned(),
        allow_replace: names(&args.allow_replace),
        unset,
    })
}

/// Reads what is to protect the stack, which only the contract declares: a plan names it by its hash, and `apply` has to find
/// the same again.
///
/// # Errors
/// The policy's file cannot be read, or is not a stack policy (exit 2).
pub(crate) fn protection(defaults: &Defaults<WithStack>) -> Result<Protection> {
    let stack = declared(defaults);
    let policy = located(defaults, None, |stack| stack.policy.as_deref());
    let policy = match policy {
        None => None,
        Some(path) => {
            let text = read(&path, "stack policy")?;
            if text.len() > LARGEST_POLICY {
                return Err(Error::usage(format!(
                    "the stack policy {} has {} bytes; CloudFormation takes {LARGEST_POLICY}",
                    path.display(),
                    text.len()
                ))
                .hint("name resources by patterns, such as LogicalResourceId/Table*"));
            }
            Policy::parse(&text).map_err(|problem| {
                Error::usage(format!("{} is not a stack policy: {problem}", path.display()))
                    .hint("its form: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html")
            })?;
            Some(text)
        }
    };
    Ok(Protection {
        termination: stack.and_then(|stack| stack.termination_protection),
        policy,
    })
}

/// The arguments of the form NAME=VALUE, by name.
fn pairs(argument: &str, lines: &[String]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    // An empty line of a workflow's input gives nothing.
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
        else {
            // The line may be a value whose name was forgotten.
            return Err(
                Error::usage(format!("--{argument} has no name before a `=`"))
                    .hint(format!("write --{argument} NAME=…")),
            );
        };
        let name = name.trim().to_owned();
        if all.contains_key(&name) {
            return Err(Error::usage(format!("--{argument} {name} is given twice")));
        }
        all.insert(name, value.to_owned());
    }
    Ok(all)
}

fn args_name(lines: &[String], name: &str) -> bool {
    let mut names = lines.iter().filter_map(|line| line.split_once('='));
    names.any(|(found, _)| found.trim() == name)
}

/// The values of variables, by parameter. One that is not required and not set is added to `unset`.
fn secrets(
    cx: &Cx,
    variables: &BTreeMap<String, String>,
    required: impl Fn(&str) -> bool,
    unset: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<String, Secret>> {
    let mut secrets = BTreeMap::new();
    for (parameter, variable) in variables {
        match cx.env.get(variable) {
            Some(value) => {
                let secret = Secret::new(value.to_owned());
                cx.host.mask(variable, &secret);
                secrets.insert(parameter.clone(), secret);
            }
            None if required(variable) => {
                return Err(Error::usage(format!(
                    "the variable {variable}, which holds the parameter {parameter}, is not set"
                ))
                .hint("let slipway-secrets set it: slipway-secrets exec --environment NAME -- slipway-stack plan …"));
            }
            None => {
                unset.insert(parameter.clone(), variable.clone());
            }
        }
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_by_name() {
        let lines = |all: &[&str]| {
            all.iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
        };
        let read = pairs("tag", &lines(&[" a = b=c", "", "empty="])).unwrap();
        let wanted =
            [("a", " b=c"), ("empty", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, wanted.into());
        for (given, message) in [
            (&["hunter2"][..], "--tag has no name before a `=`"),
            (&["=hunter2"], "--tag has no name before a `=`"),
            (&["a=1", "a=hunter2"], "--tag a is given twice"),
        ] {
            let error = pairs("tag", &lines(given)).unwrap_err();
            assert_eq!(error.message, message);
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
