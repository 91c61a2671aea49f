//! slipway-promote.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_promote::Promote>()
}
