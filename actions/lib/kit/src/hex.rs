//! Bytes as lower-case hexadecimal digits.

use std::fmt::Write;

/// Two lower-case digits for each byte.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns whether `text` is exactly `length` lower-case digits.
pub fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(encode([0, 0x0a, 0xff]), "000aff");
        assert!(is_hex("000aff", 6));
        for wrong in ["000af", "000AFF", "000agf", "000aff0"] {
            assert!(!is_hex(wrong, 6), "{wrong}");
        }
    }
}
