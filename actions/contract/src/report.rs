//! Outputs and reports of slipway-contract.

use kit::clock::human;
use kit::contract::{Contract, Everything, Gate, Overview, SecretSpec, Sink, Source, Stack};
use kit::report::{EnvValue, Report, markdown_table, text_table};
use std::time::Duration;

const OVERVIEW: [&str; 5] = ["environment", "follows", "account", "region", "gate"];

/// A contract without mistakes.
pub(crate) fn checked(contract: &Contract, resolved: Option<&str>) -> Report {
    let environments = contract.environments();
    let rows: Vec<Vec<String>> = environments.iter().map(overview).collect();
    let followed = resolved.map_or_else(String::new, |environment| {
        format!("; every reference of {environment} resolves")
    });
    let headline = format!(
        "ok: {} delivers {}{followed}",
        contract.path(),
        contract.service()
    );
    Report {
        text: format!("{headline}\n\n{}", text_table(&OVERVIEW, &rows)),
        summary: format!(
            "### Contract\n\n{headline}\n\n{}",
            markdown_table(&OVERVIEW, &rows)
        ),
        json: serde_json::json!({
            "path": contract.path(),
            "service": contract.service(),
            "environments": environments,
            "resolved": resolved,
        }),
        ..Report::default()
    }
}

fn overview(environment: &Overview) -> Vec<String> {
    vec![
        environment.environment.clone(),
        environment.follows.clone().unwrap_or_default(),
        environment.account.clone(),
        environment.region.clone(),
        gate(&environment.gate),
    ]
}

fn gate(gate: &Gate) -> String {
    if !gate.required {
        return "none".to_owned();
    }
    let approvals = match gate.approvals {
        1 => "1 approval".to_owned(),
        many => format!("{many} approvals"),
    };
    let mut parts = vec![format!("on {}", gate.branch), approvals];
    if !gate.checks.is_empty() {
        parts.push(format!("checks {}", gate.checks.join(", ")));
    }
    if let Some(workflow) = &gate.workflow {
        parts.push(format!("from {workflow}"));
    }
    if let Some(seconds) = gate.soak {
        parts.push(format!("soak {}", human(Duration::from_secs(seconds))));
    }
    if gate.still_running {
        parts.push("still running before".to_owned());
    }
    parts.push(
        match gate.plan {
            true => "infrastructure by permitted plan",
            false => "infrastructure without a permit",
        }
        .to_owned(),
    );
    match gate.freeze.len() {
        0 => {}
        1 => parts.push("1 freeze window".to_owned()),
        many => parts.push(format!("{many} freeze windows")),
    }
    if !gate.calendars.is_empty() {
        parts.push(format!("calendars {}", gate.calendars.join(", ")));
    }
    match gate.rollback_approvals {
        0 if gate.approve.is_none() => {}
        0 => parts.push("rollback without a review".to_owned()),
        1 => parts.push("rollback 1 review".to_owned()),
        many => parts.push(format!("rollback {many} reviews")),
    }
    if let Some(glass) = &gate.break_glass {
        parts.push(format!("break-glass {}", glass.people.join(", ")));
    }
    if let Some(approve) = &gate.approve {
        let people = approve.people.join(", ");
        parts.push(format!("approved by {} of {people}", approve.count));
    }
    parts.join("; ")
}

/// One environment, with what later steps can use.
pub(crate) fn resolved(everything: &Everything) -> Report {
    let resolved = &everything.resolved;
    let function = resolved.deploy.function.as_ref();
    let mut rows = rows(everything);
    rows.extend(everything.stack.iter().flat_map(stack_rows));
    Report {
        text: text_table(&["setting", "value"], &rows),
        summary: format!(
            "### {} in {}\n\n{}",
            resolved.service,
            resolved.environment,
            markdown_table(&["setting", "value"], &rows)
        ),
        json: serde_json::json!(everything),
        env: everything
            .terraform_variables()
            .into_iter()
            .map(|(name, value)| (name, EnvValue::Plain(value)))
            .collect(),
        ..Report::default()
    }
    .output("service", &resolved.service)
    .output("environment", &resolved.environment)
    .output("follows", resolved.follows.clone().unwrap_or_default())
    .output("account", resolved.account.as_str())
    .output("region", resolved.region.as_str())
    .output("build-account", resolved.build.account.as_str())
    .output("build-region", resolved.build.region.as_str())
    .output("repository", &resolved.image.repository)
    .output("cluster", &resolved.deploy.cluster)
    .output("ecs-service", &resolved.deploy.service)
    .output("container", &resolved.deploy.container)
    .output("function", function.map_or("", |it| it.name.as_str()))
    .output("alias", function.map_or("", |it| it.alias.as_str()))
}

