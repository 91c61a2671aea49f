//! The attributes of a resource or an output that a plan changes: one line for each, at whatever
//! depth. Values marked sensitive are hidden, and each other value is shown. Pure.

use super::hidden::{HIDDEN, Hidden};
use serde_json::Value;
use std::collections::BTreeSet;

const UNKNOWN: &str = "(known after apply)";
/// The longest form of a value in a line.
const VALUE_LIMIT: usize = 2000;
/// Of two longer texts only the part that differs is shown, with this much of the text around it.
const LONG: usize = 160;
const AROUND: usize = 40;

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

/// A value before and after, with what the tool knows of each.
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
    fn apart(&self) -> [Self; 2] {
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
    /// Whether everything is created, or everything destroyed.
    one_sided: bool,
    lines: Vec<String>,
    /// Attributes of something new whose values nobody knows yet.
    unknown: Vec<String>,
}

impl Walk<'_> {
    fn visit(&mut self, path: &str, it: &Sides<'_>) {
        let concealed =
            *it.hidden_before == Value::Bool(true) || *it.hidden_after == Value::Bool(true);
        let unknown = *it.unknown == Value::Bool(true);
        if !concealed && !unknown {
            match it.shape() {
                Shape::Object => {
                    for name in it.names() {
                        self.visit(&joined(path, name), &it.map(|value| &value[name]));
                    }
                    return;
                }
                Shape::Array => {
                    for at in 0..it.length() {
                        self.visit(&format!("{path}[{at}]"), &it.map(|value| &value[at]));
                    }
                    return;
                }
                Shape::Mixed => {
                    let [before, after] = it.apart();
                    self.visit(path, &before);
                    self.visit(path, &after);
                    return;
                }
                Shape::Leaf => {}
            }
        }
        if it.before == it.after && !holds_true(it.unknown) {
            return;
        }
        let concealed = concealed || holds_true(it.hidden_before) || holds_true(it.hidden_after);
        if !concealed && !unknown && self.document(path, it) {
            return;
        }
        self.leaf(path, it, concealed, unknown);
    }

    /// Text that is a JSON document, such as a policy: its parts are shown as attributes are.
    fn document(&mut self, path: &str, it: &Sides<'_>) -> bool {
        let read = |value: &Value| match value {
            Value::Null => Some(Value::Null),
            Value::String(text) => document(text),
            _ => None,
        };
        let (Some(before), Some(after)) = (read(it.before), read(it.after)) else {
            return false;
        };
        // A part of a secret document is no longer that secret.
        if self.hidden.holds(it.before) || self.hidden.holds(it.after) || before == after {
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

    fn leaf(&mut self, path: &str, it: &Sides<'_>, concealed: bool, unknown: bool) {
        if self.one_sided && unknown {
            self.unknown.push(self.hidden.scrub(path));
            return;
        }
        let (before, after) = excerpts(it.before, it.after);
        let show = |whole: &Value, part: String| match concealed || self.hidden.holds(whole) {
            true => HIDDEN.to_owned(),
            false => part,
        };
        let before = show(it.before, before);
        let after = match unknown {
            true => UNKNOWN.to_owned(),
            false => show(it.after, after),
        };
        let values = match self.one_sided {
            true if it.after.is_null() => before,
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

/// `a.b[0]`, as Terraform spells a path.
fn spelled<'a>(steps: impl Iterator<Item = &'a Value>) -> String {
    steps.fold(String::new(), |path, step| match step {
        Value::String(name) => joined(&path, name),
        other => format!("{path}[{other}]"),
    })
}

/// A name that is more than a word could look like another path, or like another line.
fn joined(path: &str, name: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    match (path, name.chars().all(word) && !name.is_empty()) {
        ("", true) => name.to_owned(),
        (path, true) => format!("{path}.{name}"),
        (path, false) => format!("{path}[{}]", quoted(&Value::from(name))),
    }
}

/// The document in a text, if nothing of it would be lost: of two members with one name, for
/// example, only one is left after reading.
fn document(text: &str) -> Option<Value> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let (mut inside, mut escaped, mut length) = (false, false, 0);
    for byte in text.bytes() {
        if inside || !byte.is_ascii_whitespace() {
            length += 1;
        }
        if byte == b'"' && !escaped {
            inside = !inside;
        }
        escaped = inside && byte == b'\\' && !escaped;
    }
    (value.to_string().len() == length).then_some(value)
}

/// Both values as a line shows them. Of two long texts the part that differs.
fn excerpts(before: &Value, after: &Value) -> (String, String) {
    let (Value::String(one), Value::String(other)) = (before, after) else {
        return (cut(&quoted(before)), cut(&quoted(after)));
    };
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().max(other.len()) <= LONG {
        return (cut(&quoted(before)), cut(&quoted(after)));
    }
    let same = |pairs: &mut dyn Iterator<Item = (&char, &char)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let start = same(&mut one.iter().zip(&other));
    let end = same(&mut one[start..].iter().rev().zip(other[start..].iter().rev()));
    let (from, tail) = (start.saturating_sub(AROUND), end.saturating_sub(AROUND));
    let part = |text: &[char]| {
        let part: String = text[from..text.len() - tail].iter().collect();
        let mark = |there: bool| if there { "…" } else { "" };
        let (left, right) = (mark(from > 0), mark(tail > 0));
        cut(&format!("{left}{}{right}", quoted(&part.into())))
    };
    (part(&one), part(&other))
}

/// A value as JSON, with the characters escaped that would change the order in which a line is
/// read.
fn quoted(value: &Value) -> String {
    let text = value.to_string();
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{7f}'..='\u{9f}');
    if !text.contains(turns) {
        return text;
    }
    text.chars().fold(String::new(), |mut out, c| {
        match turns(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
        out
    })
}

fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= VALUE_LIMIT {
        return text.to_owned();
    }
    let start: String = text.chars().take(VALUE_LIMIT).collect();
    format!("{start}… ({} more characters)", length - VALUE_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    #[track_caller]
    fn check(change: Value, wanted: Expect) {
        let plan = json!({"resource_changes": [{"change": change}]});
        let hidden = Hidden::of(&plan);
        let change = &plan["resource_changes"][0]["change"];
        wanted.assert_eq(&lines(change, &hidden).join("\n"));
    }

    #[test]
    fn a_new_resource_shows_its_attributes_at_any_depth() {
        check(
            json!({
                "actions": ["create"],
                "before": null,
                "after": {
                    "name": "web", "none": null, "list": [],
                    "ingress": [{"cidr_blocks": ["0.0.0.0/0"], "port": 22, "key": "hush-hush-1"}],
                    "tags": {"a b": "x", "n\n+   fake": {"deep": {"deeper": {"deepest": [[1]]}}}},
                },
                "after_unknown": {"arn": true, "id": true, "ingress": [{"cidr_blocks": [false]}], "nested": [{"id": true}]},
                "before_sensitive": false,
                "after_sensitive": {"ingress": [{"cidr_blocks": [false], "key": true}], "secret": {"at": true}},
            }),
            expect![[r#"
                ingress[0].cidr_blocks[0]: "0.0.0.0/0"
                ingress[0].key: (sensitive value)
                ingress[0].port: 22
                list: []
                name: "web"
                tags["a b"]: "x"
                tags["n\n+   fake"].deep.deeper.deepest[0][0]: 1
                known after apply: arn, id, nested[0].id"#]],
        );
    }

    #[test]
    fn a_destroyed_resource_shows_what_goes() {
        check(
            json!({"actions": ["delete"], "before": {"bucket": "logs", "key": "hush-hush"}, "after": null, "before_sensitive": {"key": true}}),
            expect![[r#"
                bucket: "logs"
                key: (sensitive value)"#]],
        );
    }

    #[test]
    fn a_change_shows_both_sides() {
        check(
            json!({
                "actions": ["update"],
                "before": {"a": 1, "was": {"x": 1}, "list": ["a"], "same": [1, {"b": 2}], "gone": "g"},
                "after": {"a": 2, "was": ["y"], "list": ["a", "b"], "same": [1, {"b": 2}]},
                "after_unknown": {"later": {"id": true}},
            }),
            expect![[r#"
                a: 1 → 2
                gone: "g" → null
                later.id: null → (known after apply)
                list[1]: null → "b"
                was.x: 1 → null
                was[0]: null → "y""#]],
        );
    }

    #[test]
    fn a_document_in_a_text_is_taken_apart() {
        let policy = |principal: &str| {
            json!({"Statement": [{"Action": "s3:*", "Principal": principal}]}).to_string()
        };
        check(
            json!({"actions": ["update"], "before": {"policy": policy("me")}, "after": {"policy": policy("*")}}),
            expect![[r#"policy.Statement[0].Principal: "me" → "*""#]],
        );
        // Reading it would lose the first of the two, or hide that there is a change at all.
        check(
            json!({"actions": ["create"], "before": null, "after": {"policy": r#"{"P":"*","P":"me"}"#}}),
            expect![[r#"policy: "{\"P\":\"*\",\"P\":\"me\"}""#]],
        );
        check(
            json!({"actions": ["update"], "before": {"p": "{}"}, "after": {"p": "{ }"}}),
            expect![[r#"p: "{}" → "{ }""#]],
        );
    }

    #[test]
    fn long_texts_show_where_they_differ_and_what_is_cut_is_said() {
        let text = |middle: &str| format!("{}{middle}{}", "a".repeat(300), "z".repeat(300));
        check(
            json!({"actions": ["update"], "before": {"t": text("10.0.0.0/8")}, "after": {"t": text("0.0.0.0/0")}}),
            expect![[
                r#"t: …"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa10.0.0.0/8zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"… → …"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0.0.0.0/0zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"…"#
            ]],
        );
        let plan = json!({});
        let long = json!({"actions": ["create"], "before": null, "after": {"t": "x".repeat(3000)}});
        let lines = lines(&long, &Hidden::of(&plan));
        assert!(lines[0].ends_with("… (1002 more characters)"), "{lines:?}");
    }

    #[test]
    fn the_order_in_which_a_line_is_read_cannot_be_changed() {
        check(
            json!({"actions": ["create"], "before": null, "after": {"t": "a\u{202e}b"}}),
            expect![[r#"t: "a\u202eb""#]],
        );
    }
}
