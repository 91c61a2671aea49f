//! A base image's digest now, asked at its registry (OCI Distribution Specification, "Checking if
//! content exists in the registry") with the login that a pull would use.

use crate::credentials::{Login, Logins, account_and_region_of, users};
use crate::registry::MANIFESTS;
use kit::backoff::attempts;
use kit::env::Env;
use kit::id::Digest;
use net::Net;
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

/// The digest that `reference` names now, or why that is not known.
pub(super) async fn digest(
    net: &Net,
    env: &Env,
    logins: &Logins,
    reference: &Reference,
) -> Result<Digest, String> {
    if let Some(digest) = &reference.digest {
        return Ok(digest.clone());
    }
    let login = users::find(env, logins, &reference.host)
        .await
        .map_err(|error| {
            [vec![error.message.clone()], error.causes()]
                .concat()
                .join(": ")
        })?;
    let mut why = String::new();
    for (attempt, pause) in (1..).zip(attempts(ATTEMPTS, FIRST_WAIT)) {
        tokio::time::sleep(pause).await;
        match ask(net, reference, login.as_ref(), attempt).await {
            Ok(digest) => return Ok(digest),
            Err(Asked::Busy(status)) => why = status,
            Err(Asked::No(why)) => return Err(why),
        }
    }
    Err(why)
}

enum Asked {
    /// Worth asking again.
    Busy(String),
    No(String),
}

async fn ask(
    net: &Net,
    reference: &Reference,
    login: Option<&Login>,
    attempt: u32,
) -> Result<Digest, Asked> {
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
    checked(&answer, reference)?;
    if let Some(digest) = header(&answer, "docker-content-digest") {
        return Digest::parse(&digest)
            .map_err(|_| Asked::No(format!("{} answered with no digest", reference.host)));
    }
    // The header is not required; the manifest itself says it too.
    let mut answer = send(net, reference, "GET", authorization(&token, login), attempt).await?;
    checked(&answer, reference)?;
    let mut manifest = Vec::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|error| Asked::No(error.without_url().to_string()))?
    {
        manifest.extend_from_slice(&piece);
        if manifest.len() > LONGEST {
            return Err(Asked::No(format!(
                "{} answered with a manifest of more than 4 MiB",
                reference.host
            )));
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
) -> Result<reqwest::Response, Asked> {
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
        .map_err(|error| {
            Asked::No(format!(
                "{} does not answer: {}",
                reference.host,
                error.without_url()
            ))
        })
}

fn checked(answer: &reqwest::Response, reference: &Reference) -> Result<(), Asked> {
    let status = answer.status();
    let why = format!("{} answered {status}", reference.host);
    match status.as_u16() {
        200..=299 => Ok(()),
        429 | 500..=599 => Err(Asked::Busy(why)),
        _ => Err(Asked::No(why)),
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
) -> Result<String, Asked> {
    let part = |wanted: &str| {
        let at = challenge.find(&format!("{wanted}=\""))? + wanted.len() + 2;
        let rest = &challenge[at..];
        Some(rest[..rest.find('"')?].to_owned())
    };
    let Some(realm) = part("realm").filter(|realm| safe(realm)) else {
        return Err(Asked::No(
            "the registry names no place for tokens that a login may be sent to".to_owned(),
        ));
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
        .map_err(|error| {
            Asked::No(format!(
                "the registry's token service does not answer: {}",
                error.without_url()
            ))
        })?;
    let status = answer.status();
    let why = format!("the registry's token service answered {status}");
    match status.as_u16() {
        200..=299 => {}
        429 | 500..=599 => return Err(Asked::Busy(why)),
        _ => return Err(Asked::No(why)),
    }
    let answer: serde_json::Value = answer
        .json()
        .await
        .map_err(|_| Asked::No("the registry's token service answered no JSON".to_owned()))?;
    ["token", "access_token"]
        .iter()
        .find_map(|name| answer.get(name)?.as_str().map(str::to_owned))
        .ok_or_else(|| Asked::No("the registry's token service gave no token".to_owned()))
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
