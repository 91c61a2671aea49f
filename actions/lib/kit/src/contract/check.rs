//! The rules between the parts of a contract: the chain of environments, and that no two environments
//! share a state, a service or a permit role.

use super::declared::{Declared, Environment, EnvironmentKey, Type, Variable};
use super::diagnostics::{At, Mistake, Mistakes, SourceSpan, nearest};
use super::model::Sink;
use super::secret::From;
use super::template::{InVariable, Piece, Placeholder, Template, Templated};
use super::variables::full_match_regex;
use super::{person, reserved};
use std::collections::BTreeMap;

/// Checks everything that needs no value from outside.
pub(super) fn check(declared: &Declared, mistakes: &mut Mistakes) {
    if declared.version.value != 1 && declared.version.span != SourceSpan::default() {
        mistakes.add(
            Mistake::new(
                declared.version.span.clone(),
                format!("version {} is not known", declared.version.value),
            )
            .hint("this Slipway reads version 1"),
        );
    }
    if let Err(error) = reserved::service(&declared.service.value.0) {
        mistakes.add(
            Mistake::new(declared.service.span.clone(), error.message.as_str())
                .hint(error.causes().concat()),
        );
    }
    for (name, _) in &declared.environments.value.0 {
        if let Err(error) = reserved::environment(&name.value.0) {
            mistakes.add(
                Mistake::new(name.span.clone(), error.message.as_str())
                    .hint(error.causes().concat()),
            );
        }
    }
    let environments = &declared.environments;
    if environments.value.0.is_empty() && environments.span != SourceSpan::default() {
        mistakes.add(
            Mistake::new(environments.span.clone(), "there is no environment")
                .hint("a service is delivered to at least one"),
        );
    }
    chain(declared, mistakes);
    for (name, variable) in declared.variables.iter().flat_map(|all| &all.0) {
        check_variable(declared, &name.value.0, &name.span, variable, mistakes);
    }
    secrets(declared, mistakes);
    check_functions(declared, mistakes);
    check_shared_targets(declared, mistakes);
    person::check(declared, mistakes);
    permits(declared, mistakes);
    super::stack::check(declared, mistakes);
    for (_, environment) in &declared.environments.value.0 {
        super::gate::check(declared, environment, mistakes);
    }
}

/// The environments in the order a digest walks them.
pub(super) fn in_order(declared: &Declared) -> Vec<&(EnvironmentKey, Environment)> {
    let all = &declared.environments.value.0;
    let mut ordered = Vec::new();
    let mut pending: Vec<_> = all
        .iter()
        .filter(|(_, environment)| environment.follows.is_none())
        .rev()
        .collect();
    while let Some(entry) = pending.pop() {
        ordered.push(entry);
        let name = &entry.0.value.0;
        pending.extend(
            all.iter()
                .filter(|(_, environment)| {
                    environment
                        .follows
                        .as_ref()
                        .is_some_and(|before| before.value.0 == *name)
                })
                .rev(),
        );
    }
    ordered
}

/// The names of the environments, each once and without those that could not be read.
fn names(declared: &Declared) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &declared.environments.value.0 {
        let name = name.value.0.as_str();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn chain(declared: &Declared, mistakes: &mut Mistakes) {
    let all = &declared.environments.value.0;
    let names = names(declared);
    let before: BTreeMap<&str, &EnvironmentKey> = all
        .iter()
        .filter_map(|(name, environment)| {
            Some((name.value.0.as_str(), environment.follows.as_ref()?))
        })
        .collect();
    let mut in_circle: Vec<&str> = Vec::new();
    for (name, environment) in all {
        let Some(follows) = &environment.follows else {
            continue;
        };
        if !follows.value.0.is_empty() && !names.contains(&follows.value.0.as_str()) {
            mistakes.add(no_environment(&follows.value.0, &follows.span, &names));
        }
        let mut walked = vec![name.value.0.as_str()];
        while let Some(next) = walked.last().and_then(|last| before.get(last)) {
            if next.value.0 == name.value.0 {
                if !in_circle.contains(&walked[0]) {
                    in_circle.extend(&walked);
                    walked.push(&next.value.0);
                    mistakes.add(
                        Mistake::new(
                            follows.span.clone(),
                            format!(
                                "environments follow one another in a circle: {}",
                                walked.join(" → ")
                            ),
                        )
                        .hint("the first environment of a chain follows none"),
                    );
                }
                break;
            }
            if walked.contains(&next.value.0.as_str()) {
                break;
            }
            walked.push(&next.value.0);
        }
    }
}

fn no_environment(name: &str, span: &SourceSpan, names: &[&str]) -> Mistake {
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the environments are {}", names.join(", ")),
    };
    Mistake::new(span.clone(), format!("there is no environment `{name}`")).hint(hint)
}

