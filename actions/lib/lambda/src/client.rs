//! The calls for one alias of one function. They are made again for as long as AWS does not take them.

use crate::health::Look;
use crate::types::{Alias, Configuration, Function, Provisioned};
use http::Method;
use kit::error::{Error, ErrorKind, Failure, Result};
use kit::host::Host;
use net::{Account, Net, RestCall, RetryPolicy};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::Cell;

const SERVICE: &str = "lambda";
/// The versions of the API in which the operations are.
const FUNCTIONS: [&str; 2] = ["2015-03-31", "functions"];
const CONCURRENCY: [&str; 2] = ["2019-09-30", "functions"];

/// The versions that an alias is to serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The version that it serves.
    pub version: String,
    /// The second version and its share of the traffic, between 0 and 1.
    pub weight: Option<(String, f64)>,
}

/// Returns true if the alias serves exactly this.
pub fn moves(alias: &Alias, to: &Moved) -> bool {
    let weight = to
        .weight
        .as_ref()
        .map(|(version, weight)| (version.as_str(), *weight));
    alias.function_version == to.version && alias.weight() == weight
}

/// The service's own code of an error, if it answered with one.
pub fn code(error: &Error) -> Option<&str> {
    error.service()?.code.as_deref()
}

/// The calls for one alias of one function.
#[derive(Debug)]
pub struct Client {
    net: Net,
    account: Account,
    host: Host,
    policy: Cell<RetryPolicy>,
    /// The function's name.
    pub function: String,
    /// The alias' name.
    pub alias: String,
}

impl Client {
    /// Calls as the account.
    pub fn new(
        net: &Net,
        account: &Account,
        host: &Host,
        policy: RetryPolicy,
        function: String,
        alias: String,
    ) -> Self {
        Self {
            net: net.clone(),
            account: account.clone(),
            host: host.clone(),
            policy: Cell::new(policy),
            function,
            alias,
        }
    }

    /// Calls from now on are made again by this policy.
    pub fn retry_by(&self, policy: RetryPolicy) {
        self.policy.set(policy);
    }

    /// The policy by which calls are made again.
    pub fn policy(&self) -> RetryPolicy {
        self.policy.get()
    }

    /// A version with its code, by number; without one it is `$LATEST`.
    ///
    /// # Errors
    /// Lambda does not answer with it.
    pub async fn function(&self, version: Option<&str>) -> Result<Function> {
        let query: Vec<(&str, &str)> = version
            .iter()
            .map(|version| ("Qualifier", *version))
            .collect();
        self.get("GetFunction", &[], &query).await
    }

    /// The alias.
    ///
    /// # Errors
    /// Lambda does not answer with it.
    pub async fn alias(&self) -> Result<Alias> {
        self.get("GetAlias", &["aliases", &self.alias], &[]).await
    }

