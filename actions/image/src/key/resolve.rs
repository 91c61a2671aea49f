//! A base image's digest now, asked at its registry (OCI Distribution Specification, "Checking if
//! content exists in the registry") with the login that a pull would use.

use crate::credentials::{Login, Logins, account_and_region_of, users};
use crate::registry::MANIFESTS;
use kit::backoff::{self, Retryable};
use kit::env::Env;
use kit::id::Digest;
use net::Net;
use reqwest::StatusCode;
use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

/// A manifest is at most this long (OCI Distribution Specification, "Pushing Manifests").
const LONGEST: usize = 4 << 20;
/// How often a registry that is busy is asked, and the first wait in between.
const ATTEMPTS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// A reference taken apart as Docker does it (distribution/reference, "Grammar").
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// `docker.io` where none is written.
    host: String,
    name: String,
    tag: String,
    pub(super) digest: Option<Digest>,
}

impl Reference {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).ok()?)),
            None => (text, None),
        };
        // A colon after the last slash begins a tag, one before it a port.
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => (before, tag),
            _ => (rest, "latest"),
        };
        let (host, name) = match rest.split_once('/') {
            Some((host, name)) if host.contains(['.', ':']) || host == "localhost" => (host, name),
            _ => ("docker.io", rest),
        };
        let host = match host {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            host => host,
        };
        let name = match (host, name.contains('/')) {
            ("docker.io", false) => format!("library/{name}"),
            _ => name.to_owned(),
        };
        let plain = |text: &str, more: &[u8]| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        (!rest.is_empty() && plain(&name, b"._-/") && plain(tag, b"._-") && plain(host, b".-:"))
            .then(|| Self {
                host: host.to_owned(),
                name,
                tag: tag.to_owned(),
                digest,
            })
    }

    fn endpoint(&self) -> String {
        let name = match self.host.rsplit_once(':') {
            Some((name, _)) => name,
            None => &self.host,
        };
        let loopback =
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match self.host.as_str() {
            "docker.io" => "https://registry-1.docker.io".to_owned(),
            // As Docker does: on this machine a registry needs no certificate.
            host if loopback => format!("http://{host}"),
            host => format!("https://{host}"),
        }
    }
}

/// Why it is not known which digest a reference names. No text has a URL, which may hold a login.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("it is not an image reference")]
    NotAReference,
    /// The login that a pull would use cannot be read.
    #[error("{}", .0.line())]
    Login(#[source] Box<kit::Error>),
    #[error("{server} does not answer: {source}")]
    NoAnswer {
        server: String,
        source: reqwest::Error,
    },
    #[error("{server} answered {status}")]
    Status { server: String, status: StatusCode },
    #[error("{host} answered with no digest")]
    NoDigest { host: String },
    #[error("{0}")]
    CutOff(#[source] reqwest::Error),
    #[error("{host} answered with a manifest of more than 4 MiB")]
    TooLong { host: String },
    #[error("the registry names no place for tokens that a login may be sent to")]
    UnsafeRealm,
    #[error("the registry's token service answered no JSON")]
    NotJson(#[source] reqwest::Error),
    #[error("the registry's token service gave no token")]
    NoToken,
}

/// The service that gives tokens, as errors name it.
const TOKENS: &str = "the registry's token service";

impl Unresolved {
    fn no_answer(server: &str, error: reqwest::Error) -> Self {
        Self::NoAnswer {
            server: server.to_owned(),
            source: error.without_url(),
        }
    }

    /// Returns true if the registry is busy, so that it is worth asking again.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.as_u16() == 429 || status.is_server_error())
    }
}

/// The digest that `reference` names now.
///
/// # Errors
/// It is not known.
pub(super) async fn digest(
    net: &Net,
    env: &Env,
    logins: &Logins,
    reference: &Reference,
) -> Result<Digest, Unresolved> {
    if let Some(digest) = &reference.digest {
        return Ok(digest.clone());
    }
    let login = users::find(env, logins, &reference.host)
        .await
        .map_err(|error| Unresolved::Login(Box::new(error)))?;
    let attempt = Cell::new(0);
    let ask = || {
        attempt.set(attempt.get() + 1);
        ask(net, reference, login.as_ref(), attempt.get())
    };
    ask.retry(backoff::policy(ATTEMPTS, FIRST_WAIT))
        .when(Unresolved::is_busy)
        .await
}

async fn ask(
    net: &Net,
    reference: &Reference,
    login: Option<&Login>,
    attempt: u32,
) -> Result<Digest, Unresolved> {
    let first = send(net, reference, "HEAD", Authorization::None, attempt).await?;
    let (answer, token) = match first.status().as_u16() {
        401 => {
            let challenge = header(&first, "www-authenticate").unwrap_or_default();
            let token = match challenge.split_once(' ') {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
                    Some(token(net, rest, reference, login, attempt).await?)
                }
                _ => None,
            };
            let answer = send(
                net,
                reference,
                "HEAD",
                authorization(&token, login),
                attempt,
            )
            .await?;
            (answer, token)
        }
        // Without a login to offer, or with one that is not asked for.
        _ => (first, None),
    };
    checked(&answer, &reference.host)?;
    if let Some(digest) = header(&answer, "docker-content-digest") {
        return Digest::parse(&digest).map_err(|_| Unresolved::NoDigest {
            host: reference.host.clone(),
        });
    }
    // The header is not required; the manifest itself says it too.
    let mut answer = send(net, reference, "GET", authorization(&token, login), attempt).await?;
    checked(&answer, &reference.host)?;
    let mut manifest = Vec::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|error| Unresolved::CutOff(error.without_url()))?
    {
        manifest.extend_from_slice(&piece);
        if manifest.len() > LONGEST {
            let host = reference.host.clone();
            return Err(Unresolved::TooLong { host });
        }
    }
    Ok(crate::digest::digest(&manifest))
}

