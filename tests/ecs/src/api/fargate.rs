//! ECS's requirements for a task definition, above all for one that is to run on Fargate.

use serde_json::Value;

use crate::error::ApiError;
use crate::value::{list, need, text};

/// Memory (MiB) that Fargate offers for a number of CPU units: first, last, step. From "Task CPU and memory" in the ECS
/// developer guide.
const SIZES: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16384, 1024),
    (4096, 8192, 30720, 1024),
    (8192, 16384, 61440, 4096),
    (16384, 32768, 122_880, 8192),
];

pub(crate) fn check(input: &Value, registry: &str) -> Result<(), ApiError> {
    let containers = list(input, "containerDefinitions");
    if containers.is_empty() {
        return Err(ApiError::client("Container list cannot be empty."));
    }
    let valid = |name: &str| {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !name.is_empty() && name.len() <= 255 && name.chars().all(letters)
    };
    if !valid(need(input, "family")) {
        return Err(ApiError::client("Family contains invalid characters."));
    }
    for (index, container) in containers.iter().enumerate() {
        let name = need(container, "name");
        if name.is_empty() {
            return Err(ApiError::client(
                "Container.name should not be null or empty.",
            ));
        }
        if !valid(name) {
            return Err(ApiError::client(
                "Container.name contains invalid characters.",
            ));
        }
        if containers[..index]
            .iter()
            .any(|other| need(other, "name") == name)
        {
            return Err(ApiError::client(format!(
                "Container.name must be unique. Duplicate name: {name}."
            )));
        }
        if need(container, "image").is_empty() {
            return Err(ApiError::client(
                "Container.image should not be null or empty.",
            ));
        }
    }
    if !containers.iter().any(crate::container::is_essential) {
        return Err(ApiError::client(
            "TaskDefinition must contain at least one essential container.",
        ));
    }
    if wants_fargate(input) {
        return check_fargate(input, registry);
    }
    for container in containers {
        let sized = ["memory", "memoryReservation"]
            .iter()
            .any(|name| container.get(*name).is_some());
        if !sized && text(input, "memory").is_none() {
            let name = need(container, "name");
            return Err(ApiError::client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
            )));
        }
    }
    Ok(())
}

pub(crate) fn wants_fargate(input: &Value) -> bool {
    list(input, "requiresCompatibilities")
        .iter()
        .any(|one| one == "FARGATE")
}

/// Returns true if a definition could run on Fargate, asked for or not.
pub(crate) fn suits_fargate(input: &Value) -> bool {
    text(input, "networkMode") == Some("awsvpc") && size_is_offered(input)
}

fn size_is_offered(input: &Value) -> bool {
    let units = |name: &str| text(input, name).and_then(|size| size.parse::<u32>().ok());
    let (Some(cpu), Some(memory)) = (units("cpu"), units("memory")) else {
        return false;
    };
    SIZES.iter().any(|(units, first, last, step)| {
        *units == cpu && (*first..=*last).contains(&memory) && (memory - first) % step == 0
    })
}

fn check_fargate(input: &Value, registry: &str) -> Result<(), ApiError> {
    if text(input, "networkMode") != Some("awsvpc") {
        return Err(ApiError::client(
            "Fargate only supports network mode ‘awsvpc’.",
        ));
    }
    for name in ["cpu", "memory"] {
        if text(input, name).is_none() {
            return Err(ApiError::client(format!(
                "Fargate requires that '{name}' be defined at the task level."
            )));
        }
    }
    if !size_is_offered(input) {
        return Err(ApiError::client(format!(
            "No Fargate configuration exists for given values: {} CPU, {} memory. See the Amazon ECS documentation for the valid values.",
            need(input, "cpu"),
            need(input, "memory")
        )));
    }
    let has_role = text(input, "executionRoleArn").is_some();
    for container in list(input, "containerDefinitions") {
        if !has_role && crate::value::in_registry(need(container, "image"), registry) {
            return Err(ApiError::client(
                "Fargate requires task definition to have execution role ARN to support ECR images.",
            ));
        }
        let driver = text(&container["logConfiguration"], "logDriver");
        if !has_role && driver == Some("awslogs") {
            return Err(ApiError::client(
                "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
            ));
        }
        if !has_role && !list(container, "secrets").is_empty() {
            return Err(ApiError::client(
                "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
            ));
        }
    }
    Ok(())
}
