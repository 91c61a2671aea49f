//! Answers of the gateway's own, held against AWS's service models.

use serde_json::Value;
use standin_ecs::Shapes;

use crate::error::AwsError;

/// The answer, if it is one that the service's own description allows; else an error that no client can take for the
/// service's.
pub(crate) fn fitting(
    model: &Shapes,
    operation: &str,
    output: Result<Value, AwsError>,
) -> Result<Value, AwsError> {
    let why = match &output {
        Ok(output) => model.output_faults(operation, output).join("; "),
        Err(error) if model.lists_error(operation, &error.code) => String::new(),
        // A failure of the sandbox itself is not an answer of the service.
        Err(error) if error.status.is_server_error() => String::new(),
        Err(error) => format!("error {} is not one of this operation's", error.code),
    };
    if why.is_empty() {
        return output;
    }
    Err(AwsError::new(
        500,
        "StandInContractViolation",
        format!("{operation}: {why}"),
    ))
}
