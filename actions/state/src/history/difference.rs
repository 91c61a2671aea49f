//! The differences between two states: addresses and names, never a value. Pure.

use serde_json::Value;
use std::collections::BTreeMap;

/// The resources and outputs of a state: by address, what is known of each.
fn known(state: &Value) -> BTreeMap<String, &Value> {
    let mut known = BTreeMap::new();
    for resource in state["resources"].as_array().into_iter().flatten() {
        // Data sources are read again, so they are not compared.
        if resource["mode"] != "managed" {
            continue;
        }
        let word = |name: &str| resource[name].as_str().unwrap_or_default();
        let module = match word("module") {
            "" => String::new(),
            module => format!("{module}."),
        };
        for instance in resource["instances"].as_array().into_iter().flatten() {
            let index = match &instance["index_key"] {
                Value::Null => String::new(),
                key => format!("[{key}]"),
            };
            let address = format!("{module}{}.{}{index}", word("type"), word("name"));
            known.insert(address, &instance["attributes"]);
        }
    }
    for (name, output) in state["outputs"].as_object().into_iter().flatten() {
        known.insert(format!("output {name}"), &output["value"]);
    }
    known
}

/// One line for each difference: what is restored, what is forgotten, what is recorded differently.
pub(super) fn lines(current: Option<&[u8]>, target: &[u8]) -> Vec<String> {
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let current = current.map(parsed).unwrap_or_default();
    let target = parsed(target);
    let (before, after) = (known(&current), known(&target));
    let mut lines = Vec::new();
    for (address, value) in &before {
        match after.get(address) {
            None => lines.push(format!("-   {address}")),
            Some(other) if value != other => {
                lines.push(format!("!   {address}{}", named(value, other)));
            }
            Some(_) => {}
        }
    }
    for address in after.keys().filter(|it| !before.contains_key(*it)) {
        lines.push(format!("+   {address}"));
    }
    lines
}

/// The attributes that differ, by name.
fn named(before: &Value, after: &Value) -> String {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return String::new();
    };
    let mut names: Vec<&String> = before
        .keys()
        .chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .collect();
    names.sort();
    names.dedup();
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    format!(": {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changed_resources_and_outputs_are_named_without_their_values() {
        let resource = |name: &str, instances: Value| json!({"mode": "managed", "type": "t", "name": name, "instances": instances});
        let before = json!({
            "resources": [
                resource("a", json!([{"attributes": {"id": "hush", "same": 1}}])),
                resource("gone", json!([{"index_key": "x", "attributes": {}}])),
                {"mode": "data", "type": "t", "name": "read", "instances": [{"attributes": {}}]},
            ],
            "outputs": {"o": {"value": "hush"}},
        });
        let mut inside = resource("new", json!([{"index_key": 0, "attributes": {}}]));
        inside["module"] = json!("module.m");
        let after = json!({
            "resources": [resource("a", json!([{"attributes": {"id": "hush2", "same": 1, "more": 2}}])), inside],
            "outputs": {"o": {"value": "hush2"}},
        });
        let bytes = |value: &Value| value.to_string().into_bytes();
        let lines = lines(Some(&bytes(&before)), &bytes(&after));
        assert_eq!(
            lines,
            [
                "!   output o",
                "!   t.a: id, more",
                "-   t.gone[\"x\"]",
                "+   module.m.t.new[0]"
            ]
        );
    }
}
