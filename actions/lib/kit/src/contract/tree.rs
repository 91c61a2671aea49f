//! YAML as a tree in which every node has its span. Scalars stay raw text, so that an account
//! ID keeps its zeros, and keys written twice stay two, so that the second can be pointed at.

use super::diagnostics::{Mistake, SourceSpan};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use std::collections::BTreeMap;

/// Deep enough for any contract, shallow enough for the stack.
const MAX_DEPTH: usize = 32;

/// One node and where it is written.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) span: SourceSpan,
    pub(super) data: Data,
}

/// The content of a node.
#[derive(Debug)]
pub(super) enum Data {
    /// Text; `plain` when it is written without quotes, so that YAML may read it as a number.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Table(Vec<(Node, Node)>),
}

impl Default for Data {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

/// The type of a scalar in YAML's core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Nothing,
    Boolean,
    Number,
    Text,
}

impl Node {
    /// The type as which an editor's schema check reads this scalar (YAML 1.2.2, 10.3.2).
    pub(super) fn reading(text: &str, plain: bool) -> Reading {
        if !plain {
            return Reading::Text;
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Reading::Nothing,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Reading::Boolean,
            _ if number(text) => Reading::Number,
            _ => Reading::Text,
        }
    }

    /// The text of every scalar, by the keys and places that lead to it. An empty mapping or list counts as one, since it can mean
    /// something: `gate: {}` is a gate.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        self.collect("", &mut found);
        found
    }

    fn collect(&self, path: &str, found: &mut BTreeMap<String, String>) {
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match &self.data {
            Data::Scalar { text, .. } => {
                found.insert(path.to_owned(), text.clone());
            }
            Data::List(nodes) if nodes.is_empty() => {
                found.insert(path.to_owned(), "[]".to_owned());
            }
            Data::Table(entries) if entries.is_empty() => {
                found.insert(path.to_owned(), "{}".to_owned());
            }
            Data::List(nodes) => {
                for (place, node) in nodes.iter().enumerate() {
                    node.collect(&below(&place.to_string()), found);
                }
            }
            Data::Table(entries) => {
                for (key, value) in entries {
                    if let Data::Scalar { text, .. } = &key.data {
                        value.collect(&below(text), found);
                    }
                }
            }
        }
    }

    /// The node as a reader would name it.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Table(_) => "a mapping",
            Data::Scalar { text, plain } => match Self::reading(text, *plain) {
                Reading::Nothing => "nothing",
                Reading::Boolean => "a boolean",
                Reading::Number => "a number",
                Reading::Text => "text",
            },
        }
    }
}

fn number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    }
    matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) || (unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok())
}

/// Reads the one document in `source`.
pub(super) fn parse(source: &str) -> Result<Node, Mistake> {
    let mut builder = Builder {
        source,
        offsets: source
            .char_indices()
            .map(|(offset, _)| offset)
            .chain([source.len()])
            .collect(),
        open: Vec::new(),
        done: None,
    };
    for event in Parser::new_from_str(source) {
        let (event, span) = event.map_err(|error| builder.unreadable(&error))?;
        builder.take(event, span)?;
    }
    builder.done.ok_or_else(|| {
        Mistake::new(0..0, "the contract is empty")
            .hint("start with `version: 1`, `service:`, `build:` and `environments:`")
    })
}

/// A collection that is still being read; a table also holds the key that waits for its value.
struct Open {
    start: usize,
    data: Data,
    key: Option<Node>,
}

