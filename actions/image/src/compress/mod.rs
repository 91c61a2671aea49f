//! Compression of layers on all cores, to the same bytes whatever their number.
//!
//! A layer is cut into blocks of one size. Each is compressed by itself, on whichever thread is free, and the results are joined
//! in order; so neither the number of threads nor the pieces in which the input arrives show in the output.

mod block;
mod gzip;
mod pipeline;
mod zstd;

pub(crate) use pipeline::{Compressor, Pending, with_threads};

use std::num::NonZero;

/// More would wait for the one thread that reads and hashes, and for the registry.
const MOST_THREADS: usize = 8;

/// How many threads compress where nothing else is said.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MOST_THREADS)
}

#[cfg(test)]
mod tests;
