//! The builder's configuration for one run: this binary as credential helper for the registries
//! the step knows, and of the user's own configuration what base image pulls need, without any
//! secret in it. Docker reads it as `config.json`, buildah as its authentication file, which has
//! the same form (containers-auth.json(5)).

use crate::credentials::{HELPER, Logins, host, users};
use kit::env::Env;
use kit::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Keys that are taken over as they are: names of programs, folders and contexts.
const KEPT: [&str; 3] = ["credsStore", "currentContext", "cliPluginsExtraDirs"];
/// The entries of the configuration folder beside the file: plug-ins, engines' addresses,
/// and buildx's builders.
const LINKED: [&str; 3] = ["cli-plugins", "contexts", "buildx"];

/// Makes the folder `into` and writes the configuration there. `buildah` has further files of
/// logins, and another name for Docker Hub.
pub(super) fn write(
    into: &Path,
    env: &Env,
    logins: &Logins,
    buildah: bool,
) -> Result<DockerConfig> {
    let failure = format!("cannot write {}", into.display());
    std::fs::create_dir(into).context(&failure)?;
    let mut user = Value::Null;
    if let Some(folder) = users::folder(env) {
        user = users::read(&folder.join("config.json"))?;
        for name in LINKED {
            let source = folder.join(name);
            if source.exists() {
                std::os::unix::fs::symlink(source, into.join(name)).context(&failure)?;
            }
        }
    }
    let mut all = vec![user];
    if buildah {
        for file in users::containers(env) {
            all.insert(0, users::read(&file)?);
        }
    }
    let made = make(&all, logins);
    std::fs::write(into.join("config.json"), made.config.to_string()).context(&failure)?;
    Ok(made)
}

pub(super) struct DockerConfig {
    config: Value,
    /// The logins that the helper answers with.
    pub(super) logins: Logins,
    /// The warnings for the user.
    pub(super) warning: Option<String>,
}

/// Passwords in the user's `auths` stay where they are: the helper answers for them from memory.
/// Of several files the first that has something to say of a host counts.
fn make(users: &[Value], logins: &Logins) -> DockerConfig {
    let mut made = DockerConfig {
        config: Value::Null,
        logins: Logins::new(),
        warning: None,
    };
    let mut config = Map::new();
    let mut helpers = Map::new();
    for user in users {
        for key in KEPT {
            if let Some(value) = user.get(key) {
                config.entry(key).or_insert_with(|| value.clone());
            }
        }
        if let Some(proxies) = user.get("proxies") {
            if proxies.to_string().contains('@') {
                made.warning = Some(
                    "the proxies of Docker's configuration hold a password and are left out; pass them as --build-arg if the build needs them".to_owned(),
                );
            } else {
                config.insert("proxies".to_owned(), proxies.clone());
            }
        }
        if let Some(Value::Object(theirs)) = user.get("credHelpers") {
            for (server, helper) in theirs {
                helpers
                    .entry(server.clone())
                    .or_insert_with(|| helper.clone());
            }
        }
        for (server, login) in users::logins(user) {
            // Docker Hub is looked up by its whole URL, every other registry by its host; buildah
            // calls it docker.io.
            let keys = match host(&server) {
                "index.docker.io" | "docker.io" => {
                    made.logins
                        .entry("docker.io".to_owned())
                        .or_insert_with(|| login.clone());
                    vec!["https://index.docker.io/v1/", "docker.io"]
                }
                host => vec![host],
            };
            for key in keys {
                helpers.entry(key).or_insert_with(|| json!(HELPER));
            }
            let host = match host(&server) {
                "docker.io" => "index.docker.io",
                host => host,
            };
            made.logins.entry(host.to_owned()).or_insert(login);
        }
    }
    for (host, login) in logins {
        made.logins.insert(host.clone(), login.clone());
        helpers.insert(host.clone(), json!(HELPER));
    }
    config.insert("credHelpers".to_owned(), Value::Object(helpers));
    made.config = Value::Object(config);
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Login;
    use kit::Secret;

    fn logins() -> Logins {
        let login = Login {
            username: "AWS".to_owned(),
            secret: Secret::new("token".to_owned()),
        };
        Logins::from([("127.0.0.1:4002".to_owned(), login)])
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
        let made = make(&[user], &logins());
        assert_eq!(
            made.config,
            json!({
                "credsStore": "pass",
                "currentContext": "remote",
                "credHelpers": {
                    "gcr.io": "gcloud",
                    "127.0.0.1:4002": "slipway-image",
                    "https://index.docker.io/v1/": "slipway-image",
                    "docker.io": "slipway-image",
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
                ("docker.io", "u", "hunter2"),
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
        write(&into, &env, &logins(), false).unwrap();
        assert_eq!(
            std::fs::read_to_string(into.join("config.json")).unwrap(),
            r#"{"credHelpers":{"127.0.0.1:4002":"slipway-image"}}"#
        );
    }

    #[test]
    fn buildah_s_own_logins_come_first_and_stay_out_of_the_file() {
        let home = tempfile::tempdir().unwrap();
        let auth = home.path().join("auth.json");
        std::fs::write(
            &auth,
            r#"{"auths": {"quay.io/acme": {"auth": "dTpodW50ZXIy"}}}"#,
        )
        .unwrap();
        std::fs::write(
            home.path().join("config.json"),
            r#"{"auths": {"quay.io": {"auth": "dTpodW50ZXIz"}}, "credHelpers": {"gcr.io": "gcloud"}}"#,
        )
        .unwrap();
        let folder = home.path().to_str().unwrap();
        let env = Env::from([
            ("DOCKER_CONFIG", folder),
            ("REGISTRY_AUTH_FILE", auth.to_str().unwrap()),
        ]);
        let into = home.path().join("made");
        let made = write(&into, &env, &logins(), true).unwrap();
        assert_eq!(made.logins["quay.io"].secret.expose(), "hunter2");
        assert_eq!(
            std::fs::read_to_string(into.join("config.json")).unwrap(),
            r#"{"credHelpers":{"quay.io":"slipway-image","gcr.io":"gcloud","127.0.0.1:4002":"slipway-image"}}"#
        );
    }

    #[test]
    fn a_broken_configuration_is_named_and_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.json"), r#"{"auths": hunter2}"#).unwrap();
        let env = Env::from([("DOCKER_CONFIG", home.path().to_str().unwrap())]);
        let error = write(&home.path().join("made"), &env, &logins(), false)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not JSON (line 1, column 11)"), "{error}");
        assert!(!error.contains("hunter"), "{error}");
    }
}
