//! The binary slipway-stack.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_stack::Stack>()
}
