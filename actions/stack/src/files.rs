//! Files that the step is given, and how large a template may be.

use kit::error::{Error, Result};
use std::path::Path;

/// The largest template that fits into a request, and the largest in a bucket (CloudFormation User Guide, "Understand CloudFormation
/// quotas": 51,200 bytes and 1 MB).
pub(crate) const LARGEST_IN_REQUEST: usize = 51_200;
const LARGEST_TEMPLATE: usize = 1_000_000;

/// Checks that CloudFormation takes a template of this length.
///
/// # Errors
/// It is too long (exit 2).
pub(crate) fn fits(text: &str, shown: &str, has_bucket: bool) -> Result<()> {
    let bytes = text.len();
    if bytes > LARGEST_TEMPLATE {
        return Err(Error::usage(format!(
            "the template {shown} has {bytes} bytes; CloudFormation takes {LARGEST_TEMPLATE}"
        ))
        .hint("move a part of it into a stack of its own; JSON without indentation is smaller"));
    }
    if bytes > LARGEST_IN_REQUEST && !has_bucket {
        return Err(Error::usage(format!(
            "the template {shown} has {bytes} bytes; a request to CloudFormation takes {LARGEST_IN_REQUEST}, and there is no bucket for a larger one"
        ))
        .hint("name a bucket of the stack's account and region: --bucket NAME, or `bucket` of the contract's `stack`")
        .hint("or move a part of it into a stack of its own; JSON without indentation is smaller"));
    }
    Ok(())
}

/// The text of a file.
///
/// # Errors
/// It cannot be read, or is not UTF-8 (exit 2).
pub(crate) fn read(path: &Path, noun: &str) -> Result<String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| Error::usage(format!("cannot read the {noun} {shown}")).because(error))?;
    String::from_utf8(bytes).map_err(|error| {
        Error::usage(format!("the {noun} {shown} is not UTF-8")).because(error.utf8_error())
    })
}
