//! One environment with defaults filled in and references followed. The same code looks at every
//! environment when a contract is read, then without following references, so that what is
//! written in the file is checked before anybody asks for an environment.

mod stack;
mod state;

use super::declared::{Declared, Environment, EnvironmentKey, Variable};
use super::diagnostics::{At, Mistake, Mistakes};
use super::fill::Filler;
use super::model::{
    Anchor, Build, Complete, Deploy, Everything, Function, Image, Keys, Publishing, Resolved,
    Roles, SecretSpec, WithStack,
};
use super::person;
use super::secret::{SecretEntry, wrong_name};
use super::template::{PerEnvironment, Templated};
use super::variables;
use super::vars::Vars;
use crate::aws::{AccountId, Region, RoleArn};
use crate::paths;
use state::BUCKET;
pub(super) use state::infrastructure;
use std::collections::BTreeMap;
use std::path::Path;

/// The prefix of keys, between their slashes.
const PREFIX: &str = "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$";
const TABLE: &str = "^[A-Za-z0-9_.-]{3,255}$";
const REPOSITORY: &str = "^[a-z0-9]+([._/-][a-z0-9]+)*$";
const ECS_NAME: &str = "^[A-Za-z0-9_-]{1,255}$";
/// A function's name (AWS Lambda API Reference, "CreateFunction").
const FUNCTION_NAME: &str = "^[A-Za-z0-9_-]{1,64}$";
/// An alias' name, which is not a number (AWS Lambda API Reference, "CreateAlias").
const ALIAS_NAME: &str = "^[0-9]*[A-Za-z_-][A-Za-z0-9_-]*$";

/// Resolves the environment `name`. There is no result if something is wrong, or unknown because
/// references are not followed.
pub(super) fn resolve(
    declared: &Declared,
    name: &str,
    vars: Option<&Vars<'_>>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<Resolved> {
    Resolver::new(declared, name, vars, mistakes)?.run(directory)
}

/// The same, with what an infrastructure run needs.
pub(super) fn complete(
    declared: &Declared,
    name: &str,
    vars: Option<&Vars<'_>>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<Complete> {
    let mut resolver = Resolver::new(declared, name, vars, mistakes)?;
    let resolved = resolver.run(directory);
    let account = resolved.as_ref().map(|resolved| resolved.account.clone());
    let region = resolved.as_ref().map(|resolved| resolved.region.clone());
    let state = resolver.state(account.as_ref(), region.as_ref());
    let variables = resolver.variables();
    Some(Complete {
        resolved: resolved?,
        state: state?,
        variables: variables?,
    })
}

/// The same as [`resolve`], with the stack.
pub(super) fn with_stack(
    declared: &Declared,
    name: &str,
    vars: Option<&Vars<'_>>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<WithStack> {
    let mut resolver = Resolver::new(declared, name, vars, mistakes)?;
    let resolved = resolver.run(directory);
    let account = resolved.as_ref().map(|resolved| resolved.account.clone());
    let region = resolved.as_ref().map(|resolved| resolved.region.clone());
    let stack = resolver.stack(account.as_ref(), region.as_ref());
    Some(WithStack {
        resolved: resolved?,
        stack: stack?,
    })
}

/// The same as [`resolve`], with all of its infrastructure. Terraform's state has defaults, so a contract that declares a stack and nothing
/// of a state has none.
pub(super) fn everything(
    declared: &Declared,
    name: &str,
    vars: Option<&Vars<'_>>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<Everything> {
    let mut resolver = Resolver::new(declared, name, vars, mistakes)?;
    let resolved = resolver.run(directory);
    let account = resolved.as_ref().map(|resolved| resolved.account.clone());
    let region = resolved.as_ref().map(|resolved| resolved.region.clone());
    let stack = resolver.stack(account.as_ref(), region.as_ref());
    let stack_alone = (resolver.environment.stack.is_some() || declared.stack.is_some())
        && resolver.environment.state.is_none()
        && declared.state.is_none();
    let state = match stack_alone {
        true => Some(None),
        false => resolver.state(account.as_ref(), region.as_ref()).map(Some),
    };
    let variables = resolver.variables();
    Some(Everything {
        resolved: resolved?,
        state: state?,
        variables: variables?,
        stack: stack?,
    })
}

