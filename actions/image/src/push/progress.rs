//! The log of a transfer: the progress of each blob.

use crate::registry::Moved;
use kit::host::Host;
use kit::id::Digest;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The pause between two progress lines.
const EVERY: Duration = Duration::from_secs(10);

/// Bytes in the unit that people compare.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => {
            let tenths = bytes.saturating_mul(10).div_ceil(1 << 20);
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}

/// A digest, shortened for messages.
pub(super) fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}

/// The blobs that are on their way to one place, or from one reading to several.
pub(super) struct Board {
    moved: Moved,
    /// Bytes of all blobs, where they are known before they are sent.
    total: Option<u64>,
    under_way: Mutex<Vec<Line>>,
}

/// A blob on the board.
struct Line {
    description: String,
    size: Size,
    moved: Moved,
}

/// A blob's size, as far as it is known before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Known(u64),
    /// Only its size before it is compressed.
    Unpacked(u64),
    Unknown,
}

/// A blob that is on the board for as long as this lives.
pub(super) struct Blob<'a> {
    pub(super) moved: Moved,
    board: &'a Board,
}

impl Board {
    pub(super) fn new(total: Option<u64>) -> Self {
        Self {
            moved: Moved::default(),
            total,
            under_way: Mutex::default(),
        }
    }

    /// Bytes that were sent until now.
    pub(super) fn bytes(&self) -> u64 {
        self.moved.bytes()
    }

    /// Puts a blob on the board, in words.
    pub(super) fn begin(&self, description: String, size: Size) -> Blob<'_> {
        let moved = self.moved.part();
        self.lines().push(Line {
            description,
            size,
            moved: moved.clone(),
        });
        Blob { moved, board: self }
    }

    /// Does `work` and logs the progress of each blob meanwhile.
    pub(super) async fn reporting_progress<T>(
        &self,
        host: &Host,
        name: &str,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        let mut last = 0;
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(EVERY) => {}
            }
            host.info(format!("{name}: {}", self.line(last)));
            last = self.bytes();
        }
    }

    /// The progress as a line; `last` is the number of bytes in the previous one.
    fn line(&self, last: u64) -> String {
        let now = self.bytes();
        let waiting = if now == last {
            "waiting for the registry, "
        } else {
            ""
        };
        let mut text = match self.total {
            Some(total) => format!("{waiting}{} of {} sent", size(now), size(total)),
            None => format!("{waiting}{} sent", size(now)),
        };
        for blob in self.lines().iter() {
            let sent = size(blob.moved.bytes());
            text.push_str(&match blob.size {
                Size::Known(blob_size) => {
                    format!("; {} {sent} of {}", blob.description, size(blob_size))
                }
                Size::Unknown => format!("; {} {sent}", blob.description),
                Size::Unpacked(blob_size) => {
                    format!(
                        "; {} {sent}, of {} unpacked",
                        blob.description,
                        size(blob_size)
                    )
                }
            });
        }
        text
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Blob<'_> {
    fn drop(&mut self) {
        self.board
            .lines()
            .retain(|line| !line.moved.is(&self.moved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_say_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1025, "2 KiB"),
            (1 << 20, "1.0 MiB"),
            (1_100_000, "1.1 MiB"),
            (52_428_800, "50.0 MiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn the_progress_line_shows_each_blob_in_flight() {
        let board = Board::new(Some(3 << 20));
        let first = board.begin("blob 1 of 2 sha256:a".to_owned(), Size::Known(2 << 20));
        let second = board.begin("layer 2 of 2 sha256:b".to_owned(), Size::Unpacked(9 << 20));
        // A body is a part of its blob.
        first.moved.part().add(1 << 20);
        second.moved.add(1024);
        assert_eq!(
            board.line(0),
            "1.1 MiB of 3.0 MiB sent; blob 1 of 2 sha256:a 1.0 MiB of 2.0 MiB; \
             layer 2 of 2 sha256:b 1 KiB, of 9.0 MiB unpacked"
        );
        drop(second);
        first.moved.restart();
        assert_eq!(
            board.line(board.bytes()),
            "waiting for the registry, 1.1 MiB of 3.0 MiB sent; blob 1 of 2 sha256:a 0 B of 2.0 MiB"
        );
        drop(first);
        assert_eq!(board.line(0), "1.1 MiB of 3.0 MiB sent");
    }
}
