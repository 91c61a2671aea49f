//! Standard output, which another program may have made non-blocking.

use std::io::Write;

/// Writes and flushes all of `bytes`, and waits for a reader where another program has made the
/// output non-blocking.
pub(super) fn write_whole(output: &mut impl Write, mut bytes: &[u8]) -> std::io::Result<()> {
    use std::io::ErrorKind::{Interrupted, WouldBlock, WriteZero};
    loop {
        let step = match bytes {
            [] => output.flush().map(|()| 0),
            _ => output.write(bytes),
        };
        match step {
            Ok(0) if bytes.is_empty() => return Ok(()),
            Ok(0) => return Err(WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == Interrupted => {}
            Err(error) if error.kind() == WouldBlock => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at most, and only every second time.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        busy: bool,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.busy = !self.busy;
            if self.busy {
                return Err(std::io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(3);
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_not_ready_is_waited_for() {
        let mut slow = Slow::default();
        write_whole(&mut slow, b"{\"digest\": 1}").unwrap();
        assert_eq!(slow.taken, b"{\"digest\": 1}");
    }
}
