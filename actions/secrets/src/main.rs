//! slipway-secrets: values at run time, in the one sink their owner declared.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_secrets::Secrets>()
}
