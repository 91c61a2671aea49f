//! The template as CloudFormation reads it, and what it asks for.

use crate::bucket::Bucket;
use crate::client::{Client, Source, is_code};
use crate::inputs::missing_capabilities;
use crate::seen::Template;
use crate::settings::Settings;
use kit::Cx;
use kit::error::{Error, ErrorKind, Result};
use net::Account;

/// The template as it goes to CloudFormation: in the request, or through the bucket.
pub(crate) async fn source(
    cx: &Cx,
    account: &Account,
    settings: &Settings,
    look: bool,
) -> Result<Source> {
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
pub(crate) async fn template(client: &Client, source: &Source) -> Result<Template> {
    client.template(source).await.map_err(|error| {
        if !is_code(&error, &["ValidationError"]) {
            return error;
        }
        let mut wrong = error.under("CloudFormation does not accept the template");
        wrong.kind = ErrorKind::Usage;
        wrong
    })
}

/// Checks that every capability that the template needs is acknowledged.
///
/// # Errors
/// One is not (exit 2).
pub(crate) fn acknowledged(template: &Template, settings: &Settings) -> Result<()> {
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
