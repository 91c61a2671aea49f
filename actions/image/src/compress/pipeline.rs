//! The threads: one reads and hashes, several compress, one joins, hashes and hands on.
//!
//! Every queue is bounded. A slow registry fills the layer's channel, then the joiner's queue, and then the reader waits; what
//! is held in memory does not depend on the size of a layer.

use super::block::{self, Input, Output};
use crate::blob::{Chunk, Compression, Measured};
use crate::digest::digest_of;
use bytes::Bytes;
use flate2::Crc;
use kit::id::Digest;
use ring::digest::{Context, SHA256};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use tokio::sync::mpsc;

/// A message to the joiner, in the order of the input.
enum Step {
    Begin {
        sink: mpsc::Sender<Chunk>,
        /// Set when the layer has no receiver any more.
        unwanted: Arc<AtomicBool>,
    },
    /// One block, as soon as a worker has it.
    Block {
        length: usize,
        output: Receiver<io::Result<Output>>,
    },
    End {
        diff_id: Digest,
        done: SyncSender<io::Result<Option<Measured>>>,
    },
}

struct Job {
    input: Input,
    output: SyncSender<io::Result<Output>>,
}

/// Compresses layers, one after another.
pub(crate) struct Compressor {
    /// Bytes of input in a block.
    block: usize,
    jobs: SyncSender<Job>,
    steps: SyncSender<Step>,
}

/// A layer that was read to its end, and may still be on its way.
pub(crate) struct Pending {
    pub(crate) diff_id: Digest,
    done: Receiver<io::Result<Option<Measured>>>,
}

impl Pending {
    /// Waits for the layer's last byte to be handed on. `None` where the receiver went away.
    ///
    /// # Errors
    /// Compression failed.
    pub(crate) fn wait(self) -> io::Result<Option<Measured>> {
        self.done.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

/// Lends `feed` a compressor with `threads` workers, and ends its threads afterwards.
///
/// # Errors
/// No thread could be started.
pub(crate) fn with_threads<T>(
    compression: Compression,
    threads: usize,
    feed: impl FnOnce(&mut Compressor) -> T,
) -> io::Result<T> {
    let (jobs, work) = sync_channel::<Job>(threads);
    // Every block in work is also a step, so this bounds both.
    let (steps, order) = sync_channel(threads + 2);
    let work = Mutex::new(work);
    std::thread::scope(|scope| {
        for number in 0..threads {
            let work = &work;
            Builder::new()
                .name(format!("compress-{number}"))
                .spawn_scoped(scope, move || compress(compression, work))?;
        }
        Builder::new()
            .name("join".to_owned())
            .spawn_scoped(scope, move || join(compression, &order))?;
        let mut compressor = Compressor {
            block: block::size(compression),
            jobs,
            steps,
        };
        Ok(feed(&mut compressor))
    })
}

impl Compressor {
    /// Compresses `input` into `sink`. `None` where the receiver went away before the input's end, the rest of which is then not
    /// read, or where `accepted` says no to the diff ID at its end. The sink is then closed without `Chunk::End`, too.
    ///
    /// # Errors
    /// The result of reading `input`. The sink is then closed without `Chunk::End`.
    pub(crate) fn layer(
        &mut self,
        input: &mut dyn Read,
        sink: mpsc::Sender<Chunk>,
        accepted: impl FnOnce(&Digest) -> bool,
    ) -> io::Result<Option<Pending>> {
        let unwanted = Arc::new(AtomicBool::new(false));
        self.step(Step::Begin {
            sink,
            unwanted: Arc::clone(&unwanted),
        })?;
        let mut diff_id = Context::new(&SHA256);
        let mut before = Bytes::new();
        loop {
            let bytes = read_block(input, self.block)?;
            if bytes.is_empty() {
                break;
            }
            if unwanted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let (output, result) = sync_channel(1);
            self.step(Step::Block {
                length: bytes.len(),
                output: result,
            })?;
            self.jobs
                .send(Job {
                    input: Input {
                        bytes: bytes.clone(),
                        before,
                    },
                    output,
                })
                .map_err(|_| stopped())?;
            // Hashed while a worker has it.
            diff_id.update(&bytes);
            before = bytes;
        }
        let diff_id = digest_of(diff_id);
        if !accepted(&diff_id) {
            return Ok(None);
        }
        let (done, pending) = sync_channel(1);
        self.step(Step::End {
            diff_id: diff_id.clone(),
            done,
        })?;
        Ok(Some(Pending {
            diff_id,
            done: pending,
        }))
    }

    fn step(&self, step: Step) -> io::Result<()> {
        self.steps.send(step).map_err(|_| stopped())
    }
}

/// A whole block, or what is left; empty at the end. The input's own pieces must not show.
fn read_block(input: &mut dyn Read, size: usize) -> io::Result<Bytes> {
    let mut block = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match input.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(Bytes::from(block))
}

/// A worker.
fn compress(compression: Compression, work: &Mutex<Receiver<Job>>) {
    loop {
        let job = match work.lock() {
            Ok(work) => work.recv(),
            Err(_) => return,
        };
        let Ok(Job { input, output }) = job else {
            return;
        };
        // Nobody waits where the joiner has already given up.
        let _ = output.send(block::compress(compression, &input));
    }
}

/// The layer that the joiner is at.
struct Joining {
    sink: mpsc::Sender<Chunk>,
    unwanted: Arc<AtomicBool>,
    digest: Context,
    size: u64,
    crc: Crc,
    length: u64,
    failed: Option<io::Error>,
}

impl Joining {
    fn send(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() || self.failed.is_some() || self.unwanted.load(Ordering::Relaxed) {
            return;
        }
        self.digest.update(&bytes);
        self.size += bytes.len() as u64;
        if self.sink.blocking_send(Chunk::Bytes(bytes.into())).is_err() {
            self.unwanted.store(true, Ordering::Relaxed);
        }
    }

    fn block(&mut self, length: usize, output: io::Result<Output>) {
        match output {
            Ok(output) => {
                self.crc.combine(&output.crc);
                self.length += length as u64;
                self.send(output.bytes);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn end(mut self, compression: Compression, diff_id: Digest) -> io::Result<Option<Measured>> {
        let tail = block::tail(compression, &self.crc, self.length)?;
        self.send(tail);
        if let Some(error) = self.failed {
            return Err(error);
        }
        let measured = Measured {
            media_type: compression.media_type().to_owned(),
            digest: digest_of(self.digest),
            size: self.size,
            diff_id: Some(diff_id),
        };
        if self.unwanted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let sent = self.sink.blocking_send(Chunk::End(measured.clone()));
        Ok(sent.ok().map(|()| measured))
    }
}

/// The joiner.
fn join(compression: Compression, order: &Receiver<Step>) {
    let mut layer: Option<Joining> = None;
    while let Ok(step) = order.recv() {
        match step {
            Step::Begin { sink, unwanted } => {
                let mut joining = Joining {
                    sink,
                    unwanted,
                    digest: Context::new(&SHA256),
                    size: 0,
                    crc: Crc::new(),
                    length: 0,
                    failed: None,
                };
                joining.send(block::head(compression));
                layer = Some(joining);
            }
            Step::Block { length, output } => {
                let output = output.recv().unwrap_or_else(|_| Err(stopped()));
                if let Some(layer) = &mut layer {
                    layer.block(length, output);
                }
            }
            Step::End { diff_id, done } => {
                let ended = layer
                    .take()
                    .map_or_else(|| Err(stopped()), |layer| layer.end(compression, diff_id));
                // Nobody waits where the reading has already failed.
                let _ = done.send(ended);
            }
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("a compressing thread stopped")
}
