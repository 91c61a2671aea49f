//! A service's model for other stand-ins, which hold their answers against it as this one does.

use std::path::Path;

use serde_json::Value;

use crate::check::{Problem, Wire, drop_null_members, faults};
use crate::model::{Model, ModelError, load};
use crate::query;

/// Why a form of the query protocol is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedForm {
    /// The error's code.
    pub code: &'static str,
    /// The error's message.
    pub message: String,
}

/// The shapes of a service. The methods that read and write forms are those of the query protocol, all others those of
/// the JSON protocol.
#[derive(Debug)]
pub struct Shapes(Model);

impl Shapes {
    /// Reads the service's model below botocore's `data` folder.
    ///
    /// # Errors
    /// It is not there, or is not a model.
    pub fn load(models: &Path, service: &str) -> Result<Self, ModelError> {
        load(models, service).map(Self)
    }

    /// Everything in an operation's input that the model does not allow.
    pub fn input_faults(&self, operation: &str, input: &Value) -> Vec<String> {
        let described = self.0.operations.get(operation);
        match described.and_then(|described| described.input.as_ref()) {
            Some(shape) => self.faults(&shape.shape, input, |_| true),
            None => vec![format!("{operation} is not in the model")],
        }
    }

    /// Everything in an operation's answer that the model does not allow. Lengths are what a service takes, not what it
    /// answers: a list that must not be empty when it is sent is answered empty.
    pub fn output_faults(&self, operation: &str, output: &Value) -> Vec<String> {
        let described = self.0.operations.get(operation);
        match described.and_then(|described| described.output.as_ref()) {
            Some(shape) => self.faults(&shape.shape, output, |problem| {
                problem != Problem::OutOfRange
            }),
            None => vec![format!("{operation} is not in the model")],
        }
    }

    /// Returns true if the model lists the error for the operation.
    pub fn lists_error(&self, operation: &str, code: &str) -> bool {
        self.0
            .operations
            .get(operation)
            .is_some_and(|described| described.errors.iter().any(|error| error.shape == code))
    }

    /// Reads a form: the operation and its input, which fits the model.
    ///
    /// # Errors
    /// The operation is unknown, or its input is not what the model allows.
    pub fn form(&self, body: &str) -> Result<(String, Value), RefusedForm> {
        let refused = |code, message| RefusedForm { code, message };
        let mut pairs = query::pairs(body);
        let action = pairs.iter().find(|(name, _)| name == "Action").cloned();
        let (_, action) = action
            .ok_or_else(|| refused("InvalidAction", "Missing the parameter Action".to_owned()))?;
        pairs.retain(|(name, _)| name != "Action" && name != "Version");
        let described = self.0.operations.get(&action).ok_or_else(|| {
            refused(
                "InvalidAction",
                format!("Could not find operation {action}"),
            )
        })?;
        let Some(shape) = described.input.as_ref().map(|input| input.shape.as_str()) else {
            return Ok((action, Value::Object(serde_json::Map::new())));
        };
        let mut input = query::input(&self.0, shape, &pairs).map_err(|name| {
            let message = format!("Unknown or misplaced parameter: {name}");
            refused("ValidationError", message)
        })?;
        drop_null_members(&mut input);
        match faults(&self.0, shape, &input, Wire::Query).first() {
            Some(fault) => Err(refused(
                "ValidationError",
                format!("1 validation error detected: {fault}"),
            )),
            None => Ok((action, input)),
        }
    }

    /// Everything in the answer to a form that the model does not allow.
    pub fn form_faults(&self, operation: &str, value: &Value) -> Vec<String> {
        let Some(described) = self.0.operations.get(operation) else {
            return vec![format!("{operation} is not in the model")];
        };
        let Some(output) = &described.output else {
            return Vec::new();
        };
        let found = faults(&self.0, &output.shape, value, Wire::Query);
        found.iter().map(ToString::to_string).collect()
    }

    /// The XML of an operation's answer.
    pub fn form_answer(&self, operation: &str, value: &Value, id: &str) -> String {
        let described = self.0.operations.get(operation);
        let namespace = self.namespace();
        let Some(output) = described.and_then(|described| described.output.as_ref()) else {
            return query::empty_answer(namespace, operation, id);
        };
        let usual = format!("{operation}Result");
        let wrapper = output.result_wrapper.as_deref().unwrap_or(&usual);
        query::answer(namespace, operation, wrapper, value, id)
    }

    fn namespace(&self) -> &str {
        self.0.metadata.xml_namespace.as_deref().unwrap_or_default()
    }

    /// The XML of an error.
    pub fn form_error(&self, status: u16, code: &str, message: &str, id: &str) -> String {
        query::error(self.namespace(), status, code, message, id)
    }

    /// Returns true if the model lists an error of this code for the operation.
    pub fn lists_code(&self, operation: &str, code: &str) -> bool {
        let described = self.0.operations.get(operation);
        described.is_some_and(|described| {
            let mut errors = described.errors.iter();
            errors.any(|error| self.code_of(&error.shape) == code)
        })
    }

    /// The HTTP status that the model gives an error.
    pub fn status_of(&self, code: &str) -> Option<u16> {
        let mut shapes = self.0.shapes.iter();
        let (_, shape) =
            shapes.find(|(name, shape)| shape.error.is_some() && self.code_of(name) == code)?;
        shape.error.as_ref()?.http_status_code
    }

    /// An error shape's code on the wire.
    fn code_of<'a>(&'a self, shape: &'a str) -> &'a str {
        let found = self.0.shapes.get(shape);
        let code = found.and_then(|found| found.error.as_ref()?.code.as_deref());
        code.unwrap_or(shape)
    }

    fn faults(&self, shape: &str, value: &Value, counts: impl Fn(Problem) -> bool) -> Vec<String> {
        faults(&self.0, shape, value, Wire::Json)
            .iter()
            .filter(|fault| counts(fault.problem))
            .map(ToString::to_string)
            .collect()
    }
}
