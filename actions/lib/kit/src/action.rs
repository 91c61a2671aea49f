//! The properties of a step besides its arguments.

/// The parts of an action that clap does not know.
pub struct Action {
    /// The step's name: `image` is `slipway-image` and `actions/image`.
    pub name: &'static str,
    /// One sentence; also the first line of `--help`.
    pub description: &'static str,
    /// A feather icon GitHub knows.
    pub icon: &'static str,
    /// The outputs that later steps can use, each with its meaning.
    pub outputs: &'static [(&'static str, &'static str)],
    /// Inputs that are not arguments because their values are secret, with meaning and default.
    pub secrets: &'static [SecretInput],
    /// Runs a post step after the job, which releases and removes what the step left.
    pub post: bool,
}

/// An input that must not become an argument, because arguments are visible to every process.
pub struct SecretInput {
    /// The input's name, kebab-case.
    pub name: &'static str,
    /// Its meaning.
    pub description: &'static str,
    /// The expression GitHub fills in when it is not given.
    pub default: &'static str,
}
