//! What a plan would do, read from `terraform show -json` (format 1.x: developer.hashicorp.com,
//! "JSON Output Format"; OpenTofu writes the same). Pure. Values that are marked sensitive leave
//! this file neither here nor where the tool has lost the mark: `terraform_data.output` shows one
//! in plain text that its `input` hides.

use serde_json::Value;
use std::collections::BTreeMap;

/// What stands for a value that nobody may see.
const HIDDEN: &str = "(sensitive value)";
const UNKNOWN: &str = "(known after apply)";
/// A value's longest form in a line.
const VALUE_LIMIT: usize = 120;
/// Sensitive text shorter than this is hidden only where it is the whole value: nearly every value
/// holds a single letter.
const SHORT: usize = 4;

/// What happens to a resource, the most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Something that this version knows nothing of.
    Other,
    Replace,
    Destroy,
    Forget,
    Change,
    Import,
    Move,
    Create,
}

impl Kind {
    /// Terraform's own sign, as a diff would colour it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Kind::Other => "?  ",
            Kind::Replace => "-/+",
            Kind::Destroy => "-  ",
            Kind::Forget => "#  ",
            Kind::Change => "!  ",
            Kind::Import => "+> ",
            Kind::Move => "=> ",
            Kind::Create => "+  ",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::Other => "to do something else",
            Kind::Replace => "to replace",
            Kind::Destroy => "to destroy",
            Kind::Forget => "to forget",
            Kind::Change => "to change",
            Kind::Import => "to import",
            Kind::Move => "to move",
            Kind::Create => "to add",
        }
    }

    const ALL: [Kind; 8] = [
        Kind::Other,
        Kind::Replace,
        Kind::Destroy,
        Kind::Forget,
        Kind::Change,
        Kind::Import,
        Kind::Move,
        Kind::Create,
    ];
}

/// One resource that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) address: String,
    /// The address it had before, or the ID it is imported by.
    pub(crate) from: Option<String>,
    /// One line for each attribute that changes.
    pub(crate) lines: Vec<String>,
}

/// Everything a plan would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The most dangerous first.
    pub(crate) resources: Vec<Resource>,
    /// Outputs that change, by name: `created`, `changed`, `removed`.
    pub(crate) outputs: Vec<(String, &'static str)>,
    /// What differs from the state already.
    pub(crate) drift: Vec<Resource>,
}

impl Changes {
    /// Reads the plan's JSON.
    pub(crate) fn of(plan: &Value) -> Self {
        let hidden = Hidden::of(plan);
        let resources = |list: &str| {
            let mut found: Vec<Resource> = plan[list]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|change| resource(change, &hidden))
                .collect();
            found.sort_by(|a, b| (a.kind, &a.address).cmp(&(b.kind, &b.address)));
            found
        };
        let outputs = plan["output_changes"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, change)| {
                let how = match actions(change).as_slice() {
                    ["create"] => "added",
                    ["update"] | ["delete", "create"] | ["create", "delete"] => "changed",
                    ["delete"] => "removed",
                    _ => return None,
                };
                Some((name.clone(), how))
            })
            .collect();
        let mut all = resources("resource_changes");
        all.extend(others(plan, &hidden));
        all.sort_by(|a, b| (a.kind, &a.address).cmp(&(b.kind, &b.address)));
        Self {
            resources: all,
            outputs,
            drift: resources("resource_drift"),
        }
    }

    /// Whether applying would do anything at all.
    pub(crate) fn any(&self) -> bool {
        !self.resources.is_empty() || !self.outputs.is_empty()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.resources.iter().filter(|it| it.kind == kind).count()
    }

    /// `1 to replace, 2 to destroy, 3 to add`.
    pub(crate) fn counts(&self) -> String {
        let mut parts: Vec<String> = Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.count(kind)))
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{count} {}", kind.words()))
            .collect();
        if parts.is_empty() && !self.outputs.is_empty() {
            parts.push(kit::report::count(self.outputs.len(), "changed output"));
        }
        if parts.is_empty() {
            parts.push("no changes".to_owned());
        }
        parts.join(", ")
    }
}

