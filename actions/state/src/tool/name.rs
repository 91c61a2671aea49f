//! The tools that plan and apply infrastructure.

/// A tool that plans and applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// HashiCorp's.
    Terraform,
    /// The Linux Foundation's.
    Tofu,
}

impl Name {
    /// The program, which is also the tool's name as an argument.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Name::Terraform => "terraform",
            Name::Tofu => "tofu",
        }
    }
}
