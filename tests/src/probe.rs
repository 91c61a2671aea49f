//! Asks a part whether it answers: one HTTP/1.0 request over TCP or a Unix socket, nothing cached, everything bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Where a part answers, and with what.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The endpoint.
    pub at: Endpoint,
    /// The path to get.
    pub path: &'static str,
    /// The status that only this part, ready, answers.
    pub status: u16,
}

/// An address or a socket file.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Probe {
    /// Returns true if the part answers as it should, within `timeout`.
    pub fn answers(&self, timeout: Duration) -> bool {
        self.ask(timeout)
            .is_ok_and(|status| status == Some(self.status))
    }

    fn ask(&self, timeout: Duration) -> std::io::Result<Option<u16>> {
        match &self.at {
            Endpoint::Tcp(address) => {
                let mut stream = TcpStream::connect_timeout(address, timeout)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                exchange(&mut stream, self.path)
            }
            Endpoint::Unix(file) => {
                let mut stream = UnixStream::connect(file)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                exchange(&mut stream, self.path)
            }
        }
    }
}

fn exchange(stream: &mut (impl Read + Write), path: &str) -> std::io::Result<Option<u16>> {
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: sandbox\r\n\r\n").as_bytes())?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head)?;
    Ok(std::str::from_utf8(&head)
        .ok()
        .and_then(|head| head.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(answer);
        });
        address
    }

    fn probe(at: SocketAddr) -> bool {
        Probe {
            at: Endpoint::Tcp(at),
            path: "/",
            status: 401,
        }
        .answers(Duration::from_secs(2))
    }

    #[test]
    fn only_the_expected_status_counts() {
        assert!(probe(server(b"HTTP/1.1 401 Unauthorized\r\n\r\n")));
        assert!(!probe(server(b"HTTP/1.1 200 OK\r\n\r\n")));
        assert!(!probe(server(b"SSH-2.0-OpenSSH_9.2p1\r\n")));
    }

    #[test]
    fn a_closed_port_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(!probe(address));
    }
}
