//! Pure: the parameters of a template, and the values that a call gives them.
//! Source: AWS CloudFormation User Guide, "Parameters"; the messages are the service's.

use serde_json::{Map, Value};

use super::Template;

/// One parameter as the template declares it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub(crate) kind: String,
    pub(crate) default: Option<String>,
    pub(crate) no_echo: bool,
    pub(crate) description: Option<String>,
    pub(crate) allowed: Vec<String>,
    rules: Map<String, Value>,
}

/// A parameter's value in a stack or change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) value: String,
    /// The value of the SSM parameter when the change set was made.
    pub(crate) resolved: Option<String>,
}

/// The text that `NoEcho` shows in place of a value.
pub(crate) const HIDDEN: &str = "****";

const KINDS: [&str; 6] = [
    "AWS::SSM::Parameter::Name",
    "AWS::SSM::Parameter::Value<String>",
    "CommaDelimitedList",
    "List<Number>",
    "Number",
    "String",
];

impl Declared {
    pub(super) fn read(name: &str, declared: &Value) -> Result<Self, String> {
        const MEMBERS: [&str; 11] = [
            "Type",
            "Default",
            "NoEcho",
            "Description",
            "AllowedValues",
            "AllowedPattern",
            "ConstraintDescription",
            "MinLength",
            "MaxLength",
            "MinValue",
            "MaxValue",
        ];
        let rules = declared.as_object().ok_or_else(|| {
            "Template format error: Every Parameters member must be an object.".to_owned()
        })?;
        if let Some(unknown) = rules.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
            return Err(format!("Invalid template parameter property '{unknown}'"));
        }
        let kind = rules.get("Type").and_then(Value::as_str).ok_or_else(|| {
            "Template format error: Every Parameters object must contain a Type member.".to_owned()
        })?;
        if !KINDS.contains(&kind) {
            return Err(
                match kind.starts_with("AWS::") || kind.starts_with("List<") {
                    true => format!(
                        "the sandbox's CloudFormation does not implement parameters of type {kind}"
                    ),
                    false => format!("Template format error: Unrecognized parameter type: {kind}"),
                },
            );
        }
        if let Some(pattern) = rules.get("AllowedPattern") {
            expression(&text(pattern)).map_err(|wrong| {
                format!("the sandbox's CloudFormation cannot read the pattern of parameter {name}: {wrong}")
            })?;
        }
        let texts = |member: &str| rules.get(member).and_then(Value::as_array);
        Ok(Self {
            kind: kind.to_owned(),
            default: rules.get("Default").map(text),
            no_echo: rules
                .get("NoEcho")
                .is_some_and(|value| text(value) == "true"),
            description: rules.get("Description").map(text),
            allowed: texts("AllowedValues")
                .into_iter()
                .flatten()
                .map(text)
                .collect(),
            rules: rules.clone(),
        })
    }

    /// Returns true if the value is the name of an SSM parameter, whose value counts.
    pub(crate) fn in_ssm(&self) -> bool {
        self.kind.starts_with("AWS::SSM::Parameter::Value<")
    }

    /// The value that `Ref` gives.
    pub(crate) fn value(&self, given: &Given) -> Value {
        let text = given.resolved.as_ref().unwrap_or(&given.value);
        match self.kind.as_str() {
            "CommaDelimitedList" | "List<Number>" => {
                Value::from(text.split(',').map(str::trim).collect::<Vec<_>>())
            }
            _ => Value::from(text.clone()),
        }
    }

    fn check(&self, name: &str, value: &str) -> Result<(), String> {
        let refused = |rule: String| match self.rules.get("ConstraintDescription") {
            Some(said) => Err(format!(
                "Parameter '{name}' failed to satisfy constraint: {}",
                text(said)
            )),
            None => Err(rule),
        };
        let numbers = match self.kind.as_str() {
            "Number" => vec![value],
            "List<Number>" => value.split(',').map(str::trim).collect(),
            _ => Vec::new(),
        };
        if numbers.iter().any(|number| number.parse::<f64>().is_err()) {
            return Err(format!("Parameter '{name}' must be a number."));
        }
        if !self.allowed.is_empty() {
            let each: Vec<&str> = match self.kind.as_str() {
                "CommaDelimitedList" | "List<Number>" => value.split(',').map(str::trim).collect(),
                _ => vec![value],
            };
            if each
                .iter()
                .any(|one| !self.allowed.iter().any(|it| it == one))
            {
                return refused(format!("Parameter '{name}' must be one of AllowedValues"));
            }
        }
        if let Some(pattern) = self.rules.get("AllowedPattern").map(text)
            && expression(&pattern).is_ok_and(|pattern| !pattern.is_match(value))
        {
            return refused(format!("Parameter '{name}' must match pattern {pattern}"));
        }
        let limit = |rule: &str| {
            self.rules
                .get(rule)
                .and_then(|it| text(it).parse::<f64>().ok())
        };
        #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
        let length = value.chars().count() as f64;
        if limit("MinLength").is_some_and(|min| length < min) {
            return refused(format!(
                "Parameter '{name}' must contain at least {} characters",
                text(&self.rules["MinLength"])
            ));
        }
        if limit("MaxLength").is_some_and(|max| length > max) {
            return refused(format!(
                "Parameter '{name}' must contain at most {} characters",
                text(&self.rules["MaxLength"])
            ));
        }
        let number = numbers
            .first()
            .and_then(|number| number.parse::<f64>().ok());
        if number
            .zip(limit("MinValue"))
            .is_some_and(|(it, min)| it < min)
        {
            return refused(format!(
                "Parameter '{name}' must be a number not less than {}",
                text(&self.rules["MinValue"])
            ));
        }
        if number
            .zip(limit("MaxValue"))
            .is_some_and(|(it, max)| it > max)
        {
            return refused(format!(
                "Parameter '{name}' must be a number not greater than {}",
                text(&self.rules["MaxValue"])
            ));
        }
        Ok(())
    }
}

