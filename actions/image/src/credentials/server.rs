//! The step's side: a socket that hands a login to the processes this step started, and to
//! nobody else.

use super::login::{Logins, host};
use super::socket;
use kit::{Context, Result};
use rustix::process::Pid;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Serves logins until it is dropped.
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    /// Listens at `socket`, which must be in a folder that only this user can enter.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub(crate) fn start(path: &Path, logins: Logins) -> Result<Self> {
        Self::listen(path, logins, rustix::process::getpid())
    }

    fn listen(path: &Path, logins: Logins, ancestor: Pid) -> Result<Self> {
        let listener = socket::via_short_path(path, UnixListener::bind).context(format!(
            "cannot listen at {} for Docker's questions",
            path.display()
        ))?;
        Ok(Self(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One at a time is enough, and a silent client must not hold up the next.
                let _ =
                    tokio::time::timeout(Duration::from_secs(5), serve(stream, &logins, ancestor))
                        .await;
            }
        })))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers one question, if a process that `ancestor` started asks it.
async fn serve(mut stream: UnixStream, logins: &Logins, ancestor: Pid) -> std::io::Result<()> {
    let peer = stream.peer_cred()?;
    let ancestor = ancestor.as_raw_nonzero().get();
    if peer.uid() != rustix::process::geteuid().as_raw()
        || !peer
            .pid()
            .is_some_and(|pid| descends(pid, ancestor, parent))
    {
        return Ok(());
    }
    let mut server = String::new();
    (&mut stream).take(4096).read_to_string(&mut server).await?;
    if let Some(login) = logins.get(host(&server)) {
        let answer = serde_json::json!({
            "ServerURL": server.trim(),
            "Username": login.username,
            "Secret": login.secret.expose(),
        });
        stream.write_all(answer.to_string().as_bytes()).await?;
    }
    stream.shutdown().await
}

/// Returns whether `ancestor` started `pid`, directly or not. Another job of the same user on the same
/// machine did not.
fn descends(mut pid: i32, ancestor: i32, parent: impl Fn(i32) -> Option<i32>) -> bool {
    for _ in 0..64 {
        match parent(pid) {
            Some(next) if next == ancestor => return true,
            Some(next) if next > 1 => pid = next,
            _ => return false,
        }
    }
    false
}

/// The parent of a process.
fn parent(pid: i32) -> Option<i32> {
    Some(kit::stat::stat(pid)?.parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Login;
    use kit::Secret;

    #[test]
    fn only_descendants_are_answered() {
        let family = |pid| {
            [(5, 4), (4, 2), (2, 1), (9, 1), (7, 7)]
                .iter()
                .find(|(child, _)| *child == pid)
                .map(|(_, parent)| *parent)
        };
        for (pid, wanted) in [
            (5, true),
            (4, true),
            (9, false),
            (8, false),
            (7, false),
            (2, false),
        ] {
            assert_eq!(descends(pid, 2, family), wanted, "{pid}");
        }
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(
            parent(own),
            Some(rustix::process::getppid().unwrap().as_raw_nonzero().get())
        );
    }

    /// The answer that this process gets over the socket of a step that runs as `ancestor`.
    async fn asked(ancestor: Pid) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let logins = Logins::from([(
            "r:1".to_owned(),
            Login {
                username: "AWS".to_owned(),
                secret: Secret::new("hunter2".to_owned()),
            },
        )]);
        let _server = Server::listen(&path, logins, ancestor).unwrap();
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // A server that answers nothing may have closed already.
        let _ = stream.write_all(b"r:1").await;
        let _ = stream.shutdown().await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn only_a_process_the_step_started_gets_a_login() {
        let parent = rustix::process::getppid().unwrap();
        assert_eq!(
            asked(parent).await,
            r#"{"ServerURL":"r:1","Username":"AWS","Secret":"hunter2"}"#
        );
        // No process is its own descendant.
        assert_eq!(asked(rustix::process::getpid()).await, "");
    }
}
