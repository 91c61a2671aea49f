//! Helpers that tests share: worlds, a signer, an identity provider, clients of AWS's own SDK.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateway::{Backend, BackendAnswer, BackendCall};
use http::{HeaderMap, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use ring::{digest, hmac};
use serde_json::{Value, json};

use crate::parts::{Parts, parts};

pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";
pub(crate) const REGION: &str = "ca-central-1";

/// A backend that answers with the call it received.
pub(crate) struct Echo;

impl Backend for Echo {
    fn handle(
        &self,
        call: BackendCall,
    ) -> Pin<Box<dyn Future<Output = BackendAnswer> + Send + '_>> {
        Box::pin(async move {
            let answer = json!({"service": call.service, "operation": call.operation, "account": call.account,
                              "region": call.region, "principal": call.principal});
            BackendAnswer {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Bytes::from(answer.to_string()),
            }
        })
    }

    fn violations(&self) -> Vec<String> {
        vec!["an answer that was too long".to_owned()]
    }
}

/// An issuer of web identity tokens with a fresh key, and a stranger's key that signs under the same key ID.
pub(crate) struct Idp {
    own: RsaKeyPair,
    forger: RsaKeyPair,
}

impl Idp {
    pub(crate) fn new(folder: &Path) -> Self {
        let key = |name: &str| {
            let file = folder.join(name);
            let made = Command::new("openssl")
                .args([
                    "genpkey",
                    "-quiet",
                    "-algorithm",
                    "RSA",
                    "-pkeyopt",
                    "rsa_keygen_bits:2048",
                    "-out",
                ])
                .arg(&file)
                .output()
                .unwrap();
            assert!(
                made.status.success(),
                "{}",
                String::from_utf8_lossy(&made.stderr)
            );
            let pem = std::fs::read_to_string(file).unwrap();
            let base64: String = pem
                .lines()
                .filter(|line| !line.starts_with("-----"))
                .collect();
            RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap()
        };
        Self {
            own: key("own.pem"),
            forger: key("forger.pem"),
        }
    }

    pub(crate) fn jwks(&self) -> String {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.own.public_key());
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": part(&public.n), "e": part(&public.e)}]}).to_string()
    }

    fn sign(key: &RsaKeyPair, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        Self::sign(
            &self.own,
            &json!({"alg": "RS256", "kid": "1", "typ": "JWT"}),
            claims,
        )
    }

    pub(crate) fn forged(&self, claims: &Value) -> String {
        Self::sign(
            &self.forger,
            &json!({"alg": "RS256", "kid": "1", "typ": "JWT"}),
            claims,
        )
    }

    pub(crate) fn unsigned(&self, claims: &Value) -> String {
        let signed = Self::sign(&self.own, &json!({"alg": "none", "kid": "1"}), claims);
        format!("{}.", signed.rsplit_once('.').unwrap().0)
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Claims of a workflow on main of `acme/shop`, in the environment `staging`.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "sts.amazonaws.com", "sub": "repo:acme/shop:environment:staging",
        "repository": "acme/shop", "ref": "refs/heads/main", "environment": "staging", "actor": "rae", "run_id": "7",
        "iat": now(), "nbf": now(), "exp": now() + 300,
    })
}

/// Two accounts of one fresh world.
pub(crate) struct World {
    pub(crate) parts: Arc<Parts>,
    pub(crate) name: String,
    pub(crate) build: Credentials,
    pub(crate) dev: Credentials,
    pub(crate) build_id: String,
    pub(crate) dev_id: String,
    pub(crate) http: reqwest::Client,
}

static WORLDS: AtomicU32 = AtomicU32::new(1);

