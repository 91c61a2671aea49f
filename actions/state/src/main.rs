//! slipway-state: the state lock, held around a command.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_state::State>()
}
