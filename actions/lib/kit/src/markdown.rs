//! Markdown for summary pages and comments, from text that somebody else may have written: a title,
//! a branch, an address in a plan. Nothing in such text can become markup, a mention or the end of
//! the block it stands in.

use std::fmt::Write as _;

/// Text in a line of Markdown, or in a cell of a table, that is nothing but text.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = one_line(text).peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' => {
                out.push('\\');
                out.push(character);
            }
            // Inside a word it emphasises nothing, and names are full of it.
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push('_'),
            '_' => out.push_str("\\_"),
            '&' if after.is_alphanumeric() || after == '#' => out.push_str("\\&"),
            // GitHub looks for mentions and references in the rendered text, where no escape is left.
            // A comment splits that text, and nobody sees it.
            '@' | '#' if after.is_alphanumeric() => {
                let _ = write!(out, "{character}<!-- -->");
            }
            _ => out.push(character),
        }
        before = character;
    }
    out
}

/// Text as code within a line.
pub fn code(text: &str) -> String {
    let text: String = one_line(text).collect();
    let ticks = "`".repeat(longest_run(&text, '`') + 1);
    // One space on each side is taken away again (CommonMark, "Code spans").
    let space = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// Text in a block of its own, as it is.
pub fn block(language: &str, text: &str) -> String {
    let fence = fence(text);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

/// A fence that nothing in `text` closes: a run of tildes longer than any in it.
pub fn fence(text: &str) -> String {
    "~".repeat((longest_run(text, '~') + 1).max(3))
}

/// A table of plain text.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!(
        "| {} |\n|{}\n",
        header.join(" | "),
        " --- |".repeat(header.len())
    );
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| text(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// The text on one line: line breaks become spaces, other control characters go.
fn one_line(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .map(|character| match character {
            '\n' | '\r' | '\t' => ' ',
            other => other,
        })
        .filter(|character| !character.is_control())
}

fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|character| character != wanted)
        .map(str::len)
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        for (given, wanted) in [
            ("shop_dev/x.tfstate", "shop_dev/x.tfstate"),
            ("a|b\nc", r"a\|b c"),
            ("*bold* _it_ ~~no~~", r"\*bold\* \_it\_ \~\~no\~\~"),
            ("[a](https://h) <img>", r"\[a\](https://h) \<img\>"),
            ("`code` \\ \u{1b}[31m", "\\`code\\` \\\\ \\[31m"),
            ("&lt; R & D", r"\&lt; R & D"),
            ("by @ada, #12", "by @<!-- -->ada, #<!-- -->12"),
        ] {
            assert_eq!(text(given), wanted);
        }
    }

    #[test]
    fn code_is_longer_than_its_ticks() {
        for (given, wanted) in [
            ("main", "`main`"),
            ("a`b", "``a`b``"),
            ("``x`", "``` ``x` ```"),
            ("two\nlines", "`two lines`"),
        ] {
            assert_eq!(code(given), wanted);
        }
    }

    #[test]
    fn nothing_in_a_block_ends_it() {
        assert_eq!(block("text", "plain\n"), "~~~text\nplain\n~~~\n");
        assert_eq!(
            block("diff", "a\n~~~~~\n### Approved"),
            "~~~~~~diff\na\n~~~~~\n### Approved\n~~~~~~\n"
        );
    }

    #[test]
    fn a_cell_cannot_leave_its_table() {
        assert_eq!(
            table(&["a", "b"], &[vec!["x|y\nz".into(), "1".into()]]),
            "| a | b |\n| --- | --- |\n| x\\|y z | 1 |\n"
        );
    }
}
