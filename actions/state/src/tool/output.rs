//! Parsers for the output of Terraform and OpenTofu.

use serde_json::Value;

/// The JSON that the tool prints, without what a wrapper of it prints around: the one that setup-terraform
/// installs prints `::set-output` commands behind it where it finds no `GITHUB_OUTPUT`, and its older
/// versions `[command]` before it (hashicorp/setup-terraform#85); tenv prints a line of its own
/// (tofuutils/tenv#286).
pub(super) fn printed(output: &[u8]) -> serde_json::Result<Value> {
    let whole = serde_json::from_slice(output);
    if whole.is_ok() {
        return whole;
    }
    let starts_object = |at: &usize| output[*at] == b'{' && (*at == 0 || output[*at - 1] == b'\n');
    (0..output.len())
        .filter(starts_object)
        .find_map(|at| {
            let mut values = serde_json::Deserializer::from_slice(&output[at..]).into_iter();
            values.next()?.ok()
        })
        .map_or(whole, Ok)
}

/// The diagnostics in the tool's JSON lines (developer.hashicorp.com, "Machine-Readable UI").
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) locations: Vec<kit::error::Location>,
}

impl Diagnostics {
    pub(super) fn of(output: &[u8]) -> Self {
        let mut found = Self::default();
        for line in output.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Value>(line) else {
                continue;
            };
            let diagnostic = &line["diagnostic"];
            let Some(summary) = diagnostic["summary"].as_str() else {
                continue;
            };
            let detail = diagnostic["detail"].as_str().unwrap_or_default();
            let text = match detail {
                "" => summary.to_owned(),
                detail => format!("{summary}: {detail}"),
            };
            if diagnostic["severity"] != "error" {
                found.warnings.push(text);
                continue;
            }
            let at = |name: &str| {
                let number = diagnostic["range"]["start"][name].as_u64()?;
                usize::try_from(number).ok()
            };
            if let (Some(file), Some(line)) = (diagnostic["range"]["filename"].as_str(), at("line"))
            {
                found.locations.push(kit::error::Location {
                    file: file.to_owned(),
                    line,
                    column: at("column").unwrap_or(1),
                    message: text.clone(),
                });
                found.errors.push(format!("{file}:{line}: {text}"));
            } else {
                found.errors.push(text);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_in_what_a_wrapper_prints_around_it() {
        let wanted = serde_json::json!({"a": {"b": "{"}});
        for text in [
            "{\"a\":{\"b\":\"{\"}}\n",
            "{\n  \"a\": {\n    \"b\": \"{\"\n  }\n}\n\n::set-output name=stdout::{\"a\":1}\n",
            "[command]/tmp/x/terraform-bin show -json plan\n{\"a\":{\"b\":\"{\"}}\n::debug::exitcode: 0\n",
            "Ignore GITHUB_ACTIONS, fail to open GITHUB_OUTPUT {\n{\"a\":{\"b\":\"{\"}}",
        ] {
            assert_eq!(printed(text.as_bytes()).unwrap(), wanted, "{text}");
        }
        for text in ["", "no", "x {\"a\":1}", "{\"a\":"] {
            assert!(printed(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn finds_diagnostics_with_their_locations() {
        let diagnostics = Diagnostics::of(
            br#"{"@level":"info","type":"version"}
not json
{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"Deprecated","detail":""}}
{"type":"diagnostic","diagnostic":{"severity":"error","summary":"No such thing","detail":"Look.","range":{"filename":"main.tf","start":{"line":22,"column":24}}}}
"#,
        );
        assert_eq!(diagnostics.warnings, ["Deprecated"]);
        assert_eq!(diagnostics.errors, ["main.tf:22: No such thing: Look."]);
        assert_eq!(
            (
                diagnostics.locations[0].line,
                diagnostics.locations[0].column
            ),
            (22, 24)
        );
    }
}
