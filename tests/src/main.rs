//! `cargo sandbox`, `cargo verify`, `cargo dist`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::cli::main()
}