fn actions(change: &Value) -> Vec<&str> {
    change["actions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// What a plan holds beside changes of resources: actions that providers carry out, and changes that
/// can be planned only after this one (terraform `internal/command/jsonplan`).
fn others(plan: &Value, hidden: &Hidden) -> Vec<Resource> {
    let list = |name: &str| plan[name].as_array().into_iter().flatten();
    let other = |address: &Value, what: &str| Resource {
        kind: Kind::Other,
        address: hidden.scrub(address.as_str().unwrap_or("(no address)")),
        from: None,
        lines: vec![what.to_owned()],
    };
    let actions =
        list("action_invocations").map(|it| other(&it["address"], "an action is invoked"));
    let deferred = list("deferred_changes").map(|it| {
        other(
            &it["resource_change"]["address"],
            "deferred to a later plan",
        )
    });
    actions.chain(deferred).collect()
}

fn resource(entry: &Value, hidden: &Hidden) -> Option<Resource> {
    // A data source is read, which changes nothing.
    if entry["mode"] == "data" {
        return None;
    }
    let change = &entry["change"];
    let imported = change["importing"]["id"].as_str();
    let moved = entry["previous_address"].as_str();
    let kind = match actions(change).as_slice() {
        ["create"] => Kind::Create,
        ["update"] => Kind::Change,
        ["delete"] => Kind::Destroy,
        ["forget"] => Kind::Forget,
        ["delete" | "forget", "create"] | ["create", "delete" | "forget"] => Kind::Replace,
        ["no-op"] if imported.is_some() => Kind::Import,
        ["no-op"] if moved.is_some() => Kind::Move,
        ["no-op" | "read"] => return None,
        // Whoever approves has to know that there is something.
        _ => Kind::Other,
    };
    let address = hidden.scrub(entry["address"].as_str().unwrap_or("(no address)"));
    let mut lines = Vec::new();
    if matches!(kind, Kind::Change | Kind::Replace) {
        let forced: Vec<String> = change["replace_paths"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|path| spelled(path.as_array().into_iter().flatten()))
            .collect();
        let sides = Sides {
            before: &change["before"],
            after: &change["after"],
            unknown: &change["after_unknown"],
            hidden_before: &change["before_sensitive"],
            hidden_after: &change["after_sensitive"],
        };
        compare("", &sides, hidden, &forced, &mut lines);
    }
    Some(Resource {
        kind,
        address,
        from: moved.or(imported).map(|from| hidden.scrub(from)),
        lines,
    })
}

/// `a.b[0]`, as Terraform spells a path.
fn spelled<'a>(steps: impl Iterator<Item = &'a Value>) -> String {
    steps.fold(String::new(), |path, step| match step {
        Value::String(name) => joined(&path, name),
        other => format!("{path}[{other}]"),
    })
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// One value before and after, with what the tool knows of each.
struct Sides<'a> {
    before: &'a Value,
    after: &'a Value,
    unknown: &'a Value,
    hidden_before: &'a Value,
    hidden_after: &'a Value,
}

impl<'a> Sides<'a> {
    fn member(&self, name: &str) -> Sides<'a> {
        Sides {
            before: &self.before[name],
            after: &self.after[name],
            unknown: &self.unknown[name],
            hidden_before: &self.hidden_before[name],
            hidden_after: &self.hidden_after[name],
        }
    }

    fn element(&self, at: usize) -> Sides<'a> {
        Sides {
            before: &self.before[at],
            after: &self.after[at],
            unknown: &self.unknown[at],
            hidden_before: &self.hidden_before[at],
            hidden_after: &self.hidden_after[at],
        }
    }
}

fn compare(path: &str, it: &Sides<'_>, hidden: &Hidden, forced: &[String], out: &mut Vec<String>) {
    let concealed = *it.hidden_before == Value::Bool(true) || *it.hidden_after == Value::Bool(true);
    let unknown = *it.unknown == Value::Bool(true);
    if !concealed && !unknown {
        match (it.before, it.after) {
            (Value::Object(before), Value::Object(after)) => {
                let unknown = it.unknown.as_object();
                let names: BTreeMap<&String, ()> = before
                    .keys()
                    .chain(after.keys())
                    .chain(unknown.into_iter().flat_map(|them| them.keys()))
                    .map(|name| (name, ()))
                    .collect();
                for name in names.into_keys() {
                    let path = joined(path, name);
                    compare(&path, &it.member(name), hidden, forced, out);
                }
                return;
            }
            (Value::Array(before), Value::Array(after)) => {
                for at in 0..before.len().max(after.len()) {
                    let path = format!("{path}[{at}]");
                    compare(&path, &it.element(at), hidden, forced, out);
                }
                return;
            }
            (before, after) if before == after => return,
            _ => {}
        }
    } else if concealed && !unknown && it.before == it.after {
        return;
    }
    let shown = |value: &Value| {
        if concealed {
            HIDDEN.to_owned()
        } else {
            hidden.show(value)
        }
    };
    let after = if unknown {
        UNKNOWN.to_owned()
    } else {
        shown(it.after)
    };
    let force = if forced.iter().any(|forced| forced == path) {
        "  # forces replacement"
    } else {
        ""
    };
    out.push(hidden.scrub(&format!("{path}: {} → {after}{force}", shown(it.before))));
}

