//! The contract, `delivery.yaml`: what a service is, where it goes, and who decides.

mod check;
mod declared;
mod decode;
mod diagnostics;
mod fields;
mod fill;
mod gate;
mod judged;
mod model;
mod person;
pub mod reserved;
mod resolve;
mod schema;
mod secret;
mod stack;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod variables;
mod vars;

pub use judged::Judged;
pub use model::*;
pub use schema::{SCHEMA_URL, schema};

use crate::aws::AccountId;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::paths;
use declared::{Declared, Environment, EnvironmentKey};
use diagnostics::Mistakes;
pub(crate) use diagnostics::nearest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vars::Vars;

/// More than any contract needs.
const MAX_BYTES: usize = 1 << 20;

/// A contract that was read and checked.
#[derive(Debug, Clone)]
pub struct Contract {
    path: String,
    /// Its path in the repository.
    repository_path: String,
    directory: PathBuf,
    text: String,
    declared: Declared,
}

/// Reads the contract at `path`.
///
/// # Errors
/// No such file, or every mistake in it at once, with its position (exit 2).
pub fn load(path: &Path) -> Result<Contract> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "name it with --contract FILE, or write one: https://github.com/slipway-delivery/slipway/blob/main/docs/contract.md"
            }
            _ => "--contract FILE names a file that can be read",
        };
        Error::usage(format!("cannot read the contract {shown}"))
            .because(error)
            .hint(hint)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::usage(format!("{shown} is not UTF-8")).because(error.utf8_error())
    })?;
    parse(path, &text)
}

/// Reads the contract in `text`, which is shown as `path`: one from another commit, for example.
///
/// # Errors
/// Every mistake in it at once, with its position (exit 2).
pub fn parse(path: &Path, text: &str) -> Result<Contract> {
    let shown = path.display().to_string();
    if text.len() > MAX_BYTES {
        return Err(Error::usage(format!("{shown} is larger than 1 MiB")));
    }
    let source = strip_byte_order_mark(text);
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut mistakes = Mistakes::default();
    let declared = match tree::parse(source) {
        Ok(root) => {
            mistakes.conceal(secret::possible_secrets(&root));
            decode::decode(&root, &mut mistakes)
        }
        Err(mistake) => {
            mistakes.add(mistake);
            return Err(mistakes.into_error(&format!("{shown} is wrong"), &shown, source));
        }
    };
    check::check(&declared, &mut mistakes);
    for (name, _) in &declared.environments.value.0 {
        resolve::check(&declared, &name.value.0, &directory, &mut mistakes);
    }
    if !mistakes.is_empty() {
        return Err(mistakes.into_error(&format!("{shown} is wrong"), &shown, source));
    }
    Ok(Contract {
        path: shown,
        repository_path: paths::plain(path).to_string_lossy().into_owned(),
        directory,
        text: text.to_owned(),
        declared,
    })
}

/// The text without an editor's byte order mark, which is not part of it.
fn strip_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// One environment as the contract declares it, references not followed.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Overview {
    /// The environment's name.
    pub environment: String,
    /// The previous environment.
    pub follows: Option<String>,
    /// The account, or the `var:NAME` that gives it.
    pub account: String,
    /// The region, or the `var:NAME` that gives it.
    pub region: String,
    /// The conditions under which a digest may be promoted to this environment.
    pub gate: Gate,
}

impl Contract {
    /// The service's name.
    pub fn service(&self) -> &str {
        &self.declared.service.value.0
    }

    /// The path it was read from.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The contract at this path in its repository; without it, at the one that it was read from.
    #[must_use]
    pub(crate) fn at(self, repository_path: String) -> Self {
        Self {
            repository_path,
            ..self
        }
    }

    /// The environments, in the order a digest walks them.
    pub fn environments(&self) -> Vec<Overview> {
        check::in_order(&self.declared)
            .into_iter()
            .map(|(name, environment)| {
                let show = |template| check::shown(template, self.service(), &name.value.0);
                Overview {
                    environment: name.value.0.clone(),
                    follows: environment
                        .follows
                        .as_ref()
                        .map(|name| name.value.0.clone()),
                    account: show(&environment.account.value.0),
                    region: show(
                        &environment
                            .region
                            .as_ref()
                            .unwrap_or(&self.declared.build.region)
                            .value
                            .0,
                    ),
                    gate: gate::gate(environment),
                }
            })
            .collect()
    }

    /// One environment, with defaults filled in and references followed, but without what only an
    /// infrastructure run needs: a step that deploys a service asks for no state's bucket.
    ///
    /// # Errors
    /// No such environment, or a reference that leads nowhere (exit 2).
    pub fn resolve(&self, environment: &str, env: &Env) -> Result<Resolved> {
        let mut resolved = self.resolved(environment, env, resolve::resolve)?;
        self.name(&mut resolved);
        Ok(resolved)
    }

