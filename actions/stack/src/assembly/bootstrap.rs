//! The check for CDK's bootstrap stack in a template. Pure.

use kit::error::{Error, Result};
use serde_json::{Map, Value, json};

/// The parameter and the rule that the default synthesizer adds (aws-cdk-lib, `stack-synthesizers/stack-synthesizer.ts`,
/// `addBootstrapVersionRule`).
const PARAMETER: &str = "BootstrapVersion";
const RULE: &str = "CheckBootstrapVersion";

/// The template without the check, if it has it. CloudFormation would read the version from a parameter of Parameter Store that only a
/// bootstrapped account has, and this step uses neither that stack's roles nor anything else of it but the bucket that assets name.
///
/// # Errors
/// The template is not a JSON object (exit 2).
pub(crate) fn unchecked(text: &str) -> Result<Option<String>> {
    let broken = |error| Error::usage("the template is not JSON").because(error);
    let mut template: Map<String, Value> = serde_json::from_str(text).map_err(broken)?;
    let parameter = &template.get("Parameters").unwrap_or(&Value::Null)[PARAMETER];
    let is_version = parameter["Type"] == "AWS::SSM::Parameter::Value<String>"
        && parameter["Default"]
            .as_str()
            .is_some_and(|path| path.starts_with("/cdk-bootstrap/") && path.ends_with("/version"));
    if !is_version {
        return Ok(None);
    }
    remove(&mut template, "Parameters", PARAMETER);
    remove(&mut template, "Rules", RULE);
    // Something of the app's own that needs the version keeps it, and the rule with it.
    if mentions(&template) {
        return Ok(None);
    }
    let mut written = Vec::new();
    // As `cdk synth` indents it, so that the rest of the text stays as it is.
    let indent = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut written, indent);
    serde::Serialize::serialize(&template, &mut writer).map_err(broken)?;
    Ok(String::from_utf8(written).ok())
}

fn remove(template: &mut Map<String, Value>, section: &str, name: &str) {
    let members = template.get_mut(section).and_then(Value::as_object_mut);
    let Some(members) = members else { return };
    members.shift_remove(name);
    if members.is_empty() {
        template.shift_remove(section);
    }
}

fn mentions(template: &Map<String, Value>) -> bool {
    let text = json!(template).to_string();
    text.contains(&format!("\"{PARAMETER}\"")) || text.contains(&format!("${{{PARAMETER}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKED: &str = r#"{
 "Resources": {
  "B": {
   "Type": "AWS::SNS::Topic"
  },
  "A": {
   "Type": "AWS::SNS::Topic"
  }
 },
 "Parameters": {
  "BootstrapVersion": {
   "Type": "AWS::SSM::Parameter::Value<String>",
   "Default": "/cdk-bootstrap/hnb659fds/version"
  }
 },
 "Rules": {
  "CheckBootstrapVersion": {
   "Assertions": [
    {
     "Assert": {
      "Ref": "BootstrapVersion"
     }
    }
   ]
  }
 }
}"#;

    #[test]
    fn the_check_is_taken_out_and_everything_else_stays_as_it_is_written() {
        let wanted = CHECKED.split(",\n \"Parameters\"").next().unwrap();
        let found = unchecked(CHECKED).unwrap();
        assert_eq!(found, Some(format!("{wanted}\n}}")));
    }

    #[test]
    fn a_template_that_needs_the_version_or_has_another_parameter_of_that_name_keeps_it() {
        let used = CHECKED.replace(
            r#""A": {"#,
            r#""C": {"Type": "T", "Properties": {"X": {"Fn::Sub": "${BootstrapVersion}"}}}, "A": {"#,
        );
        let own = CHECKED.replace("/cdk-bootstrap/hnb659fds/version", "/shop/version");
        for text in [
            used.as_str(),
            &own,
            "{}",
            r#"{"Parameters": 5}"#,
            r#"{"Parameters": []}"#,
        ] {
            assert_eq!(unchecked(text).unwrap(), None, "{text}");
        }
        for text in ["", "Resources: {}", "[]", "{\"Parameters\""] {
            assert!(unchecked(text).is_err(), "{text}");
        }
    }
}