struct Builder<'s> {
    source: &'s str,
    /// The byte at which each character of the source begins: the parser counts characters.
    offsets: Vec<usize>,
    open: Vec<Open>,
    done: Option<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, chars: Span) -> Result<(), Mistake> {
        let span = self.byte(chars.start.index())..self.byte(chars.end.index());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_anchor(anchor, tag.is_some(), &span)?;
                let plain = style == ScalarStyle::Plain;
                let written = self.source.get(span.clone()).unwrap_or_default();
                if plain
                    && let Some((offset, found)) = written.char_indices().find(|(_, c)| blank(*c))
                {
                    return Err(self.not_a_space(span.start + offset, found));
                }
                let text = text.into_owned();
                self.add(Node {
                    span,
                    data: Data::Scalar { text, plain },
                })?;
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_anchor(anchor, tag.is_some(), &span)?;
                self.begin(span, Data::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_anchor(anchor, tag.is_some(), &span)?;
                self.begin(span, Data::Table(Vec::new()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.add(Node {
                        span: open.start..span.end.max(open.start),
                        data: open.data,
                    })?;
                }
            }
            Event::Alias(_) => {
                return Err(Mistake::new(span, "aliases are not read in a contract")
                    .hint("write the value out, so that a reviewer sees it where it counts"));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, span: SourceSpan, data: Data) -> Result<(), Mistake> {
        if self.open.len() == MAX_DEPTH {
            return Err(Mistake::new(span, "this is nested too deeply"));
        }
        self.open.push(Open {
            start: span.start,
            data,
            key: None,
        });
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), Mistake> {
        match self.open.last_mut() {
            Some(Open {
                data: Data::List(items),
                ..
            }) => items.push(node),
            Some(Open {
                data: Data::Table(entries),
                key,
                ..
            }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
            _ if self.done.is_some() => {
                return Err(Mistake::new(node.span, "a second document begins here")
                    .hint("a contract is one document: remove the `---` before it"));
            }
            _ => self.done = Some(node),
        }
        Ok(())
    }

    fn byte(&self, character: usize) -> usize {
        let end = self.offsets.len() - 1;
        self.offsets[character.min(end)]
    }

    /// Something that looks like a space, or like nothing, and is neither to YAML.
    fn not_a_space(&self, at: usize, found: char) -> Mistake {
        let name = match found {
            '\t' => "a tab".to_owned(),
            '\u{a0}' => "a no-break space (U+00A0)".to_owned(),
            other => format!("an invisible character (U+{:04X})", u32::from(other)),
        };
        let mistake = Mistake::new(
            at..at + found.len_utf8(),
            format!("{name} stands here, which YAML does not take for a space"),
        )
        .hint("replace it with a space, or put the text in quotes if it belongs to it");
        match section(&self.source[..at]) {
            "secrets" => mistake.hidden(),
            _ => mistake,
        }
    }

    /// The parser's own words, and a hint for the mistakes people make most.
    fn unreadable(&self, error: &ScanError) -> Mistake {
        let source = self.source;
        let at = self.byte(error.marker().index());
        let line_start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = source[line_start..].lines().next().unwrap_or_default();
        let indentation = &line[..line.len() - line.trim_start().len()];
        if let Some(tab) = indentation.find('\t') {
            let tab = line_start + tab;
            return Mistake::new(tab..tab + 1, "a tab cannot indent YAML")
                .hint("indent with spaces");
        }
        // A parser may go on to the line after the one that is wrong.
        let before = source[..line_start.saturating_sub(1)]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let lines = &source[before..line_start + line.len()];
        let odd = lines.char_indices().find(|(_, c)| *c == '\t' || blank(*c));
        if let Some((offset, found)) = odd {
            return self.not_a_space(before + offset, found);
        }
        let mistake = Mistake::new(at..at + 1, format!("this is not YAML: {}", error.info()));
        if section(&source[..line_start + line.len()]) == "secrets" {
            return mistake
                .hidden()
                .hint("the line is not shown, since it may hold a secret; text with `: ` or `#` needs quotes");
        }
        let value = line.split_once(": ").map(|(_, value)| value.trim());
        if value.is_some_and(|value| value.starts_with('{') && !value.ends_with('}')) {
            return mistake.hint("put text that begins with `{` in quotes: \"{service}-…\"");
        }
        mistake.hint("keys of one mapping stand in one column, and a colon is followed by a space")
    }
}

/// Returns whether a reader sees a space, or nothing, where YAML sees a letter.
fn blank(c: char) -> bool {
    !c.is_ascii()
        && (c.is_whitespace()
            || matches!(
                c,
                '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
            ))
}

/// The key at the left edge that the end of `source` belongs to.
fn section(source: &str) -> &str {
    source
        .lines()
        .rev()
        .find(|line| {
            line.starts_with(|first: char| !first.is_whitespace() && !"#}]".contains(first))
        })
        .and_then(|line| line.split(':').next())
        .unwrap_or_default()
}

fn refuse_anchor(anchor: usize, tagged: bool, span: &SourceSpan) -> Result<(), Mistake> {
    if anchor > 0 {
        return Err(
            Mistake::new(span.clone(), "anchors are not read in a contract")
                .hint("write the value out where it is used"),
        );
    }
    if tagged {
        return Err(
            Mistake::new(span.clone(), "tags are not read in a contract")
                .hint("remove the `!…`; put a number in quotes to make it text"),
        );
    }
    Ok(())
}
