//! Endpoints other than AWS's own.

use kit::env::Env;

/// Whether a bucket is to be named in the path: an endpoint that was set by hand has no host name
/// for each bucket. Variables: AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
pub fn path_style(env: &Env) -> bool {
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
        .iter()
        .any(|name| env.get(name).is_some())
}
