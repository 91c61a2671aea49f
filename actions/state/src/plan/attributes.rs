//! The attributes of a resource or an output that a plan changes: one line for each, at whatever
//! depth. Values marked sensitive are hidden, and each other value is shown. Pure.

use super::hidden::{HIDDEN, Hidden};
use super::text::{document, excerpts, joined, spelled};
use serde_json::Value;
use std::collections::BTreeSet;

const UNKNOWN: &str = "(known after apply)";

/// One line for each attribute of `change` (an object with `before` and `after`) that changes; only
/// the value where all of them are created or destroyed.
pub(super) fn lines(change: &Value, hidden: &Hidden) -> Vec<String> {
    let forced = change["replace_paths"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|path| spelled(path.as_array().into_iter().flatten()))
        .collect();
    let one_sided = change["before"].is_null() || actions(change) == ["delete"];
    let mut walk = Walk {
        hidden,
        forced,
        one_sided,
        lines: Vec::new(),
        unknown: Vec::new(),
    };
    walk.visit("", &Sides::of(change));
    if !walk.unknown.is_empty() {
        walk.lines
            .push(format!("known after apply: {}", walk.unknown.join(", ")));
    }
    walk.lines
}

pub(super) fn actions(change: &Value) -> Vec<&str> {
    change["actions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A value before and after, with the tool's marks of each.
#[derive(Clone, Copy)]
struct Sides<'a> {
    before: &'a Value,
    after: &'a Value,
    unknown: &'a Value,
    hidden_before: &'a Value,
    hidden_after: &'a Value,
}

/// How a value before and after can be taken apart.
#[derive(PartialEq, Eq)]
enum Shape {
    Object,
    Array,
    /// An object became an array, or text an object.
    Mixed,
    Leaf,
}

impl<'a> Sides<'a> {
    fn of(change: &'a Value) -> Self {
        Self {
            before: &change["before"],
            after: &change["after"],
            unknown: &change["after_unknown"],
            hidden_before: &change["before_sensitive"],
            hidden_after: &change["after_sensitive"],
        }
    }

    fn map(&self, part: impl Fn(&'a Value) -> &'a Value) -> Self {
        Self {
            before: part(self.before),
            after: part(self.after),
            unknown: part(self.unknown),
            hidden_before: part(self.hidden_before),
            hidden_after: part(self.hidden_after),
        }
    }

    fn all(&self) -> [&'a Value; 3] {
        [self.before, self.after, self.unknown]
    }

    fn shape(&self) -> Shape {
        // A mark without a value of its own says nothing of the shape, unless a value is to come.
        let unknown = if holds_true(self.unknown) {
            self.unknown
        } else {
            &Value::Null
        };
        let mut shapes = [self.before, self.after, unknown]
            .into_iter()
            .filter(|value| !value.is_null())
            .map(|value| match value {
                Value::Object(values) if !values.is_empty() => Shape::Object,
                Value::Array(values) if !values.is_empty() => Shape::Array,
                _ => Shape::Leaf,
            });
        let Some(first) = shapes.next() else {
            return Shape::Leaf;
        };
        if shapes.all(|shape| shape == first) {
            first
        } else {
            Shape::Mixed
        }
    }

    fn names(&self) -> BTreeSet<&'a String> {
        self.all()
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(serde_json::Map::keys)
            .collect()
    }

    fn length(&self) -> usize {
        let lengths = self.all().into_iter().filter_map(Value::as_array);
        lengths.map(Vec::len).max().unwrap_or_default()
    }

    /// Each side alone.
    fn split(&self) -> [Self; 2] {
        let null = &Value::Null;
        [
            Self {
                after: null,
                unknown: null,
                hidden_after: null,
                ..*self
            },
            Self {
                before: null,
                hidden_before: null,
                ..*self
            },
        ]
    }
}

/// The walk through one change.
struct Walk<'a> {
    hidden: &'a Hidden,
    /// Paths that force a replacement.
    forced: Vec<String>,
    /// True if everything is created, or everything destroyed.
    one_sided: bool,
    lines: Vec<String>,
    /// Attributes of something new whose values are not known yet.
    unknown: Vec<String>,
}

impl Walk<'_> {
    fn visit(&mut self, path: &str, sides: &Sides<'_>) {
        let concealed =
            *sides.hidden_before == Value::Bool(true) || *sides.hidden_after == Value::Bool(true);
        let unknown = *sides.unknown == Value::Bool(true);
        if !concealed && !unknown {
            match sides.shape() {
                Shape::Object => {
                    for name in sides.names() {
                        self.visit(&joined(path, name), &sides.map(|value| &value[name]));
                    }
                    return;
                }
                Shape::Array => {
                    for at in 0..sides.length() {
                        self.visit(&format!("{path}[{at}]"), &sides.map(|value| &value[at]));
                    }
                    return;
                }
                Shape::Mixed => {
                    let [before, after] = sides.split();
                    self.visit(path, &before);
                    self.visit(path, &after);
                    return;
                }
                Shape::Leaf => {}
            }
        }
        if sides.before == sides.after && !holds_true(sides.unknown) {
            return;
        }
        let concealed =
            concealed || holds_true(sides.hidden_before) || holds_true(sides.hidden_after);
        if !concealed && !unknown && self.document(path, sides) {
            return;
        }
        self.leaf(path, sides, concealed, unknown);
    }

    /// Text that is a JSON document, such as a policy: its parts are shown as attributes are.
    fn document(&mut self, path: &str, sides: &Sides<'_>) -> bool {
        let read = |value: &Value| match value {
            Value::Null => Some(Value::Null),
            Value::String(text) => document(text),
            _ => None,
        };
        let (Some(before), Some(after)) = (read(sides.before), read(sides.after)) else {
            return false;
        };
        // A part of a secret document is no longer that secret.
        if self.hidden.holds(sides.before) || self.hidden.holds(sides.after) || before == after {
            return false;
        }
        let null = &Value::Null;
        let inside = Sides {
            before: &before,
            after: &after,
            unknown: null,
            hidden_before: null,
            hidden_after: null,
        };
        self.visit(path, &inside);
        true
    }

    fn leaf(&mut self, path: &str, sides: &Sides<'_>, concealed: bool, unknown: bool) {
        if self.one_sided && unknown {
            self.unknown.push(self.hidden.scrub(path));
            return;
        }
        let (before, after) = excerpts(sides.before, sides.after);
        let show = |value: &Value, part: String| match concealed || self.hidden.holds(value) {
            true => HIDDEN.to_owned(),
            false => part,
        };
        let before = show(sides.before, before);
        let after = match unknown {
            true => UNKNOWN.to_owned(),
            false => show(sides.after, after),
        };
        let values = match self.one_sided {
            true if sides.after.is_null() => before,
            true => after,
            false => format!("{before} → {after}"),
        };
        let force = match self.forced.iter().any(|forced| forced == path) {
            true => "  # forces replacement",
            false => "",
        };
        let name = match path {
            "" => "value",
            path => path,
        };
        let line = format!("{name}: {values}{force}");
        self.lines.push(self.hidden.scrub(&line));
    }
}

fn holds_true(marks: &Value) -> bool {
    match marks {
        Value::Bool(mark) => *mark,
        Value::Array(marks) => marks.iter().any(holds_true),
        Value::Object(marks) => marks.values().any(holds_true),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