/// Looks at everything that an environment declares, without following references, for the mistakes in it.
pub(super) fn check(declared: &Declared, name: &str, directory: &Path, mistakes: &mut Mistakes) {
    let Some(mut resolver) = Resolver::new(declared, name, None, mistakes) else {
        return;
    };
    let resolved = resolver.run(directory);
    let account = resolved.as_ref().map(|resolved| resolved.account.clone());
    let region = resolved.as_ref().map(|resolved| resolved.region.clone());
    resolver.state(account.as_ref(), region.as_ref());
    resolver.variables();
    resolver.stack(account.as_ref(), region.as_ref());
}

/// The settings that publishing needs, which all environments share.
pub(super) fn publishing(
    declared: &Declared,
    vars: &Vars<'_>,
    mistakes: &mut Mistakes,
) -> Option<Publishing> {
    // Nothing of this may name an environment in a placeholder, so any of them stands for all.
    let (name, environment) = declared.environments.value.0.first()?;
    let mut resolver = Resolver {
        declared,
        environment,
        fill: Filler::new(&declared.service.value.0, name, Some(vars), mistakes),
    };
    let account = resolver.fill.account(&declared.build.account, false);
    let region = resolver.fill.region(&declared.build.region, false);
    let build = resolver.build(account, region);
    let image = resolver.image();
    Some(Publishing {
        build: build?,
        image: image?,
        allow_long_lived_keys: allow_long_lived_keys(declared),
    })
}

/// The account of one environment.
pub(super) fn account(
    declared: &Declared,
    (name, environment): &(EnvironmentKey, Environment),
    vars: &Vars<'_>,
    mistakes: &mut Mistakes,
) -> Option<AccountId> {
    Filler::new(&declared.service.value.0, name, Some(vars), mistakes)
        .account(&environment.account, true)
}

struct Resolver<'a> {
    declared: &'a Declared,
    environment: &'a Environment,
    fill: Filler<'a>,
}

impl<'a> Resolver<'a> {
    fn new(
        declared: &'a Declared,
        name: &str,
        vars: Option<&'a Vars<'a>>,
        mistakes: &'a mut Mistakes,
    ) -> Option<Self> {
        let all = &declared.environments.value.0;
        let (name, environment) = all.iter().find(|(found, _)| found.value.0 == name)?;
        Some(Self {
            declared,
            environment,
            fill: Filler::new(&declared.service.value.0, name, vars, mistakes),
        })
    }

    fn run(&mut self, directory: &Path) -> Option<Resolved> {
        let (declared, environment) = (self.declared, self.environment);
        let build_account = self.fill.account(&declared.build.account, false);
        let build_region = self.fill.region(&declared.build.region, false);
        let account = self.fill.account(&environment.account, true);
        let region = match &environment.region {
            Some(region) => self.fill.region(region, true),
            None => build_region.clone(),
        };
        self.fill.account = account.as_ref().map(ToString::to_string);
        self.fill.region = region.as_ref().map(ToString::to_string);

        let permit = self.permit(build_account.as_ref(), build_region.as_ref());
        let build = self.build(build_account, build_region);
        let roles = self.roles(account.as_ref(), region.as_ref());
        let image = self.image();
        let deploy = self.deploy();
        let secrets = self.secrets();
        Some(Resolved {
            service: declared.service.value.0.clone(),
            environment: self.fill.environment().to_owned(),
            // The one who read the contract has its text and its path.
            contract: String::new(),
            contract_path: String::new(),
            moved_from: moved_from(declared),
            directory: directory.to_owned(),
            follows: environment
                .follows
                .as_ref()
                .map(|name| name.value.0.clone()),
            account: account?,
            region: region?,
            roles: roles?,
            permit: permit?,
            build: build?,
            image: image?,
            infrastructure: infrastructure(declared, environment),
            deploy: deploy?,
            gate: super::gate::gate(environment),
            secrets: secrets?,
            people: person::people(declared),
            apps: person::apps(declared),
            allow_long_lived_keys: allow_long_lived_keys(declared),
        })
    }