impl Variable {
    /// The places that a value for `environment` may come from; the first that has one wins.
    pub(super) fn candidates(
        &self,
        environment: &str,
    ) -> impl Iterator<Item = &At<Templated<InVariable>>> {
        self.environments
            .iter()
            .flat_map(|all| &all.0)
            .filter(move |(name, _)| name.value.0 == environment)
            .map(|(_, value)| value)
            .take(1)
            .chain(&self.value)
            .chain(&self.default)
    }
}

fn check_variable(
    declared: &Declared,
    name: &str,
    span: &SourceSpan,
    variable: &Variable,
    mistakes: &mut Mistakes,
) {
    let names = names(declared);
    for (environment, _) in variable.environments.iter().flat_map(|all| &all.0) {
        let wanted = environment.value.0.as_str();
        if !wanted.is_empty() && !names.contains(&wanted) {
            mistakes.add(no_environment(wanted, &environment.span, &names));
        }
    }
    let without: Vec<&str> = names
        .into_iter()
        .filter(|environment| variable.candidates(environment).next().is_none())
        .collect();
    if !without.is_empty() {
        mistakes.add(
            Mistake::new(
                span.clone(),
                format!("`{name}` has no value for {}", without.join(", ")),
            )
            .hint("add `value:`, `default:`, or one for each under `environments:`"),
        );
    }
    if let (Some(value), Some(default)) = (&variable.value, &variable.default)
        && matches!(value.value.0, Template::Text(_))
    {
        mistakes.add(
            Mistake::new(default.span.clone(), "this default is never used")
                .related(value.span.clone(), "this is always there")
                .hint("`default` stands in for a `var:NAME` that is not set; keep one of the two"),
        );
    }
    if matches!(name, "service" | "environment" | "region") {
        mistakes.add(
            Mistake::new(
                span.clone(),
                format!("`{name}` is set for every infrastructure run anyway"),
            )
            .hint("give this variable another name, or remove it"),
        );
    }
    check_type_keys(span, variable, mistakes);
}

/// `values` belong to enum, `pattern` to pattern.
fn check_type_keys(span: &SourceSpan, variable: &Variable, mistakes: &mut Mistakes) {
    let kind = variable.kind.value;
    match (&variable.values, kind) {
        (None, Type::Enum) => mistakes.add(
            Mistake::new(span.clone(), "type enum needs `values`")
                .hint("add `values: [small, large]`"),
        ),
        (Some(values), Type::Enum) if values.is_empty() => {
            mistakes.add(Mistake::new(span.clone(), "`values` is empty").hint("name at least one"))
        }
        (Some(_), kind) if kind != Type::Enum => mistakes.add(
            Mistake::new(span.clone(), "`values` is only for type enum").hint("write `type: enum`"),
        ),
        _ => {}
    }
    match (&variable.pattern, kind) {
        (None, Type::Pattern) => mistakes.add(
            Mistake::new(span.clone(), "type pattern needs `pattern`")
                .hint("add `pattern:` with a regular expression in quotes"),
        ),
        (Some(pattern), Type::Pattern) => {
            if let Err(error) = full_match_regex(&pattern.value.0) {
                mistakes.add(
                    Mistake::new(pattern.span.clone(), "this is not a regular expression")
                        .hint(error.to_string()),
                );
            }
        }
        (Some(_), _) => mistakes.add(
            Mistake::new(span.clone(), "`pattern` is only for type pattern")
                .hint("write `type: pattern`"),
        ),
        (None, _) => {}
    }
}

