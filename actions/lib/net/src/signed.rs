//! Single calls to AWS services of the JSON protocol, for steps that ask one thing of a service: its
//! whole client would weigh more than everything around the call.

use crate::account::Account;
use crate::calls::text;
use crate::http::Net;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use kit::aws::Region;
use kit::error::{Error, ErrorKind, Failure, Result, ServiceError};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// Nobody waits longer for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Net {
    /// Calls `target` (`PREFIX.Operation`) of a service that speaks JSON 1.1 over POST
    /// (smithy.io, "AWS JSON 1.1 protocol"), once, signed as `account`.
    ///
    /// # Errors
    /// No answer, or one that is an error; says the service's own code and words.
    pub async fn json(
        &self,
        account: &Account,
        service: &str,
        target: &str,
        input: &Value,
    ) -> Result<Value> {
        let operation = target.rsplit('.').next().unwrap_or(target);
        let failed = || Error::failed(format!("cannot ask {service} for {operation}"));
        let url = self.address(service, &account.region);
        let body = input.to_string();
        let fixed = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
        ];
        let identity = account.now().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(account.region.as_str())
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed().because(error))?
            .into();
        let request = SignableRequest::new(
            "POST",
            &url,
            fixed.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .and_then(|request| sign(request, &params))
        .map_err(|error| failed().because(error))?;
        let (instructions, _) = request.into_parts();
        let mut call = self.http().post(&url).timeout(TIMEOUT);
        for (name, value) in fixed.into_iter().chain(instructions.headers()) {
            call = call.header(name, value);
        }
        let what = format!(
            "{service} {operation}, account {}, region {}, attempt 1",
            account.id, account.region
        );
        let answer = crate::calls::send(Some(what), call.body(body)).await;
        let answer = answer.map_err(|error| {
            let mut failed = failed()
                .cause(crate::error::no_answer(&error).unwrap_or_else(|| error.to_string()));
            failed.kind = ErrorKind::Service(Failure::NoAnswer);
            failed
        })?;
        let status = answer.status();
        let request_id = crate::calls::request_id(|name| text(answer.headers(), name));
        let request_id = request_id.map(str::to_owned);
        let text = answer
            .text()
            .await
            .map_err(|error| failed().because(error))?;
        let output: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(output);
        }
        let refusal = refusal(service, operation, status.as_u16(), request_id, &output);
        let mut failed = failed();
        failed.kind = ErrorKind::Service(refusal.failure);
        Err(failed.because(refusal))
    }

    /// Where a service answers: AWS's own address, or the one that was set by hand.
    fn address(&self, service: &str, region: &Region) -> String {
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
        let set = self
            .env
            .get(&own)
            .or_else(|| self.env.get("AWS_ENDPOINT_URL"));
        match set {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => format!("https://{}/", region.endpoint(host(service))),
        }
    }
}

/// The first part of a service's host, which for most is the name that its requests are signed for (AWS
/// General Reference, "Amazon ECR endpoints and quotas": `ecr` alone is the registry).
fn host(service: &str) -> &str {
    match service {
        "ecr" => "api.ecr",
        service => service,
    }
}

/// The service's refusal, from the body of its answer.
fn refusal(
    service: &str,
    operation: &str,
    status: u16,
    request_id: Option<String>,
    output: &Value,
) -> ServiceError {
    let word = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| output[name].as_str());
        found.unwrap_or_default().to_owned()
    };
    let code = word(["__type", "code"]);
    let code = code.rsplit('#').next().filter(|code| !code.is_empty());
    ServiceError {
        service: service.to_owned(),
        operation: operation.to_owned(),
        failure: crate::error::meaning(code, status),
        code: code.map(str::to_owned),
        message: word(["message", "Message"]),
        status: Some(status),
        request_id,
    }
}
