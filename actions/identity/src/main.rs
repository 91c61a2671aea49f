//! slipway-identity: temporary credentials for the right account.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_identity::Identity>()
}
