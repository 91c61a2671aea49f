//! Endpoints other than AWS's own.

use http::Uri;
use kit::env::Env;
use kit::error::{Error, Result};

/// The variables that the SDK, or a single call, reads for the services used here.
const VARIABLES: [&str; 11] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_ECS",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
];

/// Refuses an endpoint that is not an address, before anything is sent: the SDK finds out only with
/// the request at hand, and quotes all of it.
///
/// # Errors
/// Such a variable (exit 2).
pub(crate) fn check(env: &Env) -> Result<()> {
    let wrong = VARIABLES.iter().find_map(|name| {
        let text = env.get(name)?;
        let uri = text.parse::<Uri>().ok();
        let fits =
            |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        (!uri.as_ref().is_some_and(fits)).then_some((name, text))
    });
    let Some((name, text)) = wrong else {
        return Ok(());
    };
    Err(
        Error::usage(format!("{name} `{text}` is not the address of an endpoint")).hint(format!(
            "write it with its scheme, such as https://HOST, or unset {name}"
        )),
    )
}

/// Returns true if a bucket is to be named in the path: an endpoint that was set by hand has no host name
/// for each bucket. Variables: AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
pub fn path_style(env: &Env) -> bool {
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
        .iter()
        .any(|name| env.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address() {
        for good in ["http://127.0.0.1:4000", "https://vpce-1.sts.example/", ""] {
            check(&Env::from([("AWS_ENDPOINT_URL_STS", good)])).unwrap();
        }
        for bad in [
            "notaurl",
            "http://bad host",
            "ftp://x",
            "https://",
            "localhost:4000",
        ] {
            let error = check(&Env::from([("AWS_ENDPOINT_URL", bad)])).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage, "{bad}");
        }
    }
}