/// Every text that the plan marks sensitive anywhere.
struct Hidden(Vec<String>);

impl Hidden {
    fn of(plan: &Value) -> Self {
        let mut found = Vec::new();
        let variables = plan["configuration"]["root_module"]["variables"].as_object();
        for (name, declared) in variables.into_iter().flatten() {
            if declared["sensitive"] == true {
                leaves(&plan["variables"][name]["value"], &mut found);
            }
        }
        for list in ["resource_changes", "resource_drift"] {
            for entry in plan[list].as_array().into_iter().flatten() {
                marked_change(&entry["change"], &mut found);
            }
        }
        for (_, change) in plan["output_changes"].as_object().into_iter().flatten() {
            marked_change(change, &mut found);
        }
        for outputs in [
            &plan["planned_values"]["outputs"],
            &plan["prior_state"]["values"]["outputs"],
        ] {
            for (_, output) in outputs.as_object().into_iter().flatten() {
                if output["sensitive"] == true {
                    leaves(&output["value"], &mut found);
                }
            }
        }
        for root in [
            &plan["planned_values"]["root_module"],
            &plan["prior_state"]["values"]["root_module"],
        ] {
            marked_module(root, &mut found);
        }
        // The longest first, so that no part of one is left over by another.
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        found.dedup();
        Self(found)
    }

    /// A value as a line shows it: hidden first, cut afterwards, so that no beginning is left.
    fn show(&self, value: &Value) -> String {
        let mut held = Vec::new();
        leaves(value, &mut held);
        if held.iter().any(|text| self.holds(text)) {
            return HIDDEN.to_owned();
        }
        cut(&value.to_string())
    }

    fn holds(&self, text: &str) -> bool {
        self.0.iter().any(|secret| {
            text == secret || (secret.chars().count() >= SHORT && text.contains(secret.as_str()))
        })
    }

    /// A whole line, in case a value came into it by another way.
    fn scrub(&self, line: &str) -> String {
        self.0
            .iter()
            .filter(|secret| secret.chars().count() >= SHORT)
            .fold(line.to_owned(), |line, secret| {
                line.replace(secret.as_str(), HIDDEN)
            })
    }
}

fn marked_module(module: &Value, found: &mut Vec<String>) {
    for resource in module["resources"].as_array().into_iter().flatten() {
        marked(&resource["values"], &resource["sensitive_values"], found);
    }
    for child in module["child_modules"].as_array().into_iter().flatten() {
        marked_module(child, found);
    }
}

fn marked_change(change: &Value, found: &mut Vec<String>) {
    marked(&change["before"], &change["before_sensitive"], found);
    marked(&change["after"], &change["after_sensitive"], found);
}

/// Collects what of `value` the same places of `marks` call sensitive.
fn marked(value: &Value, marks: &Value, found: &mut Vec<String>) {
    match (marks, value) {
        (Value::Bool(true), _) => leaves(value, found),
        (Value::Object(marks), Value::Object(values)) => {
            for (name, mark) in marks {
                if let Some(value) = values.get(name) {
                    marked(value, mark, found);
                }
            }
        }
        (Value::Array(marks), Value::Array(values)) => {
            for (mark, value) in marks.iter().zip(values) {
                marked(value, mark, found);
            }
        }
        _ => {}
    }
}

