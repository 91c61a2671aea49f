//! The backend configuration, handed to Terraform in its environment: nothing on disk. Pure.

use kit::child::Program;

/// Where one state object and its lock are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Backend {
    pub(crate) bucket: String,
    /// Empty where each of several stacks has one of its own.
    pub(crate) key: String,
    /// The workspace that was named: the command works in it, whichever is selected.
    pub(crate) workspace: Option<String>,
    /// Empty where the object beside the state is the only lock.
    pub(crate) table: String,
    pub(crate) region: String,
    pub(crate) locking: Locking,
}

/// How Terraform locks the state (developer.hashicorp.com, "Backend Type: s3", State Locking).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Locking {
    /// An item in a DynamoDB table (`dynamodb_table`)
    #[default]
    Dynamodb,
    /// An object beside the state (`use_lockfile`)
    File,
    /// Both
    Both,
}

impl Locking {
    pub(crate) fn uses_table(self) -> bool {
        self != Self::File
    }

    pub(crate) fn uses_file(self) -> bool {
        self != Self::Dynamodb
    }

    /// As an argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dynamodb => "dynamodb",
            Self::File => "file",
            Self::Both => "both",
        }
    }
}

/// Commands that lock the state (`terraform COMMAND -help` of 1.11 lists `-lock`); those that do
/// not refuse the flag. Spaces and `-` become `_` in the variable's name.
const LOCKING: &[&str] = &[
    "plan",
    "apply",
    "destroy",
    "refresh",
    "import",
    "taint",
    "untaint",
    "state_mv",
    "state_rm",
    "state_push",
    "state_replace_provider",
];

impl Backend {
    /// The workspace, unless it is the default one, whose state has no other key.
    pub(crate) fn other_workspace(&self) -> Option<&str> {
        self.workspace.as_deref().filter(|name| *name != "default")
    }

    /// The key of the state object: each workspace has one of its own (developer.hashicorp.com,
    /// "Backend Type: s3", `workspace_key_prefix`).
    pub(crate) fn object_key(&self) -> String {
        match self.other_workspace() {
            Some(workspace) => format!("env:/{workspace}/{}", self.key),
            None => self.key.clone(),
        }
    }

    /// The lock's key.
    pub(crate) fn lock_id(&self) -> String {
        format!("{}/{}", self.bucket, self.object_key())
    }

    /// The backend of an application of several stacks: a key for all of them would make their
    /// states one, and each stack destroy what the others made.
    pub(crate) fn of_stacks(&self) -> Self {
        Self {
            key: String::new(),
            ..self.clone()
        }
    }

    /// Gives `program` the backend for `init`, and where `locked` tells the commands that would
    /// lock that it is done already. Arguments the user has set stay, in front. Nothing is said of
    /// encryption: `encrypt` asks for S3's own keys, past the KMS key that is the bucket's default.
    pub(crate) fn configure(
        &self,
        mut program: Program,
        path_style: bool,
        locked: bool,
    ) -> Program {
        let mut init = vec![
            format!("-backend-config=bucket={}", self.bucket),
            format!("-backend-config=region={}", self.region),
        ];
        if !self.key.is_empty() {
            init.insert(1, format!("-backend-config=key={}", self.key));
        }
        if self.locking.uses_table() {
            init.push(format!("-backend-config=dynamodb_table={}", self.table));
        }
        if self.locking.uses_file() {
            init.push("-backend-config=use_lockfile=true".to_owned());
        }
        if path_style {
            init.push("-backend-config=use_path_style=true".to_owned());
        }
        program = append(program, "TF_CLI_ARGS_init", &init.join(" "));
        for command in LOCKING.iter().filter(|_| locked) {
            program = append(program, &format!("TF_CLI_ARGS_{command}"), "-lock=false");
        }
        if let Some(workspace) = &self.workspace {
            program = program.env("TF_WORKSPACE", workspace);
        }
        program.env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0")
    }
}

fn append(program: Program, name: &str, value: &str) -> Program {
    let whole = match program.get(name) {
        Some(set) => format!("{set} {value}"),
        None => value.to_owned(),
    };
    program.env(name, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::env::Env;

    fn backend() -> Backend {
        Backend {
            bucket: "b".into(),
            key: "s/dev/terraform.tfstate".into(),
            workspace: None,
            table: "t".into(),
            region: "ca-central-1".into(),
            locking: Locking::Dynamodb,
        }
    }

    #[test]
    fn stacks_keep_their_own_keys() {
        let program = Program::new(&["cdktn".to_owned()], &Env::default()).unwrap();
        let program = backend().of_stacks().configure(program, false, false);
        let init = program.get("TF_CLI_ARGS_init").unwrap();
        assert!(
            init.contains("bucket=b") && !init.contains("key="),
            "{init}"
        );
        assert_eq!(program.get("TF_CLI_ARGS_apply"), None);
    }

    #[test]
    fn arguments_the_user_set_are_kept() {
        let env = Env::from([("TF_CLI_ARGS_plan", "-no-color")]);
        let program = Program::new(&["terraform".to_owned()], &env).unwrap();
        let program = backend().configure(program, true, true);
        assert_eq!(
            program.get("TF_CLI_ARGS_plan"),
            Some("-no-color -lock=false")
        );
        assert_eq!(program.get("TF_CLI_ARGS_apply"), Some("-lock=false"));
        assert_eq!(
            program.get("TF_CLI_ARGS_init"),
            Some(
                "-backend-config=bucket=b -backend-config=key=s/dev/terraform.tfstate \
                 -backend-config=region=ca-central-1 -backend-config=dynamodb_table=t \
                 -backend-config=use_path_style=true"
            )
        );
    }
}
