//! SHA-256 over parts, each with its length before it, so that no two lists of parts read the same.

use ring::digest::{Context, SHA256};

pub(crate) struct Hash(Context);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// One part of a list.
    pub(crate) fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// A named list of parts, with how many there are.
    pub(crate) fn list<'a>(&mut self, name: &str, parts: impl IntoIterator<Item = &'a str>) {
        let parts: Vec<&str> = parts.into_iter().collect();
        self.part(name.as_bytes());
        self.part(&(parts.len() as u64).to_be_bytes());
        for part in parts {
            self.part(part.as_bytes());
        }
    }

    /// Bytes as they are: a piece of a file.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// 64 hexadecimal digits.
    pub(crate) fn end(self) -> String {
        kit::hex::encode(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_only_join_alike_differ() {
        let hash = |parts: &[&[u8]]| {
            let mut hash = Hash::new();
            for part in parts {
                hash.part(part);
            }
            hash.end()
        };
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"", b"a"]), hash(&[b"a"]));
        let mut raw = Hash::new();
        raw.raw(b"a");
        raw.raw(b"bc");
        // FIPS 180-2, B.1.
        assert_eq!(
            raw.end(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