pub(crate) async fn world() -> World {
    let parts = parts().await;
    let number = WORLDS.fetch_add(1, Ordering::Relaxed);
    let (build_id, dev_id) = (format!("1000{number:08}"), format!("2000{number:08}"));
    let http = client();
    let name = format!("w{number}");
    let answer: Value = http
        .post(format!("{}/_sandbox/accounts", parts.url))
        .json(&json!({"world": name, "accounts": [build_id, dev_id]}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    World {
        build: credentials(&answer["accounts"][0]),
        dev: credentials(&answer["accounts"][1]),
        build_id,
        dev_id,
        http,
        name,
        parts,
    }
}

/// The control interface's spelling of credentials.
pub(crate) fn credentials(from: &Value) -> Credentials {
    let field = |name: &str| {
        from[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {from}"))
            .to_owned()
    };
    Credentials::new(
        field("access_key_id"),
        field("secret_access_key"),
        from["session_token"].as_str().map(str::to_owned),
        None,
        "test",
    )
}

pub(crate) fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap()
}

impl World {
    /// The SDK's configuration with some credentials, without retries, so that a refusal is seen as it is.
    pub(crate) async fn sdk(&self, credentials: &Credentials) -> aws_config::SdkConfig {
        use aws_smithy_http_client::{Builder, tls};
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        aws_config::defaults(aws_config::BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(&self.parts.url)
            .region(REGION)
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .credentials_provider(credentials.clone())
            .load()
            .await
    }

    /// One signed call by hand: for services without an SDK here, and for calls that no SDK would make.
    pub(crate) async fn call(
        &self,
        credentials: &Credentials,
        service: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let answer = self
            .signed(
                credentials,
                service,
                headers,
                body,
                credentials.secret_access_key(),
            )
            .await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn signed(
        &self,
        credentials: &Credentials,
        service: &str,
        headers: &[(&str, &str)],
        body: &str,
        secret: &str,
    ) -> reqwest::Response {
        let host = self.parts.url.trim_start_matches("http://");
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let format =
            time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let stamp = time::OffsetDateTime::now_utc().format(&format).unwrap();
        let scope = format!("{}/{REGION}/{service}/aws4_request", &stamp[..8]);
        let canonical = format!(
            "POST\n/\n\nhost:{host}\nx-amz-date:{stamp}\n\nhost;x-amz-date\n{}",
            hash(body)
        );
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hash(&canonical));
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        };
        let key = [&stamp[..8], REGION, service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
                sign(&key, part).as_ref().to_vec()
            });
        let mut request = self
            .http
            .post(format!("{}/", self.parts.url))
            .header("x-amz-date", &stamp)
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
                    credentials.access_key_id(),
                    hex(sign(&key, &text).as_ref())
                ),
            )
            .body(body.to_owned());
        if let Some(token) = credentials.session_token() {
            request = request.header("x-amz-security-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// An awsQuery call.
    pub(crate) async fn query(
        &self,
        credentials: &Credentials,
        service: &str,
        form: &[(&str, &str)],
    ) -> (u16, String) {
        let encode = |text: &str| {
            text.bytes()
                .map(|byte| {
                    if byte.is_ascii_alphanumeric() {
                        char::from(byte).to_string()
                    } else {
                        format!("%{byte:02X}")
                    }
                })
                .collect::<String>()
        };
        let body = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect::<Vec<_>>()
            .join("&");
        self.call(
            credentials,
            service,
            &[("content-type", "application/x-www-form-urlencoded")],
            &body,
        )
        .await
    }

    /// A role with a trust policy, made by IAM.
    pub(crate) async fn role(&self, credentials: &Credentials, name: &str, trust: &Value) {
        let form = [
            ("Action", "CreateRole"),
            ("Version", "2010-05-08"),
            ("RoleName", name),
            ("AssumeRolePolicyDocument", &trust.to_string()),
        ];
        let (status, text) = self.query(credentials, "iam", &form).await;
        assert_eq!(status, 200, "{text}");
    }

    /// The one inline policy of a role, which has the role's name.
    pub(crate) async fn permit(&self, credentials: &Credentials, role: &str, document: &Value) {
        let form = [
            ("Action", "PutRolePolicy"),
            ("Version", "2010-05-08"),
            ("RoleName", role),
            ("PolicyName", role),
            ("PolicyDocument", &document.to_string()),
        ];
        let (status, text) = self.query(credentials, "iam", &form).await;
        assert_eq!(status, 200, "{text}");
    }

    /// GitHub's identity provider, registered in an account for an audience.
    pub(crate) async fn provider(&self, credentials: &Credentials, audience: &str) {
        let form = [
            ("Action", "CreateOpenIDConnectProvider"),
            ("Version", "2010-05-08"),
            ("Url", ISSUER),
            ("ClientIDList.member.1", audience),
        ];
        let (status, text) = self.query(credentials, "iam", &form).await;
        assert_eq!(status, 200, "{text}");
    }

    /// A call to the control interface.
    pub(crate) async fn control(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self
            .http
            .post(format!("{}/_sandbox/{path}", self.parts.url))
            .json(body)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// The recorded calls of this world.
    pub(crate) async fn calls(&self) -> Vec<Value> {
        let url = format!("{}/_sandbox/calls?world={}", self.parts.url, self.name);
        let answer: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        answer["calls"].as_array().unwrap().clone()
    }
}

/// The code and message of an SDK error, of any operation.
pub(crate) fn refused<T: std::fmt::Debug, E, R>(
    outcome: Result<T, aws_sdk_sts::error::SdkError<E, R>>,
) -> (String, String)
where
    E: aws_sdk_sts::error::ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let error = outcome.expect_err("a refusal");
    let service = error
        .as_service_error()
        .unwrap_or_else(|| panic!("not an answer of the service: {error:?}"));
    (
        service.code().unwrap_or_default().to_owned(),
        service.message().unwrap_or_default().to_owned(),
    )
}

/// A session of a role.
pub(crate) async fn assume(world: &World, by: &Credentials, role: &str) -> Credentials {
    let answer = aws_sdk_sts::Client::new(&world.sdk(by).await)
        .assume_role()
        .role_arn(role)
        .role_session_name("next")
        .send()
        .await
        .unwrap();
    let given = answer.credentials().unwrap();
    Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        None,
        "t",
    )
}
