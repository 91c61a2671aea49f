use super::block::Input;
use super::*;
use crate::blob::{Chunk, Compression, Measured};
use crate::digest::digest;
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use tokio::sync::mpsc;

/// Bytes that look random and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    })
    .take(length)
    .collect()
}

/// Bytes that compress: words in no order.
fn words(length: usize) -> Vec<u8> {
    let words = [
        "layer", "digest", "manifest", "registry", "\0\0\0", "7f454c46",
    ];
    let mut text: Vec<u8> = noise(length)
        .into_iter()
        .flat_map(|byte| words[usize::from(byte) % words.len()].bytes())
        .collect();
    text.truncate(length);
    text
}

/// Both, in turns that do not fall on blocks.
fn mixed() -> Vec<u8> {
    let (noise, words) = (noise(3_000_000), words(2_500_000));
    [
        &words[..700_001],
        &noise[..1_300_000],
        &words,
        &noise[..1],
        &noise,
        &words[..70_000],
    ]
    .concat()
}

/// Compresses each of `layers`.
fn run(compression: Compression, threads: usize, layers: &[&[u8]]) -> Vec<(Vec<u8>, Measured)> {
    let (sinks, sources): (Vec<_>, Vec<_>) = layers.iter().map(|_| mpsc::channel(2)).unzip();
    std::thread::scope(|scope| {
        let readers: Vec<_> = sources
            .into_iter()
            .map(|mut source| {
                scope.spawn(move || {
                    let mut bytes = Vec::new();
                    loop {
                        match source.blocking_recv() {
                            Some(Chunk::Bytes(piece)) => bytes.extend(piece),
                            Some(Chunk::End(measured)) => return (bytes, measured),
                            None => panic!("no end"),
                        }
                    }
                })
            })
            .collect();
        with_threads(compression, threads, |compressor| {
            let pending: Vec<_> = layers
                .iter()
                .zip(sinks)
                .map(|(layer, sink)| {
                    compressor
                        .layer(&mut &**layer, sink, |_| true)
                        .unwrap()
                        .unwrap()
                })
                .collect();
            for pending in pending {
                pending.wait().unwrap().unwrap();
            }
        })
        .unwrap();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect()
    })
}

fn one(compression: Compression, threads: usize, layer: &[u8]) -> (Vec<u8>, Measured) {
    run(compression, threads, &[layer]).remove(0)
}

/// `bytes` as the ordinary tool decompresses them.
fn tool(command: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(command)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{command} refuses the stream");
    output.stdout
}

fn inputs() -> Vec<Vec<u8>> {
    let gzip = 256 * 1024;
    let mut inputs: Vec<Vec<u8>> = [0, 1, 2, 513, gzip - 1, gzip, gzip + 1, 4 * gzip, 1_048_577]
        .into_iter()
        .map(words)
        .collect();
    inputs.extend([
        noise(1),
        noise(gzip),
        noise(1_500_000),
        vec![0; 3_000_000],
        mixed(),
    ]);
    inputs
}

#[test]
fn gzip_and_zstd_themselves_read_it_back() {
    for (compression, command) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        // The sandbox has gzip always; zstd comes with Debian's base, and its absence must not be a silent pass.
        for input in inputs() {
            let (bytes, measured) = one(compression, 2, &input);
            assert!(
                tool(command, &bytes) == input,
                "{command} of {} bytes is not what went in",
                input.len()
            );
            assert_eq!(measured.digest, digest(&bytes));
            assert_eq!(measured.size, bytes.len() as u64);
            assert_eq!(measured.diff_id, Some(digest(&input)));
        }
    }
}

#[test]
fn it_is_one_gzip_member_that_says_nothing_of_this_run() {
    let input = mixed();
    let (bytes, measured) = one(Compression::Gzip, 2, &input);
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut back = Vec::new();
    // A decoder that stops at the end of the first member.
    let mut rest = bytes.as_slice();
    flate2::bufread::GzDecoder::new(&mut rest)
        .read_to_end(&mut back)
        .unwrap();
    assert!(back == input);
    assert!(rest.is_empty(), "{} bytes after the member", rest.len());
    assert_eq!(
        measured.media_type,
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
}

#[test]
fn the_bytes_do_not_depend_on_threads_neighbours_or_pieces() {
    /// Hands out a few bytes at a time.
    struct Crumbs<'a>(&'a [u8], usize);
    impl Read for Crumbs<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 7919 + 1;
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }
    let input = mixed();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (bytes, _) = one(compression, 1, &input);
        for threads in [2, 3, 8] {
            assert!(
                one(compression, threads, &input).0 == bytes,
                "{compression:?} on {threads}"
            );
        }
        let other = words(300_000);
        let both = run(compression, 2, &[&other, &input]);
        assert!(both[1].0 == bytes, "{compression:?} after another layer");
        let (sink, mut source) = mpsc::channel(1000);
        with_threads(compression, 2, |compressor| {
            let pending = compressor
                .layer(&mut Crumbs(&input, 0), sink, |_| true)
                .unwrap();
            pending.unwrap().wait().unwrap().unwrap();
        })
        .unwrap();
        let mut crumbs = Vec::new();
        while let Ok(Chunk::Bytes(piece)) = source.try_recv() {
            crumbs.extend(piece);
        }
        assert!(crumbs == bytes, "{compression:?} in crumbs");
    }
}

