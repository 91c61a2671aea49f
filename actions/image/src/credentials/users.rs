//! The logins that the user has already, where Docker and buildah keep them.

use super::{Login, Logins, host};
use base64::Engine;
use kit::env::Env;
use kit::{Context, Error, Result, Secret};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Docker's configuration folder.
pub(crate) fn folder(env: &Env) -> Option<PathBuf> {
    env.get("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(env.get("HOME")?).join(".docker")))
}

/// The files in which buildah looks for logins, the last first (containers-auth.json(5)).
pub(crate) fn containers(env: &Env) -> Vec<PathBuf> {
    let under = |name: &str| Some(Path::new(env.get(name)?).to_owned());
    [
        under("HOME").map(|folder| folder.join(".config/containers/auth.json")),
        under("XDG_CONFIG_HOME").map(|folder| folder.join("containers/auth.json")),
        under("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
        under("REGISTRY_AUTH_FILE"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A file of logins; nothing where there is none.
///
/// # Errors
/// A file that cannot be read or is not JSON (exit 2).
pub(crate) fn read(path: &Path) -> Result<Value> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    // serde_json's message may quote what it stumbled over, and the file may hold passwords.
    serde_json::from_slice(&text).map_err(|error| {
        Error::usage(format!(
            "{} is not JSON (line {}, column {})",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

/// The logins that stand in the file itself, by the server as it is written there.
pub(crate) fn logins(file: &Value) -> Vec<(String, Login)> {
    let Some(auths) = file.get("auths").and_then(Value::as_object) else {
        return Vec::new();
    };
    auths
        .iter()
        .filter_map(|(server, entry)| Some((server.clone(), login(entry)?)))
        .collect()
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

/// The login for a registry's host: the step's own, else the user's as Docker would find it, in
/// its configuration or by asking the credential helper named there.
///
/// # Errors
/// A configuration that cannot be read.
pub(crate) async fn find(env: &Env, ours: &Logins, registry: &str) -> Result<Option<Login>> {
    if let Some(login) = ours.get(registry) {
        return Ok(Some(login.clone()));
    }
    let Some(folder) = folder(env) else {
        return Ok(None);
    };
    let file = read(&folder.join("config.json"))?;
    let server = match registry {
        "docker.io" => "https://index.docker.io/v1/",
        host => host,
    };
    let helper = file
        .get("credHelpers")
        .and_then(|helpers| helpers.get(server))
        .or_else(|| file.get("credsStore"))
        .and_then(Value::as_str);
    if let Some(helper) = helper
        && let Some(login) = ask(env, helper, server).await
    {
        return Ok(Some(login));
    }
    Ok(logins(&file)
        .into_iter()
        .find(|(there, _)| host(there) == host(server))
        .map(|(_, login)| login))
}

/// The answer of a credential helper; a helper that fails has no login (docker-credential-helpers,
/// "Development").
async fn ask(env: &Env, helper: &str, server: &str) -> Option<Login> {
    // The name becomes a program's; a path in it would be another program.
    if helper.contains('/') {
        return None;
    }
    let program = format!("docker-credential-{helper}");
    let path = std::env::split_paths(env.get("PATH")?)
        .map(|folder| folder.join(&program))
        .find(|path| path.is_file())?;
    let mut child = Command::new(path)
        .arg("get")
        .env_clear()
        .envs(env.for_child())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    stdin.write_all(server.as_bytes()).await.ok()?;
    drop(stdin);
    let output = child.wait_with_output().await.ok()?;
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    let text = |name: &str| answer.get(name)?.as_str().map(str::to_owned);
    output.status.success().then_some(Login {
        username: text("Username")?,
        secret: Secret::new(text("Secret")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_login_is_ours_or_found_where_docker_finds_it() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("docker-credential-test");
        step_job::program(
            &program,
            "#!/bin/sh\nread -r server\n[ \"$server\" = helped.example ] || exit 1\necho '{\"Username\":\"h\",\"Secret\":\"hunter2\"}'\n",
        );
        std::fs::write(
            home.path().join("config.json"),
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpodW50ZXIz"}, "ours.example": {"auth": "eDp5"}}, "credHelpers": {"helped.example": "test", "other.example": "test", "bad.example": "../test"}}"#,
        )
        .unwrap();
        let folder = home.path().to_str().unwrap();
        let path = format!("{folder}:/usr/bin:/bin");
        let env = Env::from([("DOCKER_CONFIG", folder), ("PATH", &path)]);
        let ours = Logins::from([(
            "ours.example".to_owned(),
            Login {
                username: "AWS".to_owned(),
                secret: Secret::new("t".to_owned()),
            },
        )]);
        for (registry, wanted) in [
            ("ours.example", Some(("AWS", "t"))),
            ("docker.io", Some(("u", "hunter3"))),
            ("helped.example", Some(("h", "hunter2"))),
            ("other.example", None),
            ("bad.example", None),
            ("none.example", None),
        ] {
            let found = find(&env, &ours, registry).await.unwrap();
            let found = found
                .as_ref()
                .map(|login| (login.username.as_str(), login.secret.expose()));
            assert_eq!(found, wanted, "{registry}");
        }
    }
}
