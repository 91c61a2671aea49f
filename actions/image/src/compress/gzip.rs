//! Blocks of one gzip member (RFC 1952), each a run of deflate blocks (RFC 1951) that ends on a byte.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io;

/// One member, no name, no time, no operating system: nothing that differs between two runs.
pub(super) const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A last deflate block with fixed codes and nothing in it. Each block of ours ends as one that is followed, since only the
/// end of the input says which is the last.
const LAST: [u8; 2] = [0x03, 0x00];

/// The fastest. Measured on 200 MiB of system files from the engine on two cores: a first push takes 0.4 of skopeo's time, and
/// level 2 takes 0.55 for a sixth fewer bytes.
const LEVEL: u32 = 1;

/// How far back deflate can point.
const WINDOW: usize = 32 * 1024;

/// The most bytes a stored block holds.
const STORED: usize = 0xffff;

/// Bits a byte above which a block is suspected to be incompressible. Random bytes have 8, what is compressed already 7.9 and
/// more, machine code about 6.
const SUSPECT: f64 = 7.8;

/// How much of a suspect is tried.
const TRIAL: usize = 4 * 1024;

/// Compresses `input`, which may point back into `before`.
pub(super) fn block(input: &[u8], before: &[u8]) -> io::Result<Vec<u8>> {
    let window = &before[before.len().saturating_sub(WINDOW)..];
    if is_incompressible(input, window)? {
        return Ok(stored(input));
    }
    let output = deflate(input, window)?;
    let plain = input.len() + 5 * input.len().div_ceil(STORED);
    Ok(if output.len() < plain {
        output
    } else {
        stored(input)
    })
}

fn deflate(input: &[u8], window: &[u8]) -> io::Result<Vec<u8>> {
    // A state that is reset and used again still holds the bytes of the block before in its window, and zlib-rs looks at one of
    // them when it takes a dictionary; the output would then depend on which thread had which block.
    let mut state = Compress::new(Compression::new(LEVEL), false);
    if !window.is_empty() {
        state.set_dictionary(window)?;
    }
    // Room for the worst case, so that one call does it and the output cannot depend on how often it was asked for room.
    let mut output = Vec::with_capacity(input.len() + input.len() / 8 + 1024);
    let status = state.compress_vec(input, &mut output, FlushCompress::Sync)?;
    let whole = usize::try_from(state.total_in()).is_ok_and(|read| read == input.len());
    if status != Status::Ok || !whole || output.len() == output.capacity() {
        return Err(io::Error::other("deflate did not finish a block"));
    }
    Ok(output)
}

/// Tells what would only be ground. Counting bytes is cheap and clears most; what it does not clear may still repeat itself
/// (an archive that holds a file twice), so a piece of it is tried.
pub(super) fn is_incompressible(input: &[u8], window: &[u8]) -> io::Result<bool> {
    if input.len() < 2 * TRIAL || entropy(input) < SUSPECT {
        return Ok(false);
    }
    let middle = (input.len() - TRIAL) / 2;
    let window = match middle.checked_sub(WINDOW) {
        Some(start) => &input[start..middle],
        None => window,
    };
    let sample = &input[middle..middle + TRIAL];
    Ok(deflate(sample, window)?.len() > TRIAL - TRIAL / 64)
}

/// The entropy of single bytes in a few pieces of `input`, in bits a byte.
fn entropy(input: &[u8]) -> f64 {
    const PIECE: usize = 1024;
    const PIECES: usize = 16;
    let mut counts = [0_u32; 256];
    let mut total = 0_u32;
    for piece in input.chunks((input.len() / PIECES).max(PIECE)) {
        for byte in &piece[..PIECE.min(piece.len())] {
            counts[usize::from(*byte)] += 1;
            total += 1;
        }
    }
    let total = f64::from(total);
    counts
        .into_iter()
        .filter(|count| *count > 0)
        .map(|count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

/// `input` as stored blocks, none of them the last.
fn stored(input: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(input.len() + 5 * input.len().div_ceil(STORED));
    for piece in input.chunks(STORED) {
        // A piece has at most `STORED` bytes, so its length always fits.
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        output.push(0);
        output.extend(length.to_le_bytes());
        output.extend((!length).to_le_bytes());
        output.extend(piece);
    }
    output
}

/// The last deflate block and the member's trailer: CRC-32 and length modulo 2³², both of the input.
pub(super) fn tail(crc: &Crc, length: u64) -> Vec<u8> {
    let mut tail = LAST.to_vec();
    tail.extend(crc.sum().to_le_bytes());
    tail.extend(&length.to_le_bytes()[..4]);
    tail
}
