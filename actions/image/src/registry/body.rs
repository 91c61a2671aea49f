//! Bodies of uploads: read block by block, counted as they are sent, and given up when they stall.

use super::fault::{Fault, Kind};
use super::request::Request;
use bytes::Bytes;
use futures_util::stream;
use kit::{Context, Error};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The bytes that are read at once. Two blocks wait while a third is sent: eight uploads hold 6 MiB.
const BLOCK: usize = 256 << 10;
const WAITING: usize = 1;

/// The body of one request, with what it has come to.
pub(crate) struct Body {
    pub(super) body: reqwest::Body,
    pub(super) moved: Moved,
    read_error: ReadError,
}

/// The bytes that were sent, for the progress and to detect a stall.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moved {
    own: Arc<AtomicU64>,
    /// The transfers that these bytes are part of.
    wholes: Vec<Arc<AtomicU64>>,
}

impl Moved {
    /// One transfer of several: the bytes of the others do not hide its own stall.
    pub(crate) fn part(&self) -> Self {
        let wholes = std::iter::once(&self.own).chain(&self.wholes);
        Self {
            own: Arc::default(),
            wholes: wholes.cloned().collect(),
        }
    }

    /// Returns whether both count the same transfer.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.own, &other.own)
    }

    /// Resets its own count, for a transfer that starts again.
    pub(crate) fn restart(&self) {
        self.own.store(0, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, bytes: usize) {
        for count in std::iter::once(&self.own).chain(&self.wholes) {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.own.load(Ordering::Relaxed)
    }

    /// Waits for `work`, unless nothing moves for `stall`.
    pub(super) async fn or_stall<T>(
        &self,
        operation: &Request,
        stall: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let mut work = std::pin::pin!(work);
        loop {
            let before = self.bytes();
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(stall) => {}
            }
            if self.bytes() == before {
                return Err(Fault::new(
                    Kind::Passing,
                    operation.failed()
                        .cause(format!("no data was transferred for {} s", stall.as_secs()))
                        .hint("check the network between here and the registry; run the step again: blobs that arrived are not sent again"),
                ));
            }
        }
    }
}

/// Why a body ended early on this side.
#[derive(Clone, Default)]
struct ReadError(Arc<Mutex<Option<Error>>>);

impl ReadError {
    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The source of a streamed upload's bytes. If it is dropped before `end` is called, the body is cut short.
pub(crate) struct Feed {
    blocks: mpsc::Sender<Bytes>,
    ended: Arc<AtomicBool>,
}

impl Feed {
    /// Returns whether the other side still wants bytes.
    pub(crate) async fn send(&self, block: Bytes) -> bool {
        self.blocks.send(block).await.is_ok()
    }

    pub(crate) fn end(self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl Body {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self {
            body: reqwest::Body::from(Bytes::new()),
            moved: Moved::default(),
            read_error: ReadError::default(),
        }
    }

    /// Bytes in memory.
    pub(crate) fn bytes(blocks: Vec<Bytes>, moved: &Moved) -> Self {
        let moved = moved.part();
        let counted = moved.clone();
        let blocks = blocks.into_iter().map(move |block| {
            counted.add(block.len());
            Ok::<_, std::io::Error>(block)
        });
        Self {
            body: reqwest::Body::wrap_stream(stream::iter(blocks)),
            moved,
            read_error: ReadError::default(),
        }
    }

    /// The `size` bytes of `reader`, read on a thread of its own because files have no other way.
    pub(crate) fn reader(
        mut reader: impl Read + Send + 'static,
        name: String,
        size: u64,
        moved: &Moved,
    ) -> Self {
        let read_error = ReadError::default();
        let (sender, receiver) = mpsc::channel(WAITING);
        let ended = Arc::new(AtomicBool::new(false));
        let (failure, done) = (read_error.clone(), Arc::clone(&ended));
        tokio::task::spawn_blocking(move || {
            let mut remaining = size;
            while remaining > 0 {
                let want = usize::try_from(remaining).unwrap_or(BLOCK).min(BLOCK);
                let mut block = vec![0; want];
                match reader
                    .read_exact(&mut block)
                    .context(format!("cannot read blob {name}"))
                {
                    Ok(()) => {}
                    Err(error) => {
                        failure.set(error.hint(
                            "the image's files changed or are damaged; make the image again",
                        ));
                        return;
                    }
                }
                remaining -= want as u64;
                if sender.blocking_send(Bytes::from(block)).is_err() {
                    return;
                }
            }
            done.store(true, Ordering::Release);
        });
        Self::channel(receiver, ended, read_error, moved)
    }

    /// The bytes that come through a feed.
    pub(crate) fn feed(moved: &Moved) -> (Feed, Self) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let ended = Arc::new(AtomicBool::new(false));
        let feed = Feed {
            blocks: sender,
            ended: Arc::clone(&ended),
        };
        let body = Self::channel(receiver, ended, ReadError::default(), moved);
        (feed, body)
    }

    /// The body of another registry's answer.
    pub(crate) fn answer(response: reqwest::Response, moved: &Moved) -> Self {
        let moved = moved.part();
        let counted = moved.clone();
        let stream = stream::try_unfold(response, move |mut response| {
            let counted = counted.clone();
            async move {
                let block = response
                    .chunk()
                    .await
                    .map_err(reqwest::Error::without_url)?;
                Ok::<_, reqwest::Error>(block.map(|block| {
                    counted.add(block.len());
                    (block, response)
                }))
            }
        });
        Self {
            body: reqwest::Body::wrap_stream(stream),
            moved,
            read_error: ReadError::default(),
        }
    }

    fn channel(
        receiver: mpsc::Receiver<Bytes>,
        ended: Arc<AtomicBool>,
        read_error: ReadError,
        moved: &Moved,
    ) -> Self {
        let moved = moved.part();
        let counted = moved.clone();
        let stream = stream::unfold(Some(receiver), move |receiver| {
            let (counted, ended) = (counted.clone(), Arc::clone(&ended));
            async move {
                let mut receiver = receiver?;
                match receiver.recv().await {
                    Some(block) => {
                        counted.add(block.len());
                        Some((Ok(block), Some(receiver)))
                    }
                    None if ended.load(Ordering::Acquire) => None,
                    // An error, so that the request is cut off: a clean end would pass for a whole blob.
                    None => Some((Err(std::io::Error::other("the bytes ended early")), None)),
                }
            }
        });
        Self {
            body: reqwest::Body::wrap_stream(stream),
            moved,
            read_error,
        }
    }

    /// The parts, and a way to learn afterwards whether this side was at fault.
    pub(super) fn open(self) -> (reqwest::Body, Moved, impl FnOnce(Fault) -> Fault) {
        let read_error = self.read_error;
        (
            self.body,
            self.moved,
            move |fault: Fault| match read_error.take() {
                Some(error) => Fault::from(error),
                None => fault,
            },
        )
    }
}
