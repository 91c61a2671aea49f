//! Runs DynamoDB Local inside a network namespace of its own and lets a Unix socket lead to it: the emulator listens on
//! every interface and has no option against it, and a socket file is reachable across namespaces.

use std::path::Path;
use std::process::Stdio;

use tokio::net::{TcpStream, UnixListener};
use tokio::process::{Child, Command};

use crate::fault::{Context, Fault, Result};

/// The emulator's port, in a namespace where nothing else is.
const PORT: u16 = 8000;

/// Serves until the emulator ends.
pub async fn run(socket: &Path, emulator: &Path) -> Result<()> {
    if interfaces()? != ["lo"] {
        return Err(Fault::new(
            "refusing to run DynamoDB Local outside a network namespace of its own",
        )
        .hint("`cargo sandbox up` starts it rightly"));
    }
    loopback().await?;
    let mut java = java(emulator)?;
    if socket.exists() {
        std::fs::remove_file(socket).context(format!("removing {}", socket.display()))?;
    }
    let listener =
        UnixListener::bind(socket).context(format!("listening on {}", socket.display()))?;
    loop {
        tokio::select! {
            ended = java.wait() => {
                let status = ended.context("waiting for DynamoDB Local")?;
                return Err(Fault::new(format!("DynamoDB Local ended with {status}")));
            }
            accepted = listener.accept() => {
                let (mut client, _) = accepted.context("accepting a connection")?;
                tokio::spawn(async move {
                    // A refused connection while the emulator starts, or a reset, ends this one exchange only.
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", PORT)).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        }
    }
}

fn interfaces() -> Result<Vec<String>> {
    let entries =
        std::fs::read_to_string("/proc/net/dev").context("reading the network interfaces")?;
    Ok(entries
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
        .collect())
}

async fn loopback() -> Result<()> {
    let status = Command::new("ip")
        .args(["link", "set", "dev", "lo", "up"])
        .status()
        .await
        .context("running `ip`")?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::new(format!(
        "`ip link set dev lo up` ended with {status}"
    )))
}

/// One database for every access key (`-sharedDb`): each assumed role would otherwise see an empty one.
fn java(emulator: &Path) -> Result<Child> {
    Command::new("java")
        // One quick compiler and one thread that collects: in the minutes of a test run the optimising compiler uses more of
        // two processors than its code gives back, and a collector of many threads has nothing to do.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(format!(
            "-Djava.library.path={}",
            emulator.join("DynamoDBLocal_lib").display()
        ))
        .arg("-jar")
        // It writes a metadata file into the folder it starts in.
        .current_dir(emulator)
        .arg(emulator.join("DynamoDBLocal.jar"))
        .args([
            "-inMemory",
            "-sharedDb",
            "-disableTelemetry",
            "-port",
            &PORT.to_string(),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting java")
}
