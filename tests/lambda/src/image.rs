//! The image of a function: it is in ECR, by digest after it was resolved.

use standin_ecs::Role;

use crate::error::ApiError;
use crate::{Inner, Scope};

/// Pulls an image and answers it by digest. The engine has it then for invocations.
///
/// Lambda itself pulls by the repository's policy for its service. Here a role of the account that stands for it pulls.
pub(crate) async fn resolve(inner: &Inner, scope: &Scope, asked: &str) -> Result<String, ApiError> {
    let missing = |why: String| {
        ApiError::invalid(format!(
            "Source image {asked} does not exist. Provide a valid source image. ({why})"
        ))
    };
    let host = asked.split('/').next().unwrap_or_default();
    if !host.ends_with(&inner.config.registry) {
        return Err(ApiError::invalid(format!(
            "Source image {asked} is not valid. Provide a valid source image."
        )));
    }
    let role = format!(
        "arn:aws:iam::{}:role/{}",
        scope.account, inner.config.puller
    );
    let puller = Role {
        upstream: &inner.config.upstream,
        account: &scope.account,
        region: &scope.region,
        role: &role,
    };
    let login = puller.registry_login(host).await.map_err(missing)?;
    let pulled = inner.docker.pull(asked, Some(&login)).await;
    pulled.map_err(|error| missing(error.to_string()))?;
    if asked.contains('@') {
        return Ok(asked.to_owned());
    }
    let image = inner.docker.image(asked).await;
    let image = image.map_err(|error| missing(error.to_string()))?;
    let mut digests = image["RepoDigests"].as_array().into_iter().flatten();
    let repository = asked.rsplit_once(':').map_or(asked, |(name, _)| name);
    let found = digests.find_map(|one| {
        let one = one.as_str()?;
        one.starts_with(&format!("{repository}@"))
            .then(|| one.to_owned())
    });
    found.ok_or_else(|| missing("the engine knows no digest of it".to_owned()))
}
