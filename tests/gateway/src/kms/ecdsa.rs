//! ECDSA on P-256 over a digest, for `MessageType: DIGEST`: ring signs and verifies whole messages only, which it hashes
//! itself. The points are ring's all the same; here is the arithmetic around them, and none of it needs to be secret.
//! Source: SEC 1, version 2.0, sections 4.1.3 and 4.1.4.

use num_bigint::BigUint;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as P256, EcdsaKeyPair};

/// The order of the group and the prime of the field.
const ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const PRIME: &[u8] = b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const B: &[u8] = b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b";

/// Where ring's PKCS#8 documents of P-256 have the private key, and the point after it.
const PRIVATE: std::ops::Range<usize> = 36..68;
const POINT: std::ops::Range<usize> = 73..138;

/// A key pair as ring writes it: PKCS#8.
pub(crate) struct Pair(Vec<u8>);

fn number(hex: &[u8]) -> BigUint {
    BigUint::parse_bytes(hex, 16).unwrap_or_default()
}

/// A field element or scalar in 32 bytes.
fn bytes(number: &BigUint) -> [u8; 32] {
    let short = number.to_bytes_be();
    let mut long = [0; 32];
    let from = long.len().saturating_sub(short.len());
    long[from..].copy_from_slice(&short[short.len().saturating_sub(32)..]);
    long
}

fn inverse(number: &BigUint, order: &BigUint) -> BigUint {
    number.modpow(&(order - 2_u8), order)
}

impl Pair {
    /// A fresh one.
    pub(crate) fn generate() -> Option<Self> {
        let document = EcdsaKeyPair::generate_pkcs8(&P256, &SystemRandom::new()).ok()?;
        let document = document.as_ref().to_vec();
        (document.len() == POINT.end).then_some(Self(document))
    }

    /// The uncompressed point: 4, x, y.
    pub(crate) fn point(&self) -> &[u8] {
        &self.0[POINT]
    }

    fn private(&self) -> BigUint {
        BigUint::from_bytes_be(&self.0[PRIVATE])
    }

    /// A signature of a SHA-256 digest, in DER.
    pub(crate) fn sign(&self, digest: &[u8]) -> Option<Vec<u8>> {
        let (order, zero) = (number(ORDER), BigUint::default());
        // A pair made for one signature is the secret number and its multiple of the generator.
        let once = Self::generate()?;
        let r = BigUint::from_bytes_be(&once.point()[1..33]) % &order;
        let s = inverse(&once.private(), &order)
            * (BigUint::from_bytes_be(digest) + &r * self.private())
            % &order;
        (r != zero && s != zero).then(|| der(&r, &s))
    }

    /// Returns true if a signature in DER is one of the digest by this key. The owner of the private key needs no sum of two points: the
    /// point that verification computes is `(z + r·d)/s` times the generator.
    pub(crate) fn verify(&self, digest: &[u8], signature: &[u8]) -> bool {
        let (order, zero) = (number(ORDER), BigUint::default());
        let Some((r, s)) = read_der(signature) else {
            return false;
        };
        if r == zero || s == zero || r >= order || s >= order {
            return false;
        }
        let scalar =
            (BigUint::from_bytes_be(digest) + &r * self.private()) * inverse(&s, &order) % &order;
        // The x that was reduced to r may have been beyond the order.
        [r.clone(), r + &order]
            .into_iter()
            .filter(|x| *x < number(PRIME))
            .any(|x| is_at(&scalar, &x))
    }
}

/// Returns true if the multiple of the generator has this x: ring takes a pair only if its halves belong together.
fn is_at(scalar: &BigUint, x: &BigUint) -> bool {
    let prime = number(PRIME);
    let square =
        (x.modpow(&BigUint::from(3_u8), &prime) + (&prime - 3_u8) * x + number(B)) % &prime;
    let root = square.modpow(&((&prime + 1_u8) >> 2), &prime);
    [root.clone(), &prime - root].iter().any(|y| {
        let point = [&[4][..], &bytes(x), &bytes(y)].concat();
        let rng = SystemRandom::new();
        EcdsaKeyPair::from_private_key_and_public_key(&P256, &bytes(scalar), &point, &rng).is_ok()
    })
}

fn der(r: &BigUint, s: &BigUint) -> Vec<u8> {
    let integer = |number: &BigUint| {
        let mut bytes = number.to_bytes_be();
        if bytes[0] & 0x80 != 0 {
            bytes.insert(0, 0);
        }
        let length = u8::try_from(bytes.len()).unwrap_or_default();
        [&[2, length][..], &bytes].concat()
    };
    let inside = [integer(r), integer(s)].concat();
    let length = u8::try_from(inside.len()).unwrap_or_default();
    [&[0x30, length][..], &inside].concat()
}

fn read_der(signature: &[u8]) -> Option<(BigUint, BigUint)> {
    let [0x30, length, inside @ ..] = signature else {
        return None;
    };
    let integer = |bytes: &[u8]| -> Option<(BigUint, usize)> {
        let [2, length, rest @ ..] = bytes else {
            return None;
        };
        let number = rest.get(..usize::from(*length))?;
        Some((BigUint::from_bytes_be(number), usize::from(*length) + 2))
    };
    let (r, read) = integer(inside)?;
    let (s, _) = integer(inside.get(read..)?)?;
    // One number has one spelling, as AWS wants it.
    (usize::from(*length) == inside.len() && der(&r, &s) == signature).then_some((r, s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::digest::{SHA256, digest};
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    #[test]
    fn signatures_of_digests_are_those_of_messages() {
        let (pair, other) = (Pair::generate().unwrap(), Pair::generate().unwrap());
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.point());
        for number in 0..20_u8 {
            let message = [number; 100];
            let digest = digest(&SHA256, &message);
            let signature = pair.sign(digest.as_ref()).unwrap();
            public.verify(&message, &signature).unwrap();
            assert!(pair.verify(digest.as_ref(), &signature));
            assert!(!other.verify(digest.as_ref(), &signature));
            assert!(!pair.verify(&[number; 32], &signature));
        }
    }

    #[test]
    fn a_signature_of_rings_is_one_and_a_mangled_one_is_not() {
        let pair = Pair::generate().unwrap();
        let rng = SystemRandom::new();
        let theirs = EcdsaKeyPair::from_pkcs8(&P256, &pair.0, &rng).unwrap();
        let (message, rng) = (b"a release", SystemRandom::new());
        let signature = theirs.sign(&rng, message).unwrap();
        let digest = digest(&SHA256, message);
        assert!(pair.verify(digest.as_ref(), signature.as_ref()));
        for at in 0..signature.as_ref().len() {
            let mut mangled = signature.as_ref().to_vec();
            mangled[at] ^= 1;
            assert!(!pair.verify(digest.as_ref(), &mangled), "byte {at}");
        }
        let longer = [signature.as_ref(), &[0]].concat();
        assert!(!pair.verify(digest.as_ref(), &longer));
        assert!(!pair.verify(digest.as_ref(), b""));
    }
}
