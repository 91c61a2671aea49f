//! A service's model for other stand-ins, which hold their answers against it as this one does.

use std::path::Path;

use serde_json::Value;

use crate::check::{Problem, Wire, faults};
use crate::model::{Model, ModelError, load};

/// The shapes of a service of the JSON protocol.
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

    /// Whether the model lists the error for the operation.
    pub fn lists_error(&self, operation: &str, code: &str) -> bool {
        self.0
            .operations
            .get(operation)
            .is_some_and(|described| described.errors.iter().any(|error| error.shape == code))
    }

    fn faults(&self, shape: &str, value: &Value, counts: impl Fn(Problem) -> bool) -> Vec<String> {
        faults(&self.0, shape, value, Wire::Json)
            .iter()
            .filter(|fault| counts(fault.problem))
            .map(ToString::to_string)
            .collect()
    }
}
