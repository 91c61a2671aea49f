//! Finds the workflow job behind a connection, since every job of a run holds the same token.
//!
//! A TCP peer's port leads through `/proc/net/tcp` to a socket, the socket to the process that holds it, and that
//! process or one of its parents carries the `GITHUB_JOB` the runner set. Works for processes of the same network
//! namespace, and needs the right to read other processes' environments.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// The variables that a runner set for the calling process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `GITHUB_JOB`: the job's key in its workflow file.
    pub job: String,
    /// `GITHUB_WORKFLOW`: the workflow's name. `act` names the called workflow here, GitHub the calling one.
    pub workflow: Option<String>,
}

/// Parents that are looked at before giving up, far more than a step has.
const MAX_PARENTS: usize = 64;

/// The process that holds the client's end of the connection `peer` → `local`, as a job of the run `run_id`.
///
/// Among a process and its parents the outermost one that carries this run's `GITHUB_RUN_ID` counts: that is the one the
/// runner started, and a step cannot pass for another job by changing its own environment.
///
/// # Errors
/// Says which link of the chain is missing.
pub fn identify(peer: SocketAddr, local: SocketAddr, run_id: u64) -> Result<Caller, String> {
    let inode = socket_inode(peer, local)
        .ok_or_else(|| format!("no socket of this machine is at {peer}"))?;
    let holders = holders(inode);
    if holders.is_empty() {
        return Err(format!("no process holds the socket at {peer}"));
    }
    let mut found: Option<Caller> = None;
    for pid in &holders {
        let Some(caller) = outermost(*pid, run_id) else {
            continue;
        };
        match &found {
            Some(other) if *other != caller => {
                return Err(format!(
                    "the socket at {peer} is shared by jobs '{}' and '{}'",
                    other.job, caller.job
                ));
            }
            _ => found = Some(caller),
        }
    }
    found.ok_or_else(|| format!("neither process {holders:?} nor its parents carry GITHUB_JOB with GITHUB_RUN_ID={run_id}"))
}

/// The inode of the client's socket: its own address is our peer, its remote address is ours.
fn socket_inode(peer: SocketAddr, local: SocketAddr) -> Option<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| {
            let text = std::fs::read_to_string(table).ok()?;
            text.lines().skip(1).find_map(|line| {
                let columns: Vec<&str> = line.split_whitespace().collect();
                let (own, remote) = (
                    parse_address(columns.get(1)?)?,
                    parse_address(columns.get(2)?)?,
                );
                (own == normal(peer) && remote == normal(local))
                    .then(|| columns.get(9)?.parse().ok())
                    .flatten()
                    .filter(|inode| *inode != 0)
            })
        })
}

/// `IP:PORT` with an IPv4 address carried in IPv6 made plain.
fn normal(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The kernel writes each 32-bit word of an address in the machine's order, little-endian here, and the port in hex.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}

/// Processes that have the socket open.
fn holders(inode: u64) -> Vec<u32> {
    let wanted = format!("socket:[{inode}]");
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|open| {
                open.flatten().any(|file| {
                    std::fs::read_link(file.path()).is_ok_and(|target| target == Path::new(&wanted))
                })
            })
        })
        .collect()
}

fn outermost(pid: u32, run_id: u64) -> Option<Caller> {
    let mut found = None;
    let mut pid = pid;
    for _ in 0..MAX_PARENTS {
        if pid <= 1 {
            break;
        }
        let environment = environment(pid);
        let of_this_run = environment
            .get("GITHUB_RUN_ID")
            .is_some_and(|id| *id == run_id.to_string());
        if let Some(job) = environment
            .get("GITHUB_JOB")
            .filter(|job| of_this_run && !job.is_empty())
        {
            found = Some(Caller {
                job: job.clone(),
                workflow: environment
                    .get("GITHUB_WORKFLOW")
                    .filter(|name| !name.is_empty())
                    .cloned(),
            });
        }
        let Some(parent) = parent(pid) else { break };
        pid = parent;
    }
    found
}

fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let text = String::from_utf8_lossy(entry);
            let (name, value) = text.split_once('=')?;
            name.starts_with("GITHUB_")
                .then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// The parent's id stands second after the command, which is in parentheses and may hold spaces and parentheses itself.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use super::*;

    /// Starts a shell that connects and waits, in the given environment, and says who the stand-in takes it for.
    fn identified(outer: &[(&str, &str)], inner: &str, run_id: u64) -> Result<Caller, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let script = format!(
            "{inner} bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}; echo x >&3; read -r _ <&3' ; true",
            local.port()
        );
        let mut child = Command::new("bash")
            .args(["-c", &script])
            .env_remove("GITHUB_JOB")
            .env_remove("GITHUB_RUN_ID")
            .envs(outer.iter().copied())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (mut stream, peer) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        let caller = identify(peer, local, run_id);
        drop(stream);
        child.wait().unwrap();
        caller
    }

    #[test]
    fn a_job_is_known_by_its_process_or_its_parents() {
        let env = [
            ("GITHUB_JOB", "deploy"),
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_WORKFLOW", "Promote"),
        ];
        let deploy = Caller {
            job: "deploy".into(),
            workflow: Some("Promote".into()),
        };
        assert_eq!(identified(&env, "", 77), Ok(deploy.clone()));
        assert_eq!(
            identified(&env, "env -i PATH=$PATH", 77),
            Ok(deploy.clone()),
            "the parent still carries it"
        );
        assert_eq!(
            identified(&env, "GITHUB_JOB=release", 77),
            Ok(deploy),
            "a step cannot pass for another job"
        );
    }

    #[test]
    fn another_run_or_no_run_is_nobody() {
        let env = [("GITHUB_JOB", "deploy"), ("GITHUB_RUN_ID", "77")];
        assert!(
            identified(&env, "", 78)
                .unwrap_err()
                .contains("GITHUB_RUN_ID=78")
        );
        assert!(identified(&[], "", 77).is_err());
    }

    #[test]
    fn kernel_addresses_are_read() {
        let address: SocketAddr = "127.0.0.1:4001".parse().unwrap();
        assert_eq!(parse_address("0100007F:0FA1"), Some(address));
        assert_eq!(
            parse_address("0000000000000000FFFF00000100007F:0FA1"),
            Some(address)
        );
    }
}
