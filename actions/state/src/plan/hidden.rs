//! The texts that a plan marks sensitive anywhere, hidden wherever else they turn up: a tool can lose
//! the mark (`terraform_data.output` shows in plain text what its `input` hides). Pure.

use serde_json::Value;

/// The replacement for a value that must not be shown.
pub(super) const HIDDEN: &str = "(sensitive value)";
/// Sensitive text shorter than this is hidden only where it is the whole value: nearly every value
/// holds a single letter.
const SHORT: usize = 4;

/// Every text that the plan marks sensitive anywhere.
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    pub(super) fn of(plan: &Value) -> Self {
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
        for entry in plan["deferred_changes"].as_array().into_iter().flatten() {
            marked_change(&entry["resource_change"]["change"], &mut found);
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

    /// Returns true if the value holds a sensitive text.
    pub(super) fn holds(&self, value: &Value) -> bool {
        let mut held = Vec::new();
        leaves(value, &mut held);
        held.iter().any(|text| {
            self.0.iter().any(|secret| {
                text == secret
                    || (secret.chars().count() >= SHORT && text.contains(secret.as_str()))
            })
        })
    }

    /// A whole line, in case a value came into it by another way.
    pub(super) fn scrub(&self, line: &str) -> String {
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

/// Collects the parts of `value` that the same places of `marks` call sensitive.
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

/// The texts and numbers in a value. `true` and `false` give nothing away by themselves.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, found)),
        Value::Object(values) => values.values().for_each(|value| leaves(value, found)),
        _ => {}
    }
}
