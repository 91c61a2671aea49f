//! Reads the values: each source is asked once, in few calls, and all problems are collected
//! before anything is handed over.

use crate::value::json_key;
use crate::{Problem, all_or_nothing};
use aws_sdk_secretsmanager::Client as SecretsManager;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_ssm::Client as Ssm;
use futures_util::stream::{self, StreamExt};
use kit::aws::Arn;
use kit::contract::{SecretSpec, Source};
use kit::error::Result;
use kit::secret::Secret;
use kit::step::Cx;
use net::{Account, AwsContext, Net, Target};
use std::collections::{BTreeMap, BTreeSet};

/// The most names SSM takes in one call (API reference, GetParameters).
const SSM_BATCH: usize = 10;
/// Calls under way at once; far below the services' rates, enough to hide the latency.
const PARALLEL: usize = 8;

/// The reason why a value is missing.
#[derive(Debug, Clone)]
enum Miss {
    /// There is no such thing, and the command that makes it, where it is in AWS; fine for an
    /// optional secret.
    Absent(String, Option<String>),
    /// There may be one, but it cannot be read.
    Denied(String),
}

/// The answers, by source.
type Found = BTreeMap<String, std::result::Result<Secret, Miss>>;

/// All values, in the order of `specs`; optional ones that do not exist are left out.
///
/// # Errors
/// Everything that is missing or refused, in one error that quotes no value.
pub(crate) async fn all(
    specs: &[SecretSpec],
    target: &Target,
    cx: &Cx,
    net: &Net,
) -> Result<Vec<(String, Secret)>> {
    let mut parameters = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    for spec in specs {
        match &spec.source {
            Source::Ssm(name) => drop(parameters.insert(name.clone())),
            Source::SecretsManager { id, .. } => drop(secrets.insert(id.clone())),
            Source::Env(_) => {}
        }
    }
    let (parameters, secrets) = if parameters.is_empty() && secrets.is_empty() {
        (Found::new(), Found::new())
    } else {
        let account = net.account(target).await?;
        let ssm = Ssm::new(&account.config);
        let manager = SecretsManager::new(&account.config);
        (
            from_ssm(&ssm, parameters.into_iter().collect(), &account).await,
            from_secrets_manager(&manager, secrets, &account).await,
        )
    };
    let mut values = Vec::new();
    let mut problems = Vec::new();
    for spec in specs {
        let found = match &spec.source {
            Source::Ssm(name) => parameters.get(name).cloned(),
            Source::SecretsManager { id, key } => secrets.get(id).cloned().map(|found| {
                found.and_then(|value| match key {
                    Some(key) => json_key(&value, key)
                        .map_err(|problem| Miss::Denied(format!("{id} {problem}"))),
                    None => Ok(value),
                })
            }),
            Source::Env(name) => Some(
                cx.env
                    .get(name)
                    .map(|value| Secret::new(value.to_owned()))
                    .ok_or_else(|| absent_variable(name)),
            ),
        };
        match found {
            Some(Ok(value)) => values.push((spec.name.clone(), value)),
            Some(Err(Miss::Absent(..))) if !spec.required => {
                cx.host
                    .info(format!("{} is optional and absent", spec.name));
            }
            Some(Err(Miss::Absent(reason, create))) => {
                problems.push(Problem {
                    create,
                    ..Problem::new(spec, reason)
                });
            }
            Some(Err(Miss::Denied(reason))) => problems.push(Problem::new(spec, reason)),
            None => problems.push(Problem::new(spec, "AWS's answer does not contain it")),
        }
    }
    all_or_nothing(problems, "cannot be read")?;
    Ok(values)
}

/// The reason that a service of the account has nothing called `name`. `create` is the command that makes it, which
/// reads the value from standard input, so that it is in no argument list. An ARN cannot be chosen,
/// so nothing can be made under it.
fn absent(service: &str, kind: &str, name: &str, account: &Account, create: &str) -> Miss {
    let (id, region) = (&account.id, &account.region);
    let create = name.parse::<Arn>().is_err().then(|| {
        format!("create it in account {id}, with the value on standard input: aws {create} file:///dev/stdin --region {region}")
    });
    Miss::Absent(
        format!("{service} has no {kind} {name} in account {id}, region {region}"),
        create,
    )
}

