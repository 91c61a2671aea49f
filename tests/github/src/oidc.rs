//! The Actions OIDC issuer: one RSA key made at start, its JWKS and discovery document, and signed identity tokens.
//!
//! Claims as in GitHub's "OpenID Connect reference".

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::Error;
use crate::actions::Job;
use crate::http::percent_encode;
use crate::state::{Repo, Run, State};

/// The issuer GitHub's tokens name, whatever address serves them.
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Seconds a token lives.
const LIFETIME: i64 = 300;

/// The issuer's key.
pub(crate) struct Signer {
    key: RsaKeyPair,
    id: String,
    modulus: String,
    exponent: String,
}

impl Signer {
    /// Makes a 2048-bit key. It exists in memory only; `openssl` writes it to a pipe.
    pub(crate) fn generate() -> Result<Self, Error> {
        let output = Command::new("openssl")
            .args([
                "genpkey",
                "-quiet",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::SigningKey(error.to_string()))?;
        if !output.status.success() {
            return Err(Error::SigningKey(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        // PEM is PKCS#8 here; openssl's DER would be the older form, which ring does not read.
        let pem = String::from_utf8_lossy(&output.stdout);
        let body: String = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let der = STANDARD
            .decode(body)
            .map_err(|error| Error::SigningKey(error.to_string()))?;
        let key =
            RsaKeyPair::from_pkcs8(&der).map_err(|error| Error::SigningKey(error.to_string()))?;
        let public: PublicKeyComponents<Vec<u8>> = key.public().into();
        let id = ring::digest::digest(&ring::digest::SHA256, &public.n);
        Ok(Self {
            id: id
                .as_ref()
                .iter()
                .take(20)
                .map(|byte| format!("{byte:02X}"))
                .collect(),
            modulus: URL_SAFE_NO_PAD.encode(&public.n),
            exponent: URL_SAFE_NO_PAD.encode(&public.e),
            key,
        })
    }

    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.id, "n": self.modulus, "e": self.exponent}]})
    }

    /// Signs claims as a compact JWT with RS256.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, String> {
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": self.id});
        let body = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &ring::rand::SystemRandom::new(),
                body.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "the signing key refused".to_owned())?;
        Ok(format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The discovery document, keys served from `base`.
pub(crate) fn configuration(base: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{base}/.well-known/jwks"),
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "claims_supported": [
            "sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "sha", "repository", "repository_id", "repository_owner",
            "repository_owner_id", "repository_visibility", "run_id", "run_number", "run_attempt", "actor", "actor_id", "workflow",
            "workflow_ref", "workflow_sha", "head_ref", "base_ref", "event_name", "ref_type", "ref_protected", "environment",
            "job_workflow_ref", "job_workflow_sha", "runner_environment", "check_run_id"
        ],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    })
}

/// `sub` of a job's token. Repositories created after July 15, 2026 name owner and repository with their ids.
pub(crate) fn subject(state: &State, repo: &Repo, run: &Run, job: &Job) -> String {
    let escape = |text: &str| text.replace(':', "%3A");
    let repository = if repo.immutable_subject {
        format!(
            "{}@{}/{}@{}",
            repo.owner,
            state.user_id(&repo.owner),
            repo.name,
            repo.id
        )
    } else {
        repo.full_name()
    };
    let context = match (&job.environment, run.event.as_str()) {
        (Some(environment), _) => format!("environment:{}", escape(environment)),
        (None, "pull_request") => "pull_request".to_owned(),
        (None, _) => format!("ref:{}", escape(&run.full_ref())),
    };
    format!("repo:{repository}:{context}")
}

/// Claims of one job's token; every custom claim is text, as GitHub's are.
pub(crate) fn claims(
    state: &State,
    repo: &Repo,
    run: &Run,
    job: &Job,
    audience: Option<&str>,
    now: i64,
) -> Value {
    let owner = &repo.owner;
    let workflow_ref = format!("{}/{}@{}", repo.full_name(), run.path, run.full_ref());
    let mut claims = json!({
        "jti": uuid::Uuid::new_v4().to_string(),
        "iss": ISSUER,
        "sub": subject(state, repo, run, job),
        "aud": audience.map_or_else(|| format!("https://github.com/{owner}"), str::to_owned),
        "iat": now,
        "nbf": now - 600,
        "exp": now + LIFETIME,
        "ref": run.full_ref(),
        "ref_type": if run.full_ref().starts_with("refs/tags/") { "tag" } else { "branch" },
        "ref_protected": if run.proposed.is_none() && repo.rules.contains_key(&run.head_branch) { "true" } else { "false" },
        "sha": run.sha(),
        "repository": repo.full_name(),
        "repository_id": repo.id.to_string(),
        "repository_owner": owner,
        "repository_owner_id": state.user_id(owner).to_string(),
        "repository_visibility": if repo.private { "private" } else { "public" },
        "run_id": run.id.to_string(),
        "run_number": run.number.to_string(),
        "run_attempt": run.attempt.to_string(),
        "actor": run.actor,
        "actor_id": state.user_id(&run.actor).to_string(),
        "event_name": run.event,
        "head_ref": run.proposed.as_ref().map_or("", |_| &run.head_branch),
        "base_ref": run.proposed.as_ref().map_or("", |proposed| &proposed.base),
        "workflow": run.workflow_name,
        "workflow_ref": workflow_ref,
        "workflow_sha": run.sha(),
        "job_workflow_ref": job.workflow_ref.clone().unwrap_or(workflow_ref),
        "job_workflow_sha": job.workflow_sha.clone().unwrap_or_else(|| run.sha().to_owned()),
        "runner_environment": "github-hosted",
        "check_run_id": job.id.to_string(),
    });
    if let (Some(environment), Some(fields)) = (&job.environment, claims.as_object_mut()) {
        fields.insert("environment".to_owned(), json!(environment));
    }
    claims
}

/// Where a job of this run asks for its token. GitHub's address carries a query already, and clients append `&audience=`.
pub(crate) fn request_url(base: &str, run: u64) -> String {
    format!(
        "{base}/_actions/oidc/{}/idtoken?api-version=2.0",
        percent_encode(&run.to_string())
    )
}