fn rows(everything: &Everything) -> Vec<Vec<String>> {
    let resolved = &everything.resolved;
    let deploy = &resolved.deploy;
    let build = &resolved.build;
    let fixed = [
        ("service", resolved.service.clone()),
        ("environment", resolved.environment.clone()),
        ("follows", resolved.follows.clone().unwrap_or_default()),
        ("gate", gate(&resolved.gate)),
        ("account", resolved.account.to_string()),
        ("region", resolved.region.to_string()),
        ("role to read", resolved.roles.read.to_string()),
        ("role to deploy", resolved.roles.deploy.to_string()),
        ("build account", build.account.to_string()),
        ("build region", build.region.to_string()),
        ("role to read the ledger", build.read.to_string()),
        ("role to publish", build.publish.to_string()),
        ("role to permit", resolved.permit.to_string()),
        ("ledger", build.ledger.clone()),
        ("repository", resolved.image.repository.clone()),
    ];
    let state = everything.state.iter().flat_map(|state| {
        [
            ("state", format!("s3://{}/{}", state.bucket, state.key)),
            ("state account", state.account.to_string()),
            (
                "state lock",
                match &state.table {
                    Some(table) => table.clone(),
                    None => format!("s3://{}/{}.tflock", state.bucket, state.key),
                },
            ),
        ]
    });
    let function = deploy.function.iter().flat_map(|function| {
        [
            ("function", function.name.clone()),
            ("alias", function.alias.clone()),
        ]
    });
    let service = [
        ("cluster", deploy.cluster.clone()),
        ("ECS service", deploy.service.clone()),
        ("container", deploy.container.clone()),
    ];
    let service = service.into_iter().filter(|_| deploy.function.is_none());
    let mut rows: Vec<Vec<String>> = fixed
        .into_iter()
        .chain(state)
        .chain(service)
        .chain(function)
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    for (name, value) in &everything.variables {
        rows.push(vec![format!("variable {name}"), value.clone()]);
    }
    for spec in &resolved.secrets {
        rows.push(vec![format!("secret {}", spec.name), secret(spec)]);
    }
    rows
}

/// The settings of the CloudFormation stack.
fn stack_rows(stack: &Stack) -> Vec<Vec<String>> {
    let mut rows = vec![
        ("stack".to_owned(), stack.name.clone()),
        ("template".to_owned(), stack.template.clone()),
    ];
    let named = |kind: &str, name: &String| format!("{kind} {name}");
    for (name, value) in &stack.parameters {
        rows.push((named("parameter", name), value.clone()));
    }
    for (name, secret) in &stack.secret_parameters {
        rows.push((named("parameter", name), format!("secret {secret}")));
    }
    for (name, value) in &stack.tags {
        rows.push((named("tag", name), value.clone()));
    }
    for capability in &stack.capabilities {
        rows.push(("capability".to_owned(), capability.as_str().to_owned()));
    }
    if let Some(protected) = stack.termination_protection {
        let word = if protected { "on" } else { "off" };
        rows.push(("termination protection".to_owned(), word.to_owned()));
    }
    if let Some(policy) = &stack.policy {
        rows.push(("stack policy".to_owned(), policy.clone()));
    }
    for region in &stack.regions {
        rows.push(("region of the stack".to_owned(), region.to_string()));
    }
    if let Some(bucket) = &stack.bucket {
        rows.push(("bucket for templates".to_owned(), bucket.clone()));
    }
    if let Some(role) = &stack.role {
        rows.push(("role of the stack".to_owned(), role.to_string()));
    }
    rows.into_iter()
        .map(|(name, value)| vec![name, value])
        .collect()
}

/// A secret's source and sinks; its value is not known here.
fn secret(spec: &SecretSpec) -> String {
    let source = match &spec.source {
        Source::Ssm(name) => format!("ssm:{name}"),
        Source::SecretsManager { id, key: None } => format!("secretsmanager:{id}"),
        Source::SecretsManager { id, key: Some(key) } => format!("secretsmanager:{id}#{key}"),
        Source::Env(name) => format!("env:{name}"),
    };
    let sinks: Vec<&str> = spec
        .sinks
        .iter()
        .map(|sink| match sink {
            Sink::Task => "task",
            Sink::Exec => "exec",
            Sink::Env => "env",
            Sink::File => "file",
        })
        .collect();
    let optional = if spec.required { "" } else { ", optional" };
    format!("{source}, to {}{optional}", sinks.join(" and "))
}

/// The JSON Schema for editors.
pub(crate) fn schema() -> Report {
    let schema = kit::contract::schema();
    Report {
        text: format!("{schema:#}"),
        json: schema,
        ..Report::default()
    }
}
