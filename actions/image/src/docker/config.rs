//! Docker's configuration for one run: this binary as credential helper for the registry pushed
//! to, and of the user's own configuration what base image pulls need, without any secret in it.

use crate::credentials::{HELPER, Login, host};
use crate::registry::Registry;
use base64::Engine;
use kit::env::Env;
use kit::{Context, Error, Result, Secret};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keys that are taken over as they are: names of programs, folders and contexts.
const KEPT: [&str; 3] = ["credsStore", "currentContext", "cliPluginsExtraDirs"];
/// What belongs to the configuration folder but is not the file: plug-ins, engines' addresses,
/// and buildx's builders.
const LINKED: [&str; 3] = ["cli-plugins", "contexts", "buildx"];

/// Makes the folder `into` and writes the configuration there. Returns the logins that the
/// helper must answer with, and what the user should know.
pub(super) fn write(
    into: &Path,
    env: &Env,
    registry: &Registry,
) -> Result<(BTreeMap<String, Login>, Option<String>)> {
    let what = format!("cannot write {}", into.display());
    std::fs::create_dir(into).context(&what)?;
    let mut user = Value::Null;
    if let Some(folder) = folder(env) {
        user = read(&folder.join("config.json"))?;
        for name in LINKED {
            let there = folder.join(name);
            if there.exists() {
                std::os::unix::fs::symlink(there, into.join(name)).context(&what)?;
            }
        }
    }
    let made = make(&user, registry);
    std::fs::write(into.join("config.json"), made.config.to_string()).context(&what)?;
    Ok((made.logins, made.warning))
}

fn folder(env: &Env) -> Option<PathBuf> {
    env.get("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(env.get("HOME")?).join(".docker")))
}

fn read(path: &Path) -> Result<Value> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    // serde_json's message may quote what it stumbled over, and the file may hold passwords.
    serde_json::from_slice(&text).map_err(|error| {
        Error::usage(format!(
            "{} is no JSON (line {}, column {})",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

struct Made {
    config: Value,
    logins: BTreeMap<String, Login>,
    warning: Option<String>,
}

/// Passwords in the user's `auths` stay where they are: the helper answers for them from memory.
fn make(user: &Value, registry: &Registry) -> Made {
    let mut config = Map::new();
    for key in KEPT {
        if let Some(value) = user.get(key) {
            config.insert(key.to_owned(), value.clone());
        }
    }
    let mut warning = None;
    if let Some(proxies) = user.get("proxies") {
        if proxies.to_string().contains('@') {
            warning = Some(
                "the proxies of Docker's configuration hold a password and are left out; pass them as --build-arg if the build needs them".to_owned(),
            );
        } else {
            config.insert("proxies".to_owned(), proxies.clone());
        }
    }
    let mut helpers = match user.get("credHelpers") {
        Some(Value::Object(helpers)) => helpers.clone(),
        _ => Map::new(),
    };
    let mut logins = BTreeMap::new();
    for (server, entry) in user
        .get("auths")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(login) = login(entry) {
            logins.insert(host(server).to_owned(), login);
            // Docker Hub is looked up by its whole URL, every other registry by its host.
            let key = match host(server) {
                "index.docker.io" => server.as_str(),
                host => host,
            };
            helpers.entry(key).or_insert_with(|| json!(HELPER));
        }
    }
    logins.insert(registry.host.clone(), registry.login.clone());
    helpers.insert(registry.host.clone(), json!(HELPER));
    config.insert("credHelpers".to_owned(), Value::Object(helpers));
    Made {
        config: Value::Object(config),
        logins,
        warning,
    }
}

/// An entry of `auths`: `auth` is base64 of `user:password`; an identity token goes by the user
/// name `<token>` (docker/cli, `cli/config/types/authconfig.go`).
fn login(entry: &Value) -> Option<Login> {
    let text = |key: &str| entry.get(key)?.as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Some(Login {
            username: "<token>".to_owned(),
            secret: Secret::new(token.to_owned()),
        });
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text("auth")?)
        .ok()?;
    let decoded = String::from_utf8(bytes).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Login {
        username: username.to_owned(),
        secret: Secret::new(password.trim_end_matches('\0').to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::new("http://127.0.0.1:4002", "QVdTOnRva2Vu").unwrap()
    }

    #[test]
    fn the_file_holds_names_and_the_secrets_stay_in_memory() {
        let user = json!({
            "auths": {
                "https://index.docker.io/v1/": {"auth": "dTpodW50ZXIy"},
                "https://ghcr.io": {"identitytoken": "hunter3"},
                "stored.example": {},
            },
            "credsStore": "pass",
            "credHelpers": {"gcr.io": "gcloud", "127.0.0.1:4002": "ecr-login"},
            "HttpHeaders": {"X": "hunter4"},
            "proxies": {"default": {"httpProxy": "http://u:hunter5@proxy"}},
            "currentContext": "remote",
        });
        let made = make(&user, &registry());
        assert_eq!(
            made.config,
            json!({
                "credsStore": "pass",
                "currentContext": "remote",
                "credHelpers": {
                    "gcr.io": "gcloud",
                    "127.0.0.1:4002": "slipway-image",
                    "https://index.docker.io/v1/": "slipway-image",
                    "ghcr.io": "slipway-image",
                },
            })
        );
        assert!(made.warning.is_some());
        let logins: Vec<_> = made
            .logins
            .iter()
            .map(|(host, login)| {
                (
                    host.as_str(),
                    login.username.as_str(),
                    login.secret.expose(),
                )
            })
            .collect();
        assert_eq!(
            logins,
            [
                ("127.0.0.1:4002", "AWS", "token"),
                ("ghcr.io", "<token>", "hunter3"),
                ("index.docker.io", "u", "hunter2"),
            ]
        );
    }

    #[test]
    fn without_a_configuration_only_the_registry_is_named() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::from([("HOME", home.path().to_str().unwrap())]);
        let into = home.path().join("made");
        write(&into, &env, &registry()).unwrap();
        assert_eq!(
            std::fs::read_to_string(into.join("config.json")).unwrap(),
            r#"{"credHelpers":{"127.0.0.1:4002":"slipway-image"}}"#
        );
    }

    #[test]
    fn a_broken_configuration_is_named_and_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.json"), r#"{"auths": hunter2}"#).unwrap();
        let env = Env::from([("DOCKER_CONFIG", home.path().to_str().unwrap())]);
        let error = write(&home.path().join("made"), &env, &registry())
            .unwrap_err()
            .to_string();
        assert!(error.contains("is no JSON (line 1, column 11)"), "{error}");
        assert!(!error.contains("hunter"), "{error}");
    }
}