/// The runner leaves a variable empty if the GitHub secret that it refers to does not exist.
fn absent_variable(name: &str) -> Miss {
    Miss::Absent(
        format!("the variable {name} is not set, or is empty"),
        Some(format!(
            "set {name} for this command; in a workflow, under the step's `env`: `{name}: ${{{{ secrets.NAME }}}}`"
        )),
    )
}

fn no_parameter(name: &str, account: &Account) -> Miss {
    // A version or label (`name:3`) is made by writing the name.
    let bare = name.split(':').next().unwrap_or(name);
    let create = format!("ssm put-parameter --name {bare} --type SecureString --value");
    absent("SSM", "parameter", name, account, &create)
}

fn no_secret(id: &str, account: &Account) -> Miss {
    let create = format!("secretsmanager create-secret --name {id} --secret-string");
    absent("Secrets Manager", "secret", id, account, &create)
}

async fn from_ssm(client: &Ssm, names: Vec<String>, account: &Account) -> Found {
    let batches: Vec<Vec<String>> = names.chunks(SSM_BATCH).map(<[String]>::to_vec).collect();
    stream::iter(batches)
        .map(|batch| async move { ssm_batch(client, batch, account).await })
        .buffer_unordered(PARALLEL)
        .fold(Found::new(), |mut all, found| async {
            all.extend(found);
            all
        })
        .await
}

async fn ssm_batch(client: &Ssm, batch: Vec<String>, account: &Account) -> Found {
    let answer = client
        .get_parameters()
        .set_names(Some(batch.clone()))
        .with_decryption(true)
        .send()
        .await
        .cannot("read parameters");
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let reason = error.causes().first().cloned().unwrap_or(error.message);
            return batch
                .into_iter()
                .map(|name| (name.clone(), Err(Miss::Denied(format!("{name}: {reason}")))))
                .collect();
        }
    };
    // A missing parameter does not fail the call: it is in a list of its own, with HTTP 200. Everything asked for counts as missing
    // until it is seen.
    let mut found: Found = batch
        .iter()
        .map(|name| (name.clone(), Err(no_parameter(name, account))))
        .collect();
    for parameter in answer.parameters.unwrap_or_default() {
        let (Some(name), Some(value)) = (parameter.name, parameter.value) else {
            continue;
        };
        let value = Secret::new(value);
        // Asked by `name:version` or by ARN, the answer carries the bare name beside them. Both may have been asked for.
        let selector = parameter.selector.unwrap_or_default();
        let arn = parameter.arn.map(|arn| format!("{arn}{selector}"));
        let asked = [Some(format!("{name}{selector}")), arn];
        let asked: Vec<String> = asked.into_iter().flatten().collect();
        let exact = asked.iter().any(|asked| found.contains_key(asked));
        for asked in if exact { asked } else { vec![name] } {
            if let Some(slot) = found.get_mut(&asked) {
                *slot = Ok(value.clone());
            }
        }
    }
    found
}

async fn from_secrets_manager(
    client: &SecretsManager,
    ids: BTreeSet<String>,
    account: &Account,
) -> Found {
    stream::iter(ids)
        .map(|id| async move {
            let answer = client.get_secret_value().secret_id(&id).send().await;
            let is_missing = answer
                .as_ref()
                .is_err_and(|error| net::code(error) == Some("ResourceNotFoundException"));
            let deleted = answer.as_ref().is_err_and(|error| {
                error
                    .as_service_error()
                    .is_some_and(GetSecretValueError::is_invalid_request_exception)
            });
            let found = match answer.cannot("read it") {
                Ok(answer) => answer.secret_string.map(Secret::new).ok_or_else(|| {
                    Miss::Denied(format!("{id} is binary; this step reads only text secrets"))
                }),
                Err(_) if is_missing => Err(no_secret(&id, account)),
                Err(error) if deleted => Err(Miss::Denied(format!(
                    "{id}: {}; a secret that is scheduled for deletion comes back with: \
                     aws secretsmanager restore-secret --secret-id {id} --region {}",
                    error.causes().first().cloned().unwrap_or(error.message),
                    account.region
                ))),
                Err(error) => Err(Miss::Denied(format!(
                    "{id}: {}",
                    error.causes().first().cloned().unwrap_or(error.message)
                ))),
            };
            (id, found)
        })
        .buffer_unordered(PARALLEL)
        .collect()
        .await
}
