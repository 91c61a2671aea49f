//! The operations. Each reads its input, which fits the model, and answers or refuses.

mod aliases;
mod concurrency;
mod functions;
mod permissions;
mod versions;

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Answer, ApiError};
use crate::state::Function;
use crate::{Inner, Scope};

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) scope: &'a Scope,
    pub(crate) input: &'a Value,
}

impl Call<'_> {
    /// A member of the input; empty if it is not given.
    pub(crate) fn text(&self, member: &str) -> &str {
        self.input[member].as_str().unwrap_or_default()
    }

    /// The function's name and the qualifier of the call: a function may be named by its name or its ARN, with a qualifier or
    /// without (AWS Lambda API Reference, "GetFunction", `FunctionName`).
    pub(crate) fn named(&self) -> (String, String) {
        let given = self.text("FunctionName");
        let rest = given
            .rsplit_once("function:")
            .map_or(given, |(_, rest)| rest);
        let (name, inside) = rest.split_once(':').unwrap_or((rest, ""));
        let qualifier = match self.text("Qualifier") {
            "" => inside,
            qualifier => qualifier,
        };
        (name.to_owned(), qualifier.to_owned())
    }

    /// The ARN of the function with the qualifier of the call.
    pub(crate) fn arn(&self) -> String {
        let (name, qualifier) = self.named();
        let Scope { account, region } = self.scope;
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        match qualifier.as_str() {
            "" => arn,
            qualifier => format!("{arn}:{qualifier}"),
        }
    }

    pub(crate) fn not_found(&self) -> ApiError {
        ApiError::missing(format!("Function not found: {}", self.arn()))
    }

    /// Works on the function of the call.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Function) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (name, _) = self.named();
        let mut world = self.inner.world();
        let functions = world.place(self.scope);
        let function = functions.get_mut(&name).ok_or_else(|| self.not_found())?;
        work(function)
    }

    /// Refuses while an update of `$LATEST` is in progress, and a revision ID that is not its newest one.
    pub(crate) fn settled(&self, function: &Function) -> Result<(), ApiError> {
        if !function.latest.is_ready() {
            return Err(ApiError::conflict(format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {}",
                function.arn(self.scope)
            )));
        }
        match self.text("RevisionId") {
            "" => Ok(()),
            given if given == function.latest.id() => Ok(()),
            _ => Err(ApiError::precondition()),
        }
    }
}

pub(crate) async fn dispatch(
    inner: &Arc<Inner>,
    scope: &Scope,
    operation: &str,
    input: &Value,
) -> Answer {
    let call = Call {
        inner,
        scope,
        input,
    };
    match operation {
        "CreateFunction" => functions::create(&call).await,
        "GetFunction" => functions::get(&call),
        "GetFunctionConfiguration" => functions::configuration(&call),
        "UpdateFunctionCode" => functions::update_code(&call).await,
        "UpdateFunctionConfiguration" => functions::update_configuration(&call),
        "DeleteFunction" => functions::delete(&call),
        "ListFunctions" => functions::list(&call),
        "PublishVersion" => versions::publish(&call),
        "ListVersionsByFunction" => versions::list(&call),
        "CreateAlias" => aliases::create(&call),
        "GetAlias" => aliases::get(&call),
        "UpdateAlias" => aliases::update(&call),
        "DeleteAlias" => aliases::delete(&call),
        "ListAliases" => aliases::list(&call),
        "AddPermission" => permissions::add(&call),
        "RemovePermission" => permissions::remove(&call),
        "GetPolicy" => permissions::policy(&call),
        "ListTags" => permissions::tags(&call),
        "TagResource" => permissions::tag(&call),
        "UntagResource" => permissions::untag(&call),
        "GetProvisionedConcurrencyConfig" => concurrency::get(&call),
        "PutProvisionedConcurrencyConfig" => concurrency::put(&call),
        "DeleteProvisionedConcurrencyConfig" => concurrency::delete(&call),
        _ => Err(ApiError::new(
            "StandInNotImplemented",
            format!("this stand-in has no {operation}"),
        )),
    }
}
