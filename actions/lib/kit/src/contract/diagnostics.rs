//! Mistakes with their spans, and how they become one error that shows them all.

use crate::error::{Error, Location};
use annotate_snippets::{Annotation, AnnotationKind, Level, Origin, Renderer, Snippet};
use std::ops::Range;

/// Bytes of the source.
pub(super) type SourceSpan = Range<usize>;

/// A value and where it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: SourceSpan,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    span: SourceSpan,
    message: String,
    hint: Option<String>,
    related: Option<(SourceSpan, String)>,
    hidden: bool,
}

impl Mistake {
    pub(super) fn new(span: SourceSpan, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
            related: None,
            hidden: false,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Shows the line and the column without the text there, because it may be a secret.
    pub(super) fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(super) fn related(mut self, span: SourceSpan, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }
}

/// The mistakes that were found so far. The same mistake seen from two environments counts once.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<Mistake>,
    unseen: Vec<SourceSpan>,
}

impl Mistakes {
    pub(super) fn add(&mut self, mistake: Mistake) {
        if !self.found.contains(&mistake) {
            self.found.push(mistake);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Shows asterisks for the text in `spans`.
    pub(super) fn conceal(&mut self, spans: Vec<SourceSpan>) {
        self.unseen = spans;
    }

    /// One error (exit 2) that shows every mistake in the order of the file; `headline` says what
    /// was being done.
    pub(super) fn into_error(mut self, headline: &str, path: &str, source: &str) -> Error {
        self.found.sort_by_key(|mistake| mistake.span.start);
        let source = &concealed(source, &self.unseen);
        let rendered: Vec<String> = self
            .found
            .iter()
            .map(|mistake| render(path, source, mistake))
            .collect();
        let count = match self.found.len() {
            1 => "1 mistake".to_owned(),
            many => format!("{many} mistakes"),
        };
        let mut error = Error::usage(format!("{headline}: {count}"));
        error.details = rendered.join("\n\n");
        error.json = Some(
            self.found
                .iter()
                .map(|mistake| {
                    let (line, column) = line_and_column(source, mistake.span.start);
                    serde_json::json!({
                        "file": path,
                        "line": line,
                        "column": column,
                        "message": mistake.message,
                        "hint": mistake.hint,
                    })
                })
                .collect(),
        );
        error.locations = self
            .found
            .into_iter()
            .map(|mistake| {
                let (line, column) = line_and_column(source, mistake.span.start);
                let message = match mistake.hint {
                    Some(hint) => format!("{}\nhint: {hint}", mistake.message),
                    None => mistake.message,
                };
                Location {
                    file: path.to_owned(),
                    line,
                    column,
                    message,
                }
            })
            .collect();
        error
    }
}

/// The source with asterisks in `spans`, every byte where it was.
fn concealed(source: &str, spans: &[SourceSpan]) -> String {
    let mut text = String::with_capacity(source.len());
    for (offset, character) in source.char_indices() {
        let unseen = spans.iter().any(|span| span.contains(&offset));
        if unseen && !matches!(character, '\r' | '\n') {
            text.extend(std::iter::repeat_n('*', character.len_utf8()));
        } else {
            text.push(character);
        }
    }
    text
}

fn render(path: &str, source: &str, mistake: &Mistake) -> String {
    let title = Level::ERROR.primary_title(&mistake.message);
    let mut group = if mistake.hidden {
        let (line, column) = line_and_column(source, mistake.span.start);
        title.element(Origin::path(path).line(line).char_column(column))
    } else {
        title.element(snippet(path, source, mistake))
    };
    if let Some(hint) = &mistake.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    Renderer::plain().render(&[group])
}

fn snippet<'a>(
    path: &'a str,
    source: &'a str,
    mistake: &'a Mistake,
) -> Snippet<'a, Annotation<'a>> {
    let mut snippet = Snippet::source(source)
        .path(path)
        .annotation(AnnotationKind::Primary.span(on_one_line(source, &mistake.span)));
    if let Some((span, label)) = &mistake.related {
        snippet = snippet.annotation(
            AnnotationKind::Context
                .span(on_one_line(source, span))
                .label(label),
        );
    }
    snippet
}

/// A collection reaches over many lines; the first says enough. The renderer panics inside a
/// character, so spans end between two.
fn on_one_line(source: &str, span: &SourceSpan) -> SourceSpan {
    let start = source.floor_char_boundary(span.start);
    let line = source[start..]
        .split(['\r', '\n'])
        .next()
        .unwrap_or_default()
        .trim_end();
    let end = span.end.clamp(start, start + line.len());
    start..source.ceil_char_boundary(end)
}

/// Both counted from 1, the column in characters, as editors and annotations count.
fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The name among `known` that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_recognised_and_a_stranger_is_not() {
        let known = ["account", "follows", "gate", "region"];
        assert_eq!(nearest("acount", known), Some("account"));
        assert_eq!(nearest("folows", known), Some("follows"));
        assert_eq!(nearest("Gates", known), Some("gate"));
        assert_eq!(nearest("timeout", known), None);
    }

    #[test]
    fn a_place_ends_between_characters_and_on_its_line() {
        assert_eq!(on_one_line("a: é\n", &(3..4)), 3..5);
        assert_eq!(on_one_line("a: é\n", &(4..4)), 3..5);
        assert_eq!(on_one_line("a:\n b: 1\n", &(0..8)), 0..2);
        assert_eq!(on_one_line("a", &(7..9)), 1..1);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("a: ü x", "a: ü ".len()), (1, 6));
        assert_eq!(line_and_column("a\nbc", 3), (2, 2));
    }
}
