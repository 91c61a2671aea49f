//! The part of the crate `crc-fast` that `aws-smithy-checksums` calls, under its names.
//!
//! The original carries tables for some thirty checksums, chosen at run time, so that no linker can drop them: 0.7 MB in every
//! program that talks to S3. The SDK uses three, on state files. A new version of the SDK that calls more than this does not
//! compile, which is the wanted warning.

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Table};

static ISO_HDLC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
static ISCSI: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);
static NVME: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_NVME);

/// The kind of checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// `x-amz-checksum-crc32`.
    Crc32IsoHdlc,
    /// `x-amz-checksum-crc32c`.
    Crc32Iscsi,
    /// `x-amz-checksum-crc64nvme`.
    Crc64Nvme,
}

/// A checksum in the making.
pub struct Digest(Running);

enum Running {
    Narrow(crc::Digest<'static, u32, Table<1>>),
    Wide(crc::Digest<'static, u64, Table<1>>),
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Digest").field(&self.finalize()).finish()
    }
}

impl Digest {
    /// One over nothing yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => Running::Narrow(ISO_HDLC.digest()),
            CrcAlgorithm::Crc32Iscsi => Running::Narrow(ISCSI.digest()),
            CrcAlgorithm::Crc64Nvme => Running::Wide(NVME.digest()),
        })
    }

    /// Takes these bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Narrow(digest) => digest.update(bytes),
            Running::Wide(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all that was taken in.
    pub fn finalize(&self) -> u64 {
        match &self.0 {
            Running::Narrow(digest) => digest.clone().finalize().into(),
            Running::Wide(digest) => digest.clone().finalize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue: each checksum of the digits one to nine.
    #[test]
    fn each_gives_its_catalogue_value_in_pieces_too() {
        for (algorithm, wanted) in [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            let mut digest = Digest::new(algorithm);
            digest.update(b"1234");
            digest.update(b"56789");
            assert_eq!(digest.finalize(), wanted, "{algorithm:?}");
        }
    }
}
