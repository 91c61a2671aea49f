//! What the log says while bytes move.

use crate::registry::Moved;
use kit::host::Host;
use kit::id::Digest;
use std::time::Duration;

/// How often a line is said while nothing else is.
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

/// A digest as people tell two apart.
pub(super) fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}

/// Does `work` and says now and then how far it is.
pub(super) async fn told<T>(
    host: &Host,
    name: &str,
    moved: &Moved,
    total: Option<u64>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut last = 0;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(EVERY) => {}
        }
        let now = moved.bytes();
        if now == last {
            host.info(format!(
                "{name}: waiting for the registry, {} sent",
                size(now)
            ));
        } else {
            let total = total.map_or_else(String::new, |total| format!(" of {}", size(total)));
            host.info(format!("{name}: {}{total} sent", size(now)));
        }
        last = now;
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
}
