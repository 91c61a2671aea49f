//! The SDK's configuration: our HTTP client, a region, and credentials where there are any.

use crate::http::Net;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kit::aws::Region;

impl Net {
    pub(crate) async fn config(
        &self,
        region: &Region,
        credentials: Option<Credentials>,
    ) -> SdkConfig {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.aws.clone())
            .region(sdk(region));
        match credentials {
            Some(credentials) => {
                loader.credentials_provider(SharedCredentialsProvider::new(credentials))
            }
            None => loader,
        }
        .load()
        .await
    }
}

/// The region as the SDK has it.
pub(crate) fn sdk(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}
