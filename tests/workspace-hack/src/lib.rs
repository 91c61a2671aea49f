//! No code: this crate exists for the features that its Cargo.toml asks of the dependencies.
