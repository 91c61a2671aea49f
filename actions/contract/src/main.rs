//! slipway-contract: checks delivery.yaml and resolves one environment of it.

fn main() -> std::process::ExitCode {
    kit::step::main::<slipway_contract::Contract>()
}
