//! A task's network: its containers share a network namespace with nothing but a loopback interface in it, and each of the task's
//! ports is listened to on the task's own address and forwarded into that namespace.
//!
//! The engine could do the same with a bridge and its proxy. But a bridge has state that outlives an engine: where another engine
//! of the machine hands out the same addresses, or containers of an ended one still have them, some tasks cannot be reached.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpStream as StdTcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// The ports of a task that is running. They are closed when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Published {
    ports: Vec<JoinHandle<()>>,
}

impl Published {
    /// Listens on `ports` of `address` and forwards what comes to the same ports of the container's loopback interface.
    ///
    /// # Errors
    /// The address is taken, or the process is not one of the container's that this process can see.
    pub(crate) async fn start(
        address: Ipv4Addr,
        ports: &[u16],
        container: &str,
        process: i64,
    ) -> io::Result<Self> {
        if ports.is_empty() {
            return Ok(Self::default());
        }
        let namespace = Arc::new(namespace(container, process)?);
        let mut published = Self::default();
        for port in ports.iter().copied() {
            let listener = TcpListener::bind((address, port)).await?;
            let namespace = namespace.clone();
            published
                .ports
                .push(tokio::spawn(forward(listener, namespace, port)));
        }
        Ok(published)
    }

    /// Closes the ports; when this returns, the address can be given to another task.
    pub(crate) async fn close(&mut self) {
        for port in self.ports.drain(..) {
            port.abort();
            // It was cancelled, as was asked for.
            let _ = port.await;
        }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        for port in &self.ports {
            port.abort();
        }
    }
}

/// The network namespace of a container's first process.
fn namespace(container: &str, process: i64) -> io::Result<File> {
    let namespace = File::open(format!("/proc/{process}/ns/net"))?;
    // Read after the file was opened, so that a process that took the number of an ended one is noticed.
    let groups = std::fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    if groups.contains(container) {
        return Ok(namespace);
    }
    Err(io::Error::other(format!(
        "process {process} does not belong to container {container}; does the engine run in a process namespace of its own?"
    )))
}

async fn forward(listener: TcpListener, namespace: Arc<File>, port: u16) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((mut client, _)) = accepted else {
                    // The process is out of file descriptors for a moment.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                let namespace = namespace.clone();
                connections.spawn(async move {
                    // A refused connection while the program starts, or a reset, ends this one exchange only.
                    if let Ok(mut server) = connect(namespace, port).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Connects from inside the namespace. A socket belongs to the namespace of the thread that made it for as long as it lives, and a
/// thread that has entered one does not come back, so each connection is made by a thread of its own.
async fn connect(namespace: Arc<File>, port: u16) -> io::Result<TcpStream> {
    let (answer, connected) = oneshot::channel();
    std::thread::Builder::new()
        .name("task-network".to_owned())
        .spawn(move || {
            let _ = answer.send(connect_inside(&namespace, port));
        })?;
    let stream = connected.await.map_err(io::Error::other)??;
    TcpStream::from_std(stream)
}

fn connect_inside(namespace: &File, port: u16) -> io::Result<StdTcpStream> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let stream = StdTcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_the_containers_is_refused() {
        let own = i64::from(std::process::id());
        let refused = namespace("0123456789abcdef", own).unwrap_err().to_string();
        assert!(
            refused.contains("does not belong to container 0123456789abcdef"),
            "{refused}"
        );
    }
}
