//! Text that steers no terminal.

/// Text without control characters other than line ends and tabs.
pub(super) fn without_control(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