fn secrets(declared: &Declared, mistakes: &mut Mistakes) {
    for (name, entry) in declared.secrets.iter().flat_map(|all| &all.0) {
        if crate::host::may_export(&name.value.0).is_err() && !name.value.0.is_empty() {
            mistakes.add(
                Mistake::new(
                    name.span.clone(),
                    format!(
                        "`{}` steers the shell or the runner and can hold no secret",
                        name.value.0
                    ),
                )
                .hint("give the secret another name"),
            );
        }
        let sinks = entry.0.to.as_deref().unwrap_or_default();
        if entry.0.to.is_some() && sinks.is_empty() {
            mistakes.add(
                Mistake::new(
                    name.span.clone(),
                    "`to` is empty, so the secret can go to no sink",
                )
                .hint("name at least one of task, exec, env, file"),
            );
        }
        for (index, sink) in sinks.iter().enumerate() {
            if let Some(first) = sinks[..index]
                .iter()
                .find(|first| first.value == sink.value)
            {
                mistakes.add(
                    Mistake::new(sink.span.clone(), "this is named twice")
                        .related(first.span.clone(), "first here"),
                );
            }
            let from_process = matches!(&entry.0.from.value, From::Env(name) if !name.is_empty());
            if sink.value == Sink::Task && from_process {
                mistakes.add(
                    Mistake::new(
                        sink.span.clone(),
                        "a task cannot refer to a variable of this process",
                    )
                    .hint("keep the value in SSM or Secrets Manager, or remove `task`"),
                );
            }
        }
    }
}

/// A function takes the place of an ECS service, and an alias is a function's.
fn check_functions(declared: &Declared, mistakes: &mut Mistakes) {
    let environments = declared.environments.value.0.iter();
    let own = environments.filter_map(|(_, environment)| environment.deploy.as_ref());
    for deploy in declared.deploy.iter().chain(own) {
        let ecs = [&deploy.cluster, &deploy.service, &deploy.container];
        if let (Some(function), true) = (&deploy.function, ecs.iter().any(|it| it.is_some())) {
            let message = "`function` is given beside the names of an ECS service";
            mistakes.add(
                Mistake::new(function.span.clone(), message)
                    .hint("leave out `cluster`, `service` and `container`, or the function"),
            );
        }
    }
    let top = declared.deploy.clone().unwrap_or_default();
    for (_, environment) in &declared.environments.value.0 {
        let own = environment.deploy.clone().unwrap_or_default();
        if own.function.or(top.function.clone()).is_some() {
            continue;
        }
        if let Some(alias) = own.alias.or(top.alias.clone()) {
            let message = "`alias` is given, and no function";
            mistakes.add(
                Mistake::new(alias.span.clone(), message)
                    .hint("name the function: `function: NAME`"),
            );
        }
    }
}

