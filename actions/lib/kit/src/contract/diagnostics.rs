//! Mistakes with their places, and how they become one error that shows them all.

use crate::error::{Error, Location};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// Bytes of the source.
pub(super) type Place = Range<usize>;

/// A value and where it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    place: Place,
    message: String,
    hint: Option<String>,
    related: Option<(Place, String)>,
}

impl Mistake {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            hint: None,
            related: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related = Some((place, label.into()));
        self
    }
}

/// What was found wrong so far. The same mistake seen from two environments counts once.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn add(&mut self, mistake: Mistake) {
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One error (exit 2) that shows every mistake in the order of the file.
    pub(super) fn into_error(mut self, path: &str, source: &str) -> Error {
        self.0.sort_by_key(|mistake| mistake.place.start);
        let rendered: Vec<String> = self
            .0
            .iter()
            .map(|mistake| render(path, source, mistake))
            .collect();
        let count = match self.0.len() {
            1 => "one mistake".to_owned(),
            many => format!("{many} mistakes"),
        };
        let mut error = Error::usage(format!("{path} has {count}"));
        error.details = rendered.join("\n\n");
        error.json = Some(
            self.0
                .iter()
                .map(|mistake| {
                    let (line, column) = line_and_column(source, mistake.place.start);
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
            .0
            .into_iter()
            .map(|mistake| {
                let (line, column) = line_and_column(source, mistake.place.start);
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

fn render(path: &str, source: &str, mistake: &Mistake) -> String {
    let mut snippet = Snippet::source(source)
        .path(path)
        .annotation(AnnotationKind::Primary.span(on_one_line(source, &mistake.place)));
    if let Some((place, label)) = &mistake.related {
        snippet = snippet.annotation(
            AnnotationKind::Context
                .span(on_one_line(source, place))
                .label(label),
        );
    }
    let mut group = Level::ERROR
        .primary_title(&mistake.message)
        .element(snippet);
    if let Some(hint) = &mistake.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    Renderer::plain().render(&[group])
}

/// A collection reaches over many lines; the first says enough.
fn on_one_line(source: &str, place: &Place) -> Place {
    let start = place.start.min(source.len());
    let rest = source.get(start..).unwrap_or_default();
    let line = rest.split(['\r', '\n']).next().unwrap_or_default().trim_end();
    start..place.end.clamp(start, start + line.len())
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

/// The one of `known` that `wrong` was probably meant to be.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
    fn columns_count_characters() {
        assert_eq!(line_and_column("a: ü x", "a: ü ".len()), (1, 6));
        assert_eq!(line_and_column("a\nbc", 3), (2, 2));
    }
}
