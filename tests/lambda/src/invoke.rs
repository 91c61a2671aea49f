//! Invoke: which version runs, and what its container answers.
//! Source: AWS Lambda API Reference, "Invoke".

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::api::Call;
use crate::error::ApiError;
use crate::runtime::{self, Outcome, Wanted};
use crate::{Inner, Scope};

/// An invocation that ended.
pub(crate) struct Invoked {
    version: String,
    outcome: Outcome,
}

pub(crate) async fn invoke(
    inner: &Arc<Inner>,
    scope: &Scope,
    input: &Value,
) -> Result<Invoked, ApiError> {
    let call = Call {
        inner,
        scope,
        input,
    };
    if !matches!(call.text("InvocationType"), "" | "RequestResponse") {
        return Err(ApiError::new(
            "StandInNotImplemented",
            "this stand-in has only the invocation type RequestResponse",
        ));
    }
    let (name, qualifier) = call.named();
    let wanted = call.with(|function| {
        let mut version = function.version(&qualifier).ok_or_else(|| call.not_found())?;
        if let Some(alias) = function.aliases.get(&qualifier) {
            let other = alias.moves_from().or_else(|| chosen(&alias.weights, drawn()));
            if let Some(other) = other {
                other.clone_into(&mut version);
            }
        }
        let revision = function.revision(&version).ok_or_else(|| call.not_found())?;
        if !revision.is_ready() && version != "$LATEST" {
            return Err(ApiError::conflict(format!(
                "The operation cannot be performed at this time. The function is currently in the following state: Pending. {version}"
            )));
        }
        Ok(Wanted {
            key: format!("{}:{version}:{}", function.arn(scope), revision.ids[0]),
            name: name.clone(),
            version: version.clone(),
            arn: format!("{}:{version}", function.arn(scope)),
            image: revision.image.clone(),
            settings: revision.settings.clone(),
        })
    })?;
    let version = wanted.version.clone();
    let event = call.text("Payload").to_owned();
    let outcome = runtime::run(inner, scope, wanted, event).await?;
    Ok(Invoked { version, outcome })
}

/// The additional version, if the draw between 0 and 1 falls on it.
fn chosen(weights: &serde_json::Map<String, Value>, drawn: f64) -> Option<&str> {
    let (version, weight) = weights.iter().next()?;
    (drawn < weight.as_f64()?).then_some(version)
}

/// A number between 0 and 1.
fn drawn() -> f64 {
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from((low >> 8) as u32) / f64::from(u32::MAX)
}

impl Invoked {
    pub(crate) fn outcome(self) -> Outcome {
        self.outcome
    }

    pub(crate) fn response(self) -> Response<Bytes> {
        let (failed, body) = match self.outcome {
            Outcome::Answer(body) => (false, body),
            Outcome::Error(body) => (true, body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        if let Ok(version) = HeaderValue::from_str(&self.version) {
            headers.insert("x-amz-executed-version", version);
        }
        if failed {
            headers.insert(
                "x-amz-function-error",
                HeaderValue::from_static("Unhandled"),
            );
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn traffic_is_shared_by_the_weight_of_the_additional_version() {
        let weights = json!({"2": 0.25});
        let weights = weights.as_object().unwrap();
        for (drawn, wanted) in [
            (0.0, Some("2")),
            (0.24, Some("2")),
            (0.25, None),
            (0.9, None),
        ] {
            assert_eq!(chosen(weights, drawn), wanted, "{drawn}");
        }
        assert_eq!(chosen(&serde_json::Map::new(), 0.0), None);
        let mut draws = (0..1000).map(|_| drawn());
        assert!(draws.all(|it| (0.0..=1.0).contains(&it)));
    }
}