    fn build(&mut self, account: Option<AccountId>, region: Option<Region>) -> Option<Build> {
        let build = &self.declared.build;
        let roles = build.roles.clone().unwrap_or_default();
        let ledger = self.fill.text(
            build.ledger.as_ref(),
            "slipway-ledger",
            "build.ledger",
            false,
        );
        let ledger = self.fill.checked(ledger, TABLE, "table name");
        let read = self.fill.text(
            roles.read.as_ref(),
            "slipway-read",
            "build.roles.read",
            false,
        );
        let read = self.fill.role(read, account.as_ref(), region.as_ref());
        let publish = self.fill.text(
            roles.publish.as_ref(),
            "slipway-publish",
            "build.roles.publish",
            false,
        );
        let publish = self.fill.role(publish, account.as_ref(), region.as_ref());
        let keys = self.keys(account.as_ref(), region.as_ref());
        let anchor = self.anchor();
        let workflow = build.workflow.as_ref().map(|path| path.value.0.clone());
        let project = build.project.as_ref().map(|name| name.value.0.clone());
        Some(Build {
            account: account?,
            region: region?,
            read: read?,
            publish: publish?,
            ledger: ledger?,
            keys: keys?,
            anchor: anchor?,
            workflow,
            project,
            prebuilt: build
                .prebuilt
                .as_ref()
                .is_some_and(|accepted| accepted.value),
        })
    }

    /// The keys of the build account; `None` if one is wrong.
    fn keys(&mut self, account: Option<&AccountId>, region: Option<&Region>) -> Option<Keys> {
        let keys = self.declared.build.keys.clone().unwrap_or_default();
        let mut key = |key: &Option<_>| match key {
            Some(key) => self.fill.key(key, account, region).map(Some),
            None => Some(None),
        };
        let (ledger, provenance) = (key(&keys.ledger), key(&keys.provenance));
        Some(Keys {
            ledger: ledger?,
            provenance: provenance?,
        })
    }

    /// The ledger's anchor, if one is declared; `None` if it is wrong.
    fn anchor(&mut self) -> Option<Option<Anchor>> {
        let Some(anchor) = &self.declared.build.anchor else {
            return Some(None);
        };
        let bucket = self.fill.given(&anchor.bucket, false);
        let bucket = self.fill.checked(bucket, BUCKET, "bucket name");
        let prefix = match &anchor.prefix {
            Some(prefix) => {
                let prefix = self.fill.given(prefix, false);
                self.fill.checked(prefix, PREFIX, "key prefix")
            }
            None => Some(String::new()),
        };
        Some(Some(Anchor {
            bucket: bucket?,
            prefix: prefix?,
        }))
    }

    /// The role that appends to the environment's chain; it belongs to the build account, where the ledger is.
    fn permit(&mut self, account: Option<&AccountId>, region: Option<&Region>) -> Option<RoleArn> {
        let roles = self.declared.build.roles.clone().unwrap_or_default();
        let permit = self.fill.text(
            roles.permit.as_ref(),
            "slipway-permit-{environment}",
            "build.roles.permit",
            true,
        );
        self.fill.role(permit, account, region)
    }

    fn roles(&mut self, account: Option<&AccountId>, region: Option<&Region>) -> Option<Roles> {
        let roles = self.environment.roles.clone().unwrap_or_default();
        let read = self
            .fill
            .text(roles.read.as_ref(), "slipway-read", "roles.read", true);
        let read = self.fill.role(read, account, region);
        let deploy = self.fill.text(
            roles.deploy.as_ref(),
            "slipway-deploy",
            "roles.deploy",
            true,
        );
        let deploy = self.fill.role(deploy, account, region);
        Some(Roles {
            read: read?,
            deploy: deploy?,
        })
    }

    fn image(&mut self) -> Option<Image> {
        let image = self.declared.image.clone().unwrap_or_default();
        let repository = self.fill.text(
            image.repository.as_ref(),
            "{service}",
            "image.repository",
            false,
        );
        let repository = self.fill.checked(repository, REPOSITORY, "repository name");
        let context = image
            .context
            .map_or_else(|| ".".to_owned(), |path| path.value.0);
        // As Docker itself looks for it.
        let dockerfile = image.dockerfile.map_or_else(
            || match context.trim_end_matches('/') {
                "." => "Dockerfile".to_owned(),
                context => format!("{context}/Dockerfile"),
            },
            |path| path.value.0,
        );
        Some(Image {
            repository: repository?,
            context,
            dockerfile,
            platforms: image
                .platforms
                .into_iter()
                .flatten()
                .map(|platform| platform.value.0)
                .collect(),
        })
    }