    /// One environment with what an infrastructure run by Terraform needs.
    ///
    /// # Errors
    /// No such environment, or a reference that leads nowhere (exit 2).
    pub fn resolve_all(&self, environment: &str, env: &Env) -> Result<Complete> {
        let mut complete = self.resolved(environment, env, resolve::complete)?;
        self.name(&mut complete.resolved);
        Ok(complete)
    }

    /// One environment with everything that the contract declares for it.
    ///
    /// # Errors
    /// No such environment, or a reference that leads nowhere (exit 2).
    pub fn resolve_everything(&self, environment: &str, env: &Env) -> Result<Everything> {
        let mut everything = self.resolved(environment, env, resolve::everything)?;
        self.name(&mut everything.resolved);
        Ok(everything)
    }

    /// One environment with the stack that the contract declares for it, if it does.
    ///
    /// # Errors
    /// No such environment, or a reference that leads nowhere (exit 2).
    pub fn resolve_stack(&self, environment: &str, env: &Env) -> Result<WithStack> {
        let mut found = self.resolved(environment, env, resolve::with_stack)?;
        self.name(&mut found.resolved);
        Ok(found)
    }

    /// Adds which contract it was that was resolved.
    fn name(&self, resolved: &mut Resolved) {
        resolved.contract.clone_from(&self.text);
        resolved.contract_path.clone_from(&self.repository_path);
    }

    fn resolved<T>(
        &self,
        environment: &str,
        env: &Env,
        resolve: impl FnOnce(&Declared, &str, Option<&Vars<'_>>, &Path, &mut Mistakes) -> Option<T>,
    ) -> Result<T> {
        self.has(environment)?;
        let vars = Vars::of(env)?;
        let mut mistakes = Mistakes::default();
        let resolved = resolve(
            &self.declared,
            environment,
            Some(&vars),
            &self.directory,
            &mut mistakes,
        );
        match resolved {
            Some(resolved) if mistakes.is_empty() => Ok(resolved),
            _ => Err(mistakes.into_error(
                &format!("{} cannot be resolved for `{environment}`", self.path),
                &self.path,
                strip_byte_order_mark(&self.text),
            )),
        }
    }

    /// The rules by which the changes of one environment are judged, references not followed.
    ///
    /// # Errors
    /// No such environment (exit 2).
    pub fn judged(&self, environment: &str) -> Result<Judged> {
        let found = self.entry(environment)?;
        Ok(judged::judged(&self.declared, found, self))
    }

    /// Every value of the contract as it is written, by where it stands: `environments.dev.account`.
    pub fn written(&self) -> BTreeMap<String, String> {
        tree::parse(strip_byte_order_mark(&self.text))
            .map_or_else(|_| BTreeMap::new(), |it| it.values())
    }

    /// Makes sure that the contract has this environment.
    ///
    /// # Errors
    /// It has not (exit 2).
    pub fn has(&self, environment: &str) -> Result<()> {
        self.entry(environment).map(|_| ())
    }

    fn entry(&self, environment: &str) -> Result<&(EnvironmentKey, Environment)> {
        let all = &self.declared.environments.value.0;
        if let Some(found) = all.iter().find(|(name, _)| name.value.0 == environment) {
            return Ok(found);
        }
        let names: Vec<&str> = all.iter().map(|(name, _)| name.value.0.as_str()).collect();
        let hint = match nearest(environment, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("its environments are {}", names.join(", ")),
        };
        Err(Error::usage(format!("{} has no environment `{environment}`", self.path)).hint(hint))
    }

    /// The settings for publishing an image; no environment's references are followed.
    ///
    /// # Errors
    /// A reference that leads nowhere (exit 2).
    pub fn publishing(&self, env: &Env) -> Result<Publishing> {
        let vars = Vars::of(env)?;
        let mut mistakes = Mistakes::default();
        match resolve::publishing(&self.declared, &vars, &mut mistakes) {
            Some(publishing) if mistakes.is_empty() => Ok(publishing),
            _ => Err(mistakes.into_error(
                &format!("{} does not say where to publish", self.path),
                &self.path,
                strip_byte_order_mark(&self.text),
            )),
        }
    }

    /// The account of every environment, in the order a digest walks them.
    ///
    /// # Errors
    /// A reference that leads nowhere (exit 2); every environment concerned is named.
    pub fn accounts(&self, env: &Env) -> Result<Vec<AccountId>> {
        let vars = Vars::of(env)?;
        let mut mistakes = Mistakes::default();
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for environment in check::in_order(&self.declared) {
            match resolve::account(&self.declared, environment, &vars, &mut mistakes) {
                Some(account) => known.push(account),
                None => unknown.push(environment.0.value.0.as_str()),
            }
        }
        if unknown.is_empty() {
            return Ok(known);
        }
        Err(mistakes.into_error(
            &format!("{} gives no account for {}", self.path, unknown.join(", ")),
            &self.path,
            strip_byte_order_mark(&self.text),
        ))
    }
}
