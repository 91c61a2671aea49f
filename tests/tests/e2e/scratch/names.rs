//! A name server of one zone: it answers where the hosts of the test are, and remembers what it was asked.
//! The format of a message: RFC 1035, section 4.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const A: u16 = 1;
const NO_SUCH_NAME: u8 = 3;

pub(crate) struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Answers on port 53 of `address` that each of `hosts` is at `address`, and that no other name exists.
    pub(crate) fn start(address: Ipv4Addr, hosts: &'static [&'static str]) -> Self {
        let socket = UdpSocket::bind((address, 53)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let (asked, stop) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (log, end) = (asked.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut message = [0; 1500];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut message) else {
                    continue;
                };
                let question = Question::read(&message[..length]).unwrap();
                let answer = question.answer(hosts.contains(&question.name.as_str()), address);
                log.lock().unwrap().push(question.name);
                socket.send_to(&answer, peer).unwrap();
            }
        });
        Self {
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// The names it was asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Question {
    name: String,
    kind: u16,
    id: [u8; 2],
    /// Name, type and class as they were asked, which an answer repeats.
    bytes: Vec<u8>,
}

impl Question {
    fn read(message: &[u8]) -> Option<Self> {
        let id = message.get(..2)?.try_into().ok()?;
        let body = message.get(12..)?;
        let (mut labels, mut at) = (Vec::new(), 0);
        loop {
            let length = usize::from(*body.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8(body.get(at..at + length)?.to_vec()).ok()?);
            at += length;
        }
        Some(Self {
            name: labels.join(".").to_lowercase(),
            kind: u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?),
            id,
            bytes: body.get(..at + 4)?.to_vec(),
        })
    }

    /// An address for a host's A, nothing for its other types, and for other names that there are none.
    fn answer(&self, known: bool, address: Ipv4Addr) -> Vec<u8> {
        let found = known && self.kind == A;
        let code = if known { 0 } else { NO_SUCH_NAME };
        let mut message = self.id.to_vec();
        // An authoritative response, recursion asked for and available.
        message.extend([0x85, 0x80 | code]);
        message.extend([0, 1, 0, u8::from(found), 0, 0, 0, 0]);
        message.extend(&self.bytes);
        if found {
            // The question's name, type A, class IN, one minute, four bytes.
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            message.extend(address.octets());
        }
        message
    }
}