/// The texts and numbers in a value. `true` and `false` are no secrets.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, found)),
        Value::Object(values) => values.values().for_each(|value| leaves(value, found)),
        _ => {}
    }
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
    use serde_json::json;

    fn change(address: &str, actions: &[&str], rest: Value) -> Value {
        let mut change = rest;
        change["actions"] = json!(actions);
        json!({"address": address, "mode": "managed", "change": change})
    }

    #[test]
    fn what_destroys_comes_first_and_nothing_is_left_out() {
        let plan = json!({"resource_changes": [
            change("a.new", &["create"], json!({})),
            change("a.same", &["no-op"], json!({})),
            change("a.other", &["update"], json!({"before": {"x": 1}, "after": {"x": 2}})),
            change("a.gone", &["delete"], json!({})),
            change("a.swap", &["create", "delete"], json!({"before": {"k": "a"}, "after": {"k": "b"}, "replace_paths": [["k"]]})),
            change("a.left", &["forget"], json!({})),
            {"address": "a.moved", "previous_address": "a.was", "mode": "managed", "change": {"actions": ["no-op"]}},
            {"address": "data.x", "mode": "data", "change": {"actions": ["read"]}},
        ], "output_changes": {"o": {"actions": ["update"]}, "same": {"actions": ["no-op"]}}});
        let changes = Changes::of(&plan);
        let seen: Vec<(Kind, &str)> = changes
            .resources
            .iter()
            .map(|it| (it.kind, it.address.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (Kind::Replace, "a.swap"),
                (Kind::Destroy, "a.gone"),
                (Kind::Forget, "a.left"),
                (Kind::Change, "a.other"),
                (Kind::Move, "a.moved"),
                (Kind::Create, "a.new"),
            ]
        );
        assert_eq!(
            changes.resources[0].lines,
            [r#"k: "a" → "b"  # forces replacement"#]
        );
        assert_eq!(changes.outputs, [("o".to_owned(), "changed")]);
        assert_eq!(
            changes.counts(),
            "1 to replace, 1 to destroy, 1 to forget, 1 to change, 1 to move, 1 to add"
        );
        assert_eq!(Changes::default().counts(), "no changes");
        assert!(!Changes::default().any());
    }

    #[test]
    fn a_sensitive_value_is_hidden_where_the_tool_forgot_that_it_is() {
        let plan = json!({
            "variables": {"token": {"value": "hush-hush-1"}, "pin": {"value": "7"}},
            "configuration": {"root_module": {"variables": {"token": {"sensitive": true}, "pin": {"sensitive": true}}}},
            "resource_changes": [change("a.s[\"hush-hush-1\"]", &["update"], json!({
                "before": {"input": "hush-hush-1", "output": "hush-hush-1", "url": "https://u:hush-hush-1@h", "n": {"pin": 7, "other": 17}, "list": ["a"], "key": "k1"},
                "after": {"input": "hush-hush-2", "url": "https://u:hush-hush-2@h", "n": {"pin": 8, "other": 18}, "list": ["a", "b"], "key": "k2"},
                "after_unknown": {"output": true},
                "before_sensitive": {"input": true, "n": {}},
                "after_sensitive": {"input": true, "key": true},
            }))],
        });
        let changes = Changes::of(&plan);
        let lines = changes.resources[0].lines.join("\n");
        assert_eq!(
            lines,
            "input: (sensitive value) → (sensitive value)\n\
             key: (sensitive value) → (sensitive value)\n\
             list[1]: null → \"b\"\n\
             n.other: 17 → 18\n\
             n.pin: (sensitive value) → 8\n\
             output: (sensitive value) → (known after apply)\n\
             url: (sensitive value) → (sensitive value)"
        );
        assert!(!changes.resources[0].address.contains("hush"));
    }

    #[test]
    fn a_long_value_is_cut_after_it_was_hidden() {
        let long = "x".repeat(500);
        let secret = format!("{}hidden", "s".repeat(119));
        let plan = json!({"resource_changes": [change("a.b", &["update"], json!({
            "before": {"long": long, "s": secret}, "after": {"long": "y", "s": "z"},
            "before_sensitive": {"s": true}, "after_sensitive": {},
        }))]});
        let lines = Changes::of(&plan).resources[0].lines.clone();
        assert!(lines[0].contains("… (382 more characters)"), "{lines:?}");
        assert!(lines[1].starts_with("s: (sensitive value)"), "{lines:?}");
    }
}