enum Authorization<'a> {
    None,
    Basic(&'a Login),
    Bearer(&'a str),
}

fn authorization<'a>(token: &'a Option<String>, login: Option<&'a Login>) -> Authorization<'a> {
    match (token, login) {
        (Some(token), _) => Authorization::Bearer(token),
        (None, Some(login)) => Authorization::Basic(login),
        (None, None) => Authorization::None,
    }
}

async fn send(
    net: &Net,
    reference: &Reference,
    method: &str,
    authorization: Authorization<'_>,
    attempt: u32,
) -> Result<reqwest::Response, Unresolved> {
    let url = format!(
        "{}/v2/{}/manifests/{}",
        reference.endpoint(),
        reference.name,
        reference.tag
    );
    let request = match method {
        "HEAD" => net.http().head(url),
        _ => net.http().get(url),
    }
    .header("accept", MANIFESTS.join(", "));
    let request = match authorization {
        Authorization::None => request,
        Authorization::Basic(login) => {
            request.basic_auth(&login.username, Some(login.secret.expose()))
        }
        Authorization::Bearer(token) => request.bearer_auth(token),
    };
    let account_and_region = account_and_region_of(&reference.host);
    net::send_to_registry(request, &account_and_region, attempt)
        .await
        .map_err(|error| Unresolved::no_answer(&reference.host, error))
}

fn checked(answer: &reqwest::Response, server: &str) -> Result<(), Unresolved> {
    let status = answer.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(Unresolved::Status {
            server: server.to_owned(),
            status,
        }),
    }
}

fn header(answer: &reqwest::Response, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

/// A token for pulling, from where the registry says (distribution/distribution, "Token
/// Authentication Specification"). The login goes over https only, or stays on this machine.
async fn token(
    net: &Net,
    challenge: &str,
    reference: &Reference,
    login: Option<&Login>,
    attempt: u32,
) -> Result<String, Unresolved> {
    let part = |wanted: &str| {
        let at = challenge.find(&format!("{wanted}=\""))? + wanted.len() + 2;
        let rest = &challenge[at..];
        Some(rest[..rest.find('"')?].to_owned())
    };
    let Some(realm) = part("realm").filter(|realm| safe(realm)) else {
        return Err(Unresolved::UnsafeRealm);
    };
    let joint = if realm.contains('?') { '&' } else { '?' };
    let mut url = format!(
        "{realm}{joint}scope={}",
        encoded(&format!("repository:{}:pull", reference.name))
    );
    if let Some(service) = part("service") {
        url.push_str(&format!("&service={}", encoded(&service)));
    }
    let request = match login {
        // An identity token is not a password; the registry is asked without.
        Some(login) if login.username != "<token>" => net
            .http()
            .get(url)
            .basic_auth(&login.username, Some(login.secret.expose())),
        _ => net.http().get(url),
    };
    let account_and_region = account_and_region_of(&reference.host);
    let answer = net::send_to_registry(request, &account_and_region, attempt)
        .await
        .map_err(|error| Unresolved::no_answer(TOKENS, error))?;
    checked(&answer, TOKENS)?;
    let answer: serde_json::Value = answer
        .json()
        .await
        .map_err(|error| Unresolved::NotJson(error.without_url()))?;
    ["token", "access_token"]
        .iter()
        .find_map(|name| answer.get(name)?.as_str().map(str::to_owned))
        .ok_or(Unresolved::NoToken)
}

fn safe(realm: &str) -> bool {
    let loopback = || {
        let host = realm.strip_prefix("http://")?.split(['/', '?']).next()?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.parse::<IpAddr>().ok().map(|ip| ip.is_loopback())
    };
    realm.starts_with("https://") || loopback().unwrap_or(false)
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests;
