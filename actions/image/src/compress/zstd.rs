//! Blocks as zstd frames (RFC 8878). Frames that follow one another are one stream, so each stands by itself.

use super::gzip::is_incompressible;
use rusty_zstd::{DecompressOptions, compress, decompress_with_limit};
use std::io;

/// zstd's own default.
const LEVEL: i32 = 3;

/// Compresses `input`, and reads it back: the encoder is young, and a frame that does not unpack must never be published.
/// Bytes that cannot be compressed are stored, which needs no encoder.
pub(super) fn frame(input: &[u8]) -> io::Result<Vec<u8>> {
    if is_incompressible(input, &[])? {
        return stored(input);
    }
    let frame = compress(input, LEVEL).map_err(wrong)?;
    let back =
        decompress_with_limit(&frame, DecompressOptions::default(), input.len()).map_err(wrong)?;
    if back != input {
        return Err(io::Error::other(
            "a zstd frame does not unpack to what went in",
        ));
    }
    Ok(frame)
}

/// `input` as raw blocks (RFC 8878, 3.1.1.2): a frame of one segment that tells its length in four bytes.
fn stored(input: &[u8]) -> io::Result<Vec<u8>> {
    const HEAD: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
    /// The most bytes of a block, however long the segment.
    const BLOCK: usize = 128 * 1024;
    let length = u32::try_from(input.len()).map_err(io::Error::other)?;
    let blocks = input.len().div_ceil(BLOCK);
    let mut frame = Vec::with_capacity(HEAD.len() + 4 + 3 * blocks + input.len());
    frame.extend(HEAD);
    frame.extend(length.to_le_bytes());
    for (number, block) in input.chunks(BLOCK).enumerate() {
        // The last one's flag, two bits of type (0, raw), the length.
        let size = u32::try_from(block.len()).map_err(io::Error::other)?;
        let head = (size << 3) | u32::from(number + 1 == blocks);
        frame.extend(&head.to_le_bytes()[..3]);
        frame.extend(block);
    }
    Ok(frame)
}

fn wrong(error: rusty_zstd::Error) -> io::Error {
    io::Error::other(format!("zstd: {error}"))
}
