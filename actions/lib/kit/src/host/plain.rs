//! Text that steers no terminal.

use serde_json::Value;

/// Text without control characters other than line ends and tabs.
pub(super) fn without_control(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// JSON on several lines. serde escapes the control characters of ASCII but neither DEL nor those of C1, which steer a terminal
/// as well.
pub(super) fn json(value: &Value) -> String {
    let text = format!("{value:#}");
    let escaped = |c: char| match c {
        '\n' => c.to_string(),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_every_character_and_prints_no_control() {
        let value =
            serde_json::json!({"who": "a\u{1b}[2J\u{7f}\u{9b}31m\r\n\tb", "é": ["日本", 1]});
        let text = json(&value);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
