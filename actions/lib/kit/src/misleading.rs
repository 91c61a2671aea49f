//! Characters by which a text shows something else than it says.

/// Returns true if a character changes how the text around it is read without being seen itself: it controls a terminal, ends a line, turns
/// the direction of the text or takes no space. Source: Unicode Standard Annex #9, "Bidirectional Character Types", and the general
/// category Cf.
pub fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}