    fn deploy(&mut self) -> Option<Deploy> {
        let own = self.environment.deploy.clone().unwrap_or_default();
        let top = self.declared.deploy.clone().unwrap_or_default();
        let cluster = own.cluster.or(top.cluster);
        let cluster = self.fill.text(
            cluster.as_ref(),
            "{service}-{environment}",
            "deploy.cluster",
            true,
        );
        let cluster = self.fill.checked(cluster, ECS_NAME, "cluster name");
        let service = own.service.or(top.service);
        let service = self
            .fill
            .text(service.as_ref(), "{service}", "deploy.service", true);
        let service = self.fill.checked(service, ECS_NAME, "ECS service name");
        let container = own.container.or(top.container);
        let container = self
            .fill
            .text(container.as_ref(), "{service}", "deploy.container", true);
        let container = self.fill.checked(container, ECS_NAME, "container name");
        let (name, alias) = (own.function.or(top.function), own.alias.or(top.alias));
        let function = match name {
            Some(name) => Some(self.function(&name, alias.as_ref())?),
            None => None,
        };
        Some(Deploy {
            cluster: cluster?,
            service: service?,
            container: container?,
            function,
        })
    }

    fn function(
        &mut self,
        name: &At<Templated<PerEnvironment>>,
        alias: Option<&At<Templated<PerEnvironment>>>,
    ) -> Option<Function> {
        let name = self.fill.text(Some(name), "", "deploy.function", true);
        let name = self.fill.checked(name, FUNCTION_NAME, "function name");
        let alias = self.fill.text(alias, "live", "deploy.alias", true);
        let alias = self.fill.checked(alias, ALIAS_NAME, "alias name");
        Some(Function {
            name: name?,
            alias: alias?,
        })
    }

    fn variables(&mut self) -> Option<BTreeMap<String, String>> {
        let mut values = Some(BTreeMap::new());
        for (name, variable) in self.declared.variables.iter().flat_map(|all| &all.0) {
            let value = self.variable(variable);
            match (value, &mut values) {
                (Some(value), Some(values)) => drop(values.insert(name.value.0.clone(), value)),
                _ => values = None,
            }
        }
        values
    }

    /// The first candidate that has a value, checked against the type.
    fn variable(&mut self, variable: &Variable) -> Option<String> {
        let candidates: Vec<_> = variable.candidates(self.fill.environment()).collect();
        let mut unset = None;
        for candidate in candidates {
            let Some(value) = self.fill.look(candidate, true) else {
                unset = unset.or(Some(candidate));
                continue;
            };
            let Some((wrong, rule)) = variables::wrong(variable, &value.text) else {
                return Some(value.text);
            };
            self.fill
                .mistakes
                .add(Mistake::new(value.span.clone(), value.message(&wrong)).hint(rule));
            return None;
        }
        self.fill.unset(unset?, true);
        None
    }

    fn secrets(&mut self) -> Option<Vec<SecretSpec>> {
        let mut specs = Some(Vec::new());
        for (name, entry) in self.declared.secrets.iter().flat_map(|all| &all.0) {
            match (self.secret(&name.value.0, entry), &mut specs) {
                (Some(spec), Some(specs)) => specs.push(spec),
                _ => specs = None,
            }
        }
        specs
    }

    fn secret(&mut self, name: &str, entry: &SecretEntry) -> Option<SecretSpec> {
        let from = &entry.0.from;
        let source = from.value.resolve(|pieces| self.fill.pieces(pieces))?;
        if let Some(rule) = wrong_name(&source) {
            self.fill.mistakes.add(
                Mistake::new(from.span.clone(), "nothing in AWS can have this name").hint(rule),
            );
            return None;
        }
        Some(SecretSpec {
            name: name.to_owned(),
            source,
            sinks: entry.sinks(),
            required: entry.0.required.unwrap_or(true),
        })
    }
}

/// The path that the contract had in its repository before it was moved.
pub(super) fn moved_from(declared: &Declared) -> Option<String> {
    let path = declared.moved_from.as_ref()?;
    let plain = paths::plain(Path::new(&path.value.0));
    Some(plain.to_string_lossy().into_owned())
}

fn allow_long_lived_keys(declared: &Declared) -> Vec<String> {
    declared
        .allow_long_lived_keys
        .iter()
        .flatten()
        .map(|key| key.value.0.clone())
        .collect()
}
