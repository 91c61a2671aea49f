//! The material of symmetric keys, and the form of what they encrypt.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// The material of a symmetric key, AES-256 in GCM as in KMS.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn generate() -> Option<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// The key's ID with its length in front, the nonce, and the encrypted bytes with their tag.
    pub(super) fn seal(&self, id: &str, context: &str, mut plain: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let aad = Aad::from(context.as_bytes());
        let sealed =
            self.0
                .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut plain);
        sealed.ok()?;
        let length = u8::try_from(id.len()).ok()?;
        Some([&[length], id.as_bytes(), &nonce, &plain].concat())
    }

    pub(super) fn open(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(context.as_bytes());
        let plain = self.0.open_in_place(nonce, aad, &mut bytes).ok()?;
        Some(plain.to_vec())
    }
}

/// The ID of the key that encrypted something, and the rest of it.
pub(super) fn named(sealed: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(id).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_it() {
        let (key, other) = (Cipher::generate().unwrap(), Cipher::generate().unwrap());
        let sealed = key.seal("mrk-1", "a", b"note".to_vec()).unwrap();
        let (id, rest) = named(&sealed).unwrap();
        assert_eq!(id, "mrk-1");
        assert_eq!(key.open("a", rest).as_deref(), Some(&b"note"[..]));
        assert_eq!(key.open("b", rest), None);
        assert_eq!(other.open("a", rest), None);
        assert_eq!(key.open("a", &rest[..5]), None);
        assert_eq!(named(&[9, 1]), None);
    }
}