/// A pattern that the whole value has to match. AWS reads Java's, of which most are the same here.
fn expression(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::Regex::new(&format!("^(?:{pattern})$"))
}

/// The values of all parameters: those of the call, those of the stack where the call says so, and the defaults.
pub(crate) fn assign(
    template: &Template,
    call: &[Value],
    before: &[Given],
) -> Result<Vec<Given>, String> {
    let known = |name: &str| before.iter().find(|given| given.name == name);
    let mut asked: Vec<(&str, String)> = Vec::new();
    let mut unknown = Vec::new();
    for parameter in call {
        let name = parameter["ParameterKey"].as_str().unwrap_or_default();
        if template.parameter(name).is_none() {
            unknown.push(name);
            continue;
        }
        let value = parameter["ParameterValue"].as_str();
        let previous = parameter["UsePreviousValue"].as_bool().unwrap_or(false);
        match (previous, value) {
            (true, Some(_)) => {
                return Err(format!(
                    "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true and non empty value for a parameter"
                ));
            }
            (true, None) => match known(name) {
                Some(given) => asked.push((name, given.value.clone())),
                None => {
                    return Err(format!(
                        "Invalid input for parameter key {name}. Need to specify either usePreviousValue as true or a value for the parameter"
                    ));
                }
            },
            (false, Some(value)) => asked.push((name, value.to_owned())),
            (false, None) => {}
        }
    }
    if !unknown.is_empty() {
        return Err(format!(
            "Parameters: [{}] do not exist in the template",
            unknown.join(", ")
        ));
    }
    let mut given = Vec::new();
    let mut missing = Vec::new();
    for (name, declared) in &template.parameters {
        let value = asked
            .iter()
            .find(|(asked, _)| asked == name)
            .map(|(_, value)| value.clone())
            .or_else(|| declared.default.clone());
        match value {
            Some(value) => {
                declared.check(name, &value)?;
                given.push(Given {
                    name: name.clone(),
                    value,
                    resolved: None,
                });
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        return Ok(given);
    }
    Err(format!(
        "Parameters: [{}] must have values",
        missing.join(", ")
    ))
}

/// A scalar as CloudFormation reads it: as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
