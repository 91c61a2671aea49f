//! slipway-state: the state lock, held around a command.

fn main() -> std::process::ExitCode {
    slipway_state::tool()
        .or_else(slipway_state::guard)
        .unwrap_or_else(kit::step::main::<slipway_state::State>)
}
