//! A registry that nothing was ever pushed to: CNCF distribution behind a password, on an address that was never used, so
//! that no client remembers what it sent there.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::user::User;
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::parts::Account;
use crate::probe::{Endpoint, Probe};
use crate::process::MARK;

/// A running registry, which ends and forgets everything when it is dropped.
pub(super) struct Fresh {
    process: Child,
    folder: PathBuf,
    /// `HOST:PORT`.
    pub(super) host: String,
}

impl Fresh {
    /// Starts one in `folder`, which must not be there, with clients' settings that `user` may use.
    pub(super) fn start(
        instance: &Instance,
        folder: &Path,
        account: &Account,
        user: &User,
    ) -> Result<Self> {
        fs::create_dir_all(folder).context(format!("creating {}", folder.display()))?;
        let at = unused(instance.ip)?;
        let file = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{at}', relativeurls: true}}\nauth: {{htpasswd: {{realm: bench, path: {}}}}}\n",
            folder.join("data").display(),
            account.file.display(),
        );
        fs::write(&file, text).context(format!("writing {}", file.display()))?;
        // The login for docker and skopeo; our step gets its own from ECR.
        let login = STANDARD.encode(format!("AWS:{}", account.password));
        let auths = json!({"auths": {at.to_string(): {"auth": login}}});
        let logins = folder.join("logins");
        fs::create_dir(&logins).context("creating a folder of logins")?;
        let plugins = instance.docker_config().join("cli-plugins");
        symlink(plugins, logins.join("cli-plugins")).context("linking the build plug-in")?;
        let file_of_logins = logins.join("config.json");
        fs::write(&file_of_logins, auths.to_string())
            .context(format!("writing {}", file_of_logins.display()))?;
        // buildx keeps notes beside the logins.
        user.own(&logins)?;
        let process = Command::new("/usr/bin/docker-registry")
            .args(["serve".as_ref(), file.as_os_str()])
            .env_clear()
            .env(MARK, format!("{}/bench", instance.id))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting a registry")?;
        let fresh = Self {
            process,
            folder: folder.to_owned(),
            host: at.to_string(),
        };
        let probe = Probe {
            at: Endpoint::Tcp(at),
            path: "/v2/",
            status: 401,
        };
        let began = Instant::now();
        while !probe.answers(Duration::from_secs(1)) {
            if began.elapsed() > Duration::from_secs(300) {
                return Err(Fault::new(format!("the registry at {at} does not answer")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(fresh)
    }

    /// The folder with the clients' `config.json`.
    pub(super) fn logins(&self) -> PathBuf {
        self.folder.join("logins")
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // One that ended by itself leaves nothing to kill; its folder goes all the same.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn unused(ip: Ipv4Addr) -> Result<SocketAddr> {
    TcpListener::bind((ip, 0))
        .and_then(|listener| listener.local_addr())
        .context(format!("finding a port on {ip}"))
}
