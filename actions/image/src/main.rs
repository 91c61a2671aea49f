//! `slipway-image`; under its second name, the credential helper that Docker calls.

use std::process::ExitCode;

fn main() -> ExitCode {
    slipway_image::credential_helper().unwrap_or_else(kit::step::main::<slipway_image::Image>)
}
