//! One block of a layer, in either format, and how blocks become one stream.

use super::{gzip, zstd};
use crate::blob::Compression;
use bytes::Bytes;
use flate2::Crc;
use std::io;

/// The input of a worker.
pub(super) struct Input {
    pub(super) bytes: Bytes,
    /// The block before it in the same layer, empty for the first.
    pub(super) before: Bytes,
}

/// The output of a worker.
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    /// Of the input.
    pub(super) crc: Crc,
}

/// A worker's work.
pub(super) fn compress(compression: Compression, input: &Input) -> io::Result<Output> {
    let mut crc = Crc::new();
    let mut bytes = match compression {
        Compression::Gzip => {
            crc.update(&input.bytes);
            gzip::block(&input.bytes, &input.before)?
        }
        Compression::Zstd => zstd::frame(&input.bytes)?,
    };
    // Holders of blocks count the bytes in them. Room for the worst case in each of thousands that hold next to nothing,
    // as of a file full of zeros, would be more than all else together.
    bytes.shrink_to_fit();
    Ok(Output { bytes, crc })
}

/// Bytes of input in a block: large enough that joins cost little, small enough that a few for each thread stay far below
/// 64 MiB. A zstd frame cannot point into the one before, so it gets more.
pub(super) fn size(compression: Compression) -> usize {
    match compression {
        Compression::Gzip => 256 * 1024,
        Compression::Zstd => 512 * 1024,
    }
}

/// The bytes before the first block.
pub(super) fn head(compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Gzip => gzip::HEAD.to_vec(),
        Compression::Zstd => Vec::new(),
    }
}

/// The bytes after the last block of a layer of `length` bytes.
pub(super) fn tail(compression: Compression, crc: &Crc, length: u64) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => Ok(gzip::tail(crc, length)),
        // An empty input is not a zstd stream, so a layer without a byte is an empty frame.
        Compression::Zstd if length == 0 => zstd::frame(&[]),
        Compression::Zstd => Ok(Vec::new()),
    }
}