#[test]
fn noise_is_stored_and_repeated_noise_is_compressed() {
    let noise = noise(2_000_000);
    let (bytes, _) = one(Compression::Gzip, 2, &noise);
    let extra = bytes.len() - noise.len();
    assert!(extra < 300, "{extra} bytes more than stored");
    // Of every byte value the same share, but the same bytes again and again, further apart than what is tried is long.
    let repeated: Vec<u8> = noise[..24_000]
        .iter()
        .copied()
        .cycle()
        .take(2_000_000)
        .collect();
    let (bytes, _) = one(Compression::Gzip, 2, &repeated);
    assert!(bytes.len() < repeated.len() / 20, "{}", bytes.len());
}

#[test]
fn blocks_point_back_into_the_one_before() {
    // One block of noise after the same noise: only the window over the join can shrink it.
    let window = noise(24 * 1024);
    let block = [&noise(256 * 1024 - window.len())[..], &window].concat();
    let twice = [&block[..], &window].concat();
    let (once, _) = one(Compression::Gzip, 2, &block);
    let (both, _) = one(Compression::Gzip, 2, &twice);
    assert!(
        both.len() - once.len() < 2000,
        "{}",
        both.len() - once.len()
    );
}

#[test]
fn a_receiver_that_leaves_ends_the_layer_and_not_the_next() {
    let input = mixed();
    let (gone, receiver) = mpsc::channel(1);
    drop(receiver);
    let (sink, mut source) = mpsc::channel(1000);
    let reached = with_threads(Compression::Gzip, 2, |compressor| {
        let mut left = input.as_slice();
        let first = compressor.layer(&mut left, gone, |_| true).unwrap();
        let first = first.and_then(|pending| pending.wait().unwrap());
        assert_eq!(first, None);
        compressor
            .layer(&mut input.as_slice(), sink, |_| true)
            .unwrap()
            .unwrap()
            .wait()
            .unwrap();
        left.len()
    })
    .unwrap();
    assert!(reached > 0, "a layer that nobody wants was read to its end");
    let mut bytes = Vec::new();
    while let Ok(Chunk::Bytes(piece)) = source.try_recv() {
        bytes.extend(piece);
    }
    assert!(tool("gzip", &bytes) == input);
}

#[test]
fn an_input_that_breaks_closes_the_channel_without_an_end() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            let length = buffer.len().min(self.0);
            self.0 -= length;
            Ok(length)
        }
    }
    let (sink, mut source) = mpsc::channel(1000);
    let error = with_threads(Compression::Gzip, 2, |compressor| {
        compressor
            .layer(&mut Broken(1_000_000), sink, |_| true)
            .err()
            .unwrap()
    })
    .unwrap();
    assert_eq!(error.to_string(), "the disk is gone");
    loop {
        match source.try_recv() {
            Ok(Chunk::Bytes(_)) => {}
            Ok(Chunk::End(_)) => panic!("a broken layer has an end"),
            Err(error) => {
                assert_eq!(error, mpsc::error::TryRecvError::Disconnected);
                break;
            }
        }
    }
}

#[test]
fn a_block_takes_no_more_room_than_it_has_bytes() {
    let inputs = [vec![0; 256 * 1024], words(256 * 1024), noise(256 * 1024)];
    for compression in [Compression::Gzip, Compression::Zstd] {
        for input in &inputs {
            let block = Input {
                bytes: Bytes::from(input.clone()),
                before: Bytes::new(),
            };
            let output = block::compress(compression, &block).unwrap().bytes;
            assert_eq!(output.capacity(), output.len(), "{compression:?}");
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_layer() {
    /// Endless zeros would hide it: their output is nothing. Noise is held in full.
    struct Endless<'a>(&'a [u8], u64);
    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.0.len());
            let length = usize::try_from(self.1).map_or(length, |left| left.min(length));
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.1 -= length as u64;
            Ok(length)
        }
    }
    let noise = noise(256 * 1024);
    let (sink, mut source) = mpsc::channel(2);
    let held = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            let mut input = Endless(&noise, 200_000_000);
            let mut left = 0;
            with_threads(Compression::Gzip, 8, |compressor| {
                let pending = compressor.layer(&mut input, sink, |_| true).unwrap();
                drop(pending);
                left = input.1;
            })
            .unwrap();
            left
        });
        // Nobody takes anything: the feeder must come to rest, with what it took in memory.
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(!feeder.is_finished());
        let mut taken = 0_u64;
        while let Some(Chunk::Bytes(piece)) = source.blocking_recv() {
            taken += piece.len() as u64;
            // The test sees only the queue, not the input that was read but not sent yet.
            assert!(source.len() <= 2);
        }
        assert_eq!(feeder.join().unwrap(), 0);
        taken
    });
    assert!(held > 200_000_000);
}

#[test]
fn incompressible_blocks_are_stored_and_others_are_compressed() {
    // One block of each format.
    for (length, at_most) in [(256 * 1024, 64), (1 << 20, 128), (40_000, 64)] {
        let (noise, words) = (noise(length), words(length));
        assert!(gzip::is_incompressible(&noise, &[]).unwrap(), "{length}");
        assert!(!gzip::is_incompressible(&words, &[]).unwrap(), "{length}");
        // Noise that was there before can be pointed at.
        let twice = noise[..20_000].repeat(6);
        assert!(!gzip::is_incompressible(&twice, &[]).unwrap());
        for compress in [
            (|input: &[u8]| gzip::block(input, &[])) as fn(&[u8]) -> io::Result<Vec<u8>>,
            zstd::frame,
        ] {
            let stored = compress(&noise).unwrap();
            assert!(
                stored.len() <= length + at_most,
                "{} of {length}",
                stored.len()
            );
            // As it is, with no more than heads in between.
            let piece = &noise[length / 2..length / 2 + 64];
            assert!(stored.windows(64).any(|there| there == piece));
            assert!(compress(&words).unwrap().len() < length / 2);
        }
    }
}
