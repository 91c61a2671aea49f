//! Values that must not be seen: their Debug shows nothing and their memory is wiped.

use secrecy::{ExposeSecret, SecretString};

/// A secret value. It has no Display and no Serialize, so it cannot reach a log or a report by
/// accident; [`Secret::expose`] is the one way to its text.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a value. The string passed in is consumed, not copied.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The value, for the sink its owner declared and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", Secret::new("hunter2".to_owned())),
            "[secret]"
        );
    }
}