/// Two environments must not share a state, an ECS service or a stack: one would overwrite the other.
fn check_shared_targets(declared: &Declared, mistakes: &mut Mistakes) {
    let mut states: BTreeMap<[String; 3], &EnvironmentKey> = BTreeMap::new();
    let mut targets: BTreeMap<[String; 4], &EnvironmentKey> = BTreeMap::new();
    let mut stacks: BTreeMap<[String; 3], &EnvironmentKey> = BTreeMap::new();
    let top_state = declared.state.clone().unwrap_or_default();
    let top_deploy = declared.deploy.clone().unwrap_or_default();
    let top_stack = declared.stack.clone().unwrap_or_default();
    for (name, environment) in &declared.environments.value.0 {
        let shown =
            |own: Option<At<Templated<_>>>, top: &Option<At<Templated<_>>>, default: &str| {
                own.as_ref().or(top.as_ref()).map_or_else(
                    || default.to_owned(),
                    |given| shown(&given.value.0, &declared.service.value.0, &name.value.0),
                )
            };
        let account = format!("{:?}", environment.account.value.0);
        let region = format!(
            "{:?}",
            environment.region.as_ref().map(|region| &region.value.0)
        );

        let state = environment.state.clone().unwrap_or_default();
        let owner = state.account.as_ref().or(top_state.account.as_ref());
        let state = [
            owner.map_or_else(|| account.clone(), |owner| format!("{:?}", owner.value.0)),
            shown(state.bucket, &top_state.bucket, ""),
            // The default has the environment's name in it.
            shown(state.key, &top_state.key, &name.value.0),
        ];
        if let Some(other) = states
            .insert(state, name)
            .filter(|other| differ_in_name(other, name))
        {
            let hint = "put {environment} into `state.key`";
            mistakes.add(shared(other, name, "share one state", hint));
        }

        let stack = environment.stack.clone().unwrap_or_default();
        // The default has the environment's name in it.
        let stack = shown(stack.name, &top_stack.name, &name.value.0);
        if let Some(other) = stacks
            .insert([account.clone(), region.clone(), stack], name)
            .filter(|other| differ_in_name(other, name))
        {
            let hint = "put {environment} into `stack.name`";
            mistakes.add(shared(other, name, "share one stack", hint));
        }

        let deploy = environment.deploy.clone().unwrap_or_default();
        let function = deploy.function.as_ref().or(top_deploy.function.as_ref());
        let (target, problem, hint) = match function {
            Some(_) => (
                [
                    shown(deploy.function, &top_deploy.function, ""),
                    format!("alias {}", shown(deploy.alias, &top_deploy.alias, "live")),
                ],
                "deploy to one function",
                "put {environment} into `deploy.function` or `deploy.alias`",
            ),
            None => (
                [
                    shown(deploy.cluster, &top_deploy.cluster, &name.value.0),
                    shown(deploy.service, &top_deploy.service, ""),
                ],
                "deploy to one ECS service",
                "put {environment} into `deploy.cluster` or `deploy.service`",
            ),
        };
        let [first, second] = target;
        if let Some(other) = targets
            .insert([account, region, first, second], name)
            .filter(|other| differ_in_name(other, name))
        {
            mistakes.add(shared(other, name, problem, hint));
        }
    }
}

/// Refuses a permit role that two environments share, since jobs of one could then record deployments of the other.
fn permits(declared: &Declared, mistakes: &mut Mistakes) {
    let roles = declared.build.roles.as_ref();
    let Some(permit) = roles.and_then(|roles| roles.permit.as_ref()) else {
        return;
    };
    // A variable may have another value in each environment.
    let Template::Text(_) = permit.value.0 else {
        return;
    };
    let shown = |name: &str| shown(&permit.value.0, &declared.service.value.0, name);
    let mut names = declared.environments.value.0.iter().map(|(name, _)| name);
    let Some(first) = names.next() else {
        return;
    };
    if let Some(other) = names
        .find(|name| differ_in_name(first, name) && shown(&first.value.0) == shown(&name.value.0))
    {
        let message = format!(
            "`{}` and `{}` share one permit role",
            first.value.0, other.value.0
        );
        mistakes.add(
            Mistake::new(permit.span.clone(), message)
                .hint("put {environment} into `build.roles.permit`"),
        );
    }
}

/// Returns true if two environments have different names. A name that is written twice has a mistake of its own.
fn differ_in_name(first: &EnvironmentKey, second: &EnvironmentKey) -> bool {
    first.value.0 != second.value.0
}

fn shared(first: &EnvironmentKey, second: &EnvironmentKey, problem: &str, hint: &str) -> Mistake {
    let message = format!("`{}` and `{}` {problem}", first.value.0, second.value.0);
    Mistake::new(second.span.clone(), message)
        .related(first.span.clone(), "the other")
        .hint(hint)
}

/// A template as far as it is known: references stay as they are written.
pub(super) fn shown(template: &Template, service: &str, environment: &str) -> String {
    match template {
        Template::Unreadable => format!("?{environment}"),
        Template::Variable(name) => format!("var:{name}"),
        Template::Text(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Placeholder(Placeholder::Service) => service.to_owned(),
                Piece::Placeholder(Placeholder::Environment) => environment.to_owned(),
                Piece::Placeholder(other) => format!("{{{}}}", other.name()),
            })
            .collect(),
    }
}
