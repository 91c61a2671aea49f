//! The binary slipway-service.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_service::Service>()
}