    /// All published versions, oldest first.
    ///
    /// # Errors
    /// Lambda does not answer with them.
    pub async fn versions(&self) -> Result<Vec<Configuration>> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Page {
            versions: Vec<Configuration>,
            next_marker: Option<String>,
        }
        let mut found = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let query: Vec<(&str, &str)> = marker
                .iter()
                .map(|marker| ("Marker", marker.as_str()))
                .collect();
            let page: Page = self
                .get("ListVersionsByFunction", &["versions"], &query)
                .await?;
            found.extend(
                page.versions
                    .into_iter()
                    .filter(|it| it.version != crate::LATEST),
            );
            marker = page.next_marker;
            if marker.is_none() {
                return Ok(found);
            }
        }
    }

    /// The alias' provisioned concurrency, if it has any.
    ///
    /// # Errors
    /// Lambda does not answer.
    pub async fn provisioned(&self) -> Result<Option<Provisioned>> {
        let path = [
            CONCURRENCY[0],
            CONCURRENCY[1],
            &self.function,
            "provisioned-concurrency",
        ];
        let call = RestCall {
            operation: "GetProvisionedConcurrencyConfig",
            method: Method::GET,
            path: &path,
            query: &[("Qualifier", &self.alias)],
            input: None,
        };
        match self.call(&call).await {
            Ok(answer) => read(answer).map(Some),
            Err(error) if code(&error) == Some("ProvisionedConcurrencyConfigNotFoundException") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The alias, the version that it serves, and its provisioned concurrency.
    ///
    /// # Errors
    /// Lambda does not answer with one of them.
    pub async fn look(&self) -> Result<Look> {
        let alias = self.alias().await?;
        Ok(Look {
            serving: self.function(Some(&alias.function_version)).await?,
            provisioned: self.provisioned().await?,
            alias,
        })
    }

    /// Gives `$LATEST` an image, if its revision ID is still this one.
    ///
    /// # Errors
    /// Lambda does not take it; `PreconditionFailedException` where the function changed.
    pub async fn update_code(&self, image: &str, revision: Option<&str>) -> Result<Configuration> {
        let input = json!({"ImageUri": image, "RevisionId": revision});
        self.put("UpdateFunctionCode", Method::PUT, &["code"], input)
            .await
    }

    /// Publishes `$LATEST`, if its code and its revision ID are still these. Code and settings that did not change since the
    /// newest version are that version.
    ///
    /// # Errors
    /// Lambda does not take it; `PreconditionFailedException` where the function changed.
    pub async fn publish(&self, code: &str, revision: Option<&str>) -> Result<Configuration> {
        let input = json!({"CodeSha256": code, "RevisionId": revision});
        self.put("PublishVersion", Method::POST, &["versions"], input)
            .await
    }

    /// Has the alias serve this, if its revision ID is still this one.
    ///
    /// # Errors
    /// Lambda does not take it; `PreconditionFailedException` where the alias changed.
    pub async fn update_alias(&self, to: &Moved, revision: Option<&str>) -> Result<Alias> {
        let mut weights = serde_json::Map::new();
        if let Some((version, weight)) = &to.weight {
            weights.insert(version.clone(), json!(weight));
        }
        let input = json!({
            "FunctionVersion": to.version,
            // Without this member Lambda leaves the weights as they are.
            "RoutingConfig": {"AdditionalVersionWeights": weights},
            "RevisionId": revision,
        });
        let path = ["aliases", self.alias.as_str()];
        self.put("UpdateAlias", Method::PUT, &path, input).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        operation: &str,
        rest: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T> {
        let path = [&FUNCTIONS, &[self.function.as_str()] as &[&str], rest].concat();
        let call = RestCall {
            operation,
            method: Method::GET,
            path: &path,
            query,
            input: None,
        };
        read(self.call(&call).await?)
    }

    async fn put<T: DeserializeOwned>(
        &self,
        operation: &str,
        method: Method,
        rest: &[&str],
        mut input: Value,
    ) -> Result<T> {
        if let Some(members) = input.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        let path = [&FUNCTIONS, &[self.function.as_str()] as &[&str], rest].concat();
        let call = RestCall {
            operation,
            method,
            path: &path,
            query: &[],
            input: Some(&input),
        };
        read(self.call(&call).await?)
    }

    async fn call(&self, call: &RestCall<'_>) -> Result<Value> {
        let permission = format!("lambda:{}", call.operation);
        let send = || self.net.rest(&self.account, SERVICE, call);
        retried(self.policy.get(), &self.host, &permission, send).await
    }
}

/// Makes a call, again and again while AWS throttles it, fails by itself or does not answer.
///
/// # Errors
/// A refusal, or the last failure when the policy's time is over.
pub(crate) async fn retried<T, F: Future<Output = Result<T>>>(
    policy: RetryPolicy,
    host: &Host,
    permission: &str,
    send: impl Fn() -> F,
) -> Result<T> {
    let report = |error: &Error| {
        let why = code(error).unwrap_or("no answer");
        host.info(format!("{} ({why}); trying again", error.message));
    };
    let answer = policy.run(send, again, report).await;
    answer.map_err(|error| match error.kind {
        // It may be the renewal of the credentials that was denied.
        ErrorKind::Service(Failure::Denied) if is_of(&error, permission) => {
            error.hint(format!("the role needs {permission}"))
        }
        _ => error,
    })
}

/// Returns true if the service's answer is to the call that needs this permission.
fn is_of(error: &Error, permission: &str) -> bool {
    let operation = permission.rsplit(':').next();
    error
        .service()
        .is_some_and(|answer| Some(answer.operation.as_str()) == operation)
}

/// How a call failed, if the same call may succeed later. An update that is in progress ends (AWS Lambda API Reference,
/// `ResourceConflictException`: "The operation conflicts with the resource's availability").
fn again(error: &Error) -> Option<Failure> {
    if code(error) == Some("ResourceConflictException") {
        return Some(Failure::Unavailable);
    }
    match error.kind {
        ErrorKind::Service(failure) => Some(failure),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer)
        .map_err(|error| Error::failed("Lambda answered in an undocumented format").because(error))
}
