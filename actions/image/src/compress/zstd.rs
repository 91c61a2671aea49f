//! Blocks as zstd frames (RFC 8878). Frames that follow one another are one stream, so each stands by itself.

use rusty_zstd::{DecompressOptions, compress, decompress_with_limit};
use std::io;

/// zstd's own default.
const LEVEL: i32 = 3;

/// Compresses `input`, and reads it back: the encoder is young, and a frame that does not unpack must never be published.
pub(super) fn frame(input: &[u8]) -> io::Result<Vec<u8>> {
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

fn wrong(error: rusty_zstd::Error) -> io::Error {
    io::Error::other(format!("zstd: {error}"))
}
