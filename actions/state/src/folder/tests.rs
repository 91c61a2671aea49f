//! Folders as they are found before a command and after it.

use super::*;
use kit::Exit;

fn backend() -> Backend {
    Backend {
        bucket: "b".into(),
        key: "s/dev/terraform.tfstate".into(),
        workspace: None,
        table: "t".into(),
        region: "ca-central-1".parse().unwrap(),
        locking: Locking::Dynamodb,
        ..crate::backend::tests::backend()
    }
}

const DECLARED: &str = "terraform {\n  backend \"s3\" {}\n}\n";

struct Code(tempfile::TempDir);

impl Code {
    fn new(files: &[(&str, &str)]) -> Self {
        let code = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            code.write(name, text);
        }
        code
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn before(&self) -> Result<()> {
        Folder::before(self.0.path(), ".terraform", &backend()).map(drop)
    }

    /// The result of the check after `files` were written.
    fn after(&self, files: &[(&str, &str)]) -> Result<()> {
        let backend = backend();
        let folder = Folder::before(self.0.path(), ".terraform", &backend).unwrap();
        for (name, text) in files {
            self.write(name, text);
        }
        folder.after()
    }
}

fn initialised(kind: &str, key: &str) -> String {
    format!(
        r#"{{"backend":{{"type":"{kind}","config":{{"bucket":"b","key":"{key}","dynamodb_table":"t"}}}}}}"#
    )
}

const NOTE: &str = ".terraform/terraform.tfstate";

#[test]
fn a_folder_that_was_initialised_for_another_role_is_refused() {
    let role = "arn:aws:iam::222222222222:role/states";
    let backend = Backend {
        role: Some(role.parse().unwrap()),
        ..backend()
    };
    let code = Code::new(&[("main.tf", DECLARED)]);
    let before = || Folder::before(code.0.path(), ".terraform", &backend).map(drop);
    before().unwrap();
    let note = initialised("s3", "s/dev/terraform.tfstate");
    for (assumed, fine) in [
        (
            format!("\"assume_role\":{{\"role_arn\":\"{role}\"}},"),
            true,
        ),
        (
            format!("\"assume_role\":{{\"role_arn\":\"{role}-read\"}},"),
            false,
        ),
        ("\"assume_role\":null,".to_owned(), false),
    ] {
        let text = note.replace("\"bucket\"", &format!("{assumed}\"bucket\""));
        code.write(NOTE, &text);
        let found = before();
        assert_eq!(found.is_ok(), fine, "{text}");
        if let Err(error) = found {
            assert_eq!(error.exit(), Exit::Refused);
            assert!(error.message.contains("another role"), "{error}");
        }
    }
}

#[test]
fn a_block_that_encrypts_otherwise_than_the_step_is_refused() {
    for (encryption, line, wanted) in [
        (Encryption::Aes256, "", ""),
        (Encryption::Aes256, "encrypt = true", ""),
        (
            Encryption::Aes256,
            "encrypt = false",
            "encrypt is `false`, and the step's is `true`",
        ),
        (
            Encryption::Aes256,
            "kms_key_id = \"k2\"",
            "kms_key_id is `k2`, and the step asks for S3's own key",
        ),
        (Encryption::Kms("k1".into()), "kms_key_id = \"k1\"", ""),
        (
            Encryption::Kms("k1".into()),
            "kms_key_id = \"k2\"",
            "kms_key_id is `k2`, and the step's is `k1`",
        ),
        (
            Encryption::Kms("k1".into()),
            "kms_key_id = var.key",
            "kms_key_id is an expression, which the step cannot read",
        ),
    ] {
        let text = format!("terraform {{\n  backend \"s3\" {{\n{line}\n  }}\n}}\n");
        let code = Code::new(&[("main.tf", &text)]);
        let Declared::Block(block) = declared(code.0.path()).unwrap() else {
            panic!("{text}");
        };
        let found = encrypted_otherwise(&block, &encryption);
        let found: Vec<&str> = found.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(found.join(" "), wanted, "{line}");
    }
}

#[test]
fn a_folder_of_another_state_is_refused() {
    let code = Code::new(&[("main.tf", DECLARED)]);
    code.before().unwrap();
    code.write(NOTE, &initialised("s3", "s/dev/terraform.tfstate"));
    code.before().unwrap();
    for (text, message) in [
        (
            initialised("s3", "s/production/terraform.tfstate"),
            "key is `s/production/terraform.tfstate`",
        ),
        (
            initialised("local", "s/dev/terraform.tfstate"),
            "the backend is `local`, the lock is for `s3`",
        ),
        ("{\"version\":3}".to_owned(), "the backend is ``"),
        ("{".to_owned(), "is not JSON"),
        (String::new(), "is not JSON"),
    ] {
        code.write(NOTE, &text);
        let error = code.before().unwrap_err();
        assert_eq!(error.exit(), Exit::Refused);
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn code_without_a_remote_state_is_refused() {
    for (name, text, declared) in [
        ("main.tf", DECLARED, true),
        (
            "backend_override.tf",
            "terraform {backend \"s3\"{ encrypt = true }}",
            true,
        ),
        ("main.tofu", DECLARED, true),
        (
            "main.tf.json",
            r#"{"terraform": {"backend": {"s3": {}}}}"#,
            true,
        ),
        (
            "main.tf.json",
            r#"{"terraform": [{"backend": [{"s3": {}}]}]}"#,
            true,
        ),
        // No code of Terraform's: nothing to say.
        ("README.md", "", true),
        ("terragrunt.hcl", "", true),
        ("main.tf", "", false),
        ("main.tf", "terraform {\n  # backend \"s3\" {}\n}\n", false),
        ("main.tf", "terraform {\n  // backend \"s3\" {}\n}\n", false),
        ("main.tf", "terraform {\n  backend \"local\" {}\n}\n", false),
        (
            "main.tf.json",
            r#"{"terraform": {"backend": {"local": {}}}}"#,
            false,
        ),
    ] {
        let code = Code::new(&[(name, text)]);
        let found = code.before();
        assert_eq!(found.is_ok(), declared, "{name} {text} {found:?}");
        if let Err(error) = found {
            assert_eq!(error.exit(), Exit::Refused);
            assert!(error.hints[0].contains("backend \"s3\" {}"), "{error}");
        }
    }
}

#[test]
fn a_command_that_had_its_state_elsewhere_has_failed() {
    let declared = Code::new(&[("main.tf", DECLARED)]);
    // Another state locks for itself.
    let other = initialised("s3", "other");
    declared.after(&[(NOTE, &other)]).unwrap();
    for (code, files, message) in [
        (
            &Code::new(&[]),
            [("terraform.tfstate", "{}")],
            "wrote a state into",
        ),
        (
            &Code::new(&[("terraform.tfstate", "{}")]),
            [("terraform.tfstate", "{\"serial\":2}")],
            "wrote a state into",
        ),
        (
            &Code::new(&[]),
            [("main.tf", "")],
            "without a backend \"s3\"",
        ),
    ] {
        let error = code.after(&files).unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.message.contains(message), "{error}");
        assert!(
            error.causes()[0].contains("s3://b/s/dev/terraform.tfstate"),
            "{error}"
        );
    }
    // One that was there before and stayed as it is, and one that was migrated away.
    let code = Code::new(&[("main.tf", DECLARED), ("terraform.tfstate", "{}")]);
    code.after(&[]).unwrap();
    code.after(&[("terraform.tfstate", "")]).unwrap();
}

#[test]
fn the_block_and_the_step_agree_or_the_line_is_named() {
    use Locking::{Both, Dynamodb, File};
    for (locking, line, wanted, message) in [
        (Dynamodb, "", Dynamodb, ""),
        (Dynamodb, "bucket = \"b\"", Dynamodb, ""),
        (
            Dynamodb,
            "bucket = \"c\"",
            Dynamodb,
            "3 bucket is `c`, and the step's is `b`",
        ),
        (
            Dynamodb,
            "bucket = var.b",
            Dynamodb,
            "3 bucket is an expression",
        ),
        (Dynamodb, "key = \"k\"", Dynamodb, "3 key is `k`"),
        (Dynamodb, "region = \"eu-west-1\"", Dynamodb, "3 region is"),
        (Dynamodb, "dynamodb_table = \"t\"", Dynamodb, ""),
        (
            Dynamodb,
            "dynamodb_table = \"u\"",
            Dynamodb,
            "3 dynamodb_table is `u`",
        ),
        (
            File,
            "dynamodb_table = \"u\"",
            File,
            "3 dynamodb_table is `u`, and the step uses no table",
        ),
        (File, "dynamodb_table = null", File, ""),
        (Dynamodb, "use_lockfile = true", Both, ""),
        (Dynamodb, "use_lockfile = false", Dynamodb, ""),
        (Both, "use_lockfile = true", Both, ""),
        (File, "use_lockfile = true", File, ""),
        (File, "use_lockfile = false", File, "3 use_lockfile is off"),
        (Dynamodb, "encrypt = true", Dynamodb, ""),
        (Dynamodb, "kms_key_id = var.key", Dynamodb, ""),
    ] {
        let text = format!("terraform {{\n  backend \"s3\" {{\n{line}\n  }}\n}}\n");
        let code = Code::new(&[("main.tf", &text)]);
        let Declared::Block(block) = declared(code.0.path()).unwrap() else {
            panic!("{text}");
        };
        let backend = Backend {
            locking,
            ..backend()
        };
        let found = compare(&block, &backend);
        let differences: Vec<_> = found
            .differences
            .iter()
            .map(|(line, difference)| format!("{line} {difference}"))
            .collect();
        assert_eq!(found.locking, wanted, "{line}");
        let differences = differences.join(" ");
        assert!(differences.starts_with(message), "{line}: {differences}");
        assert_eq!(
            differences.is_empty(),
            message.is_empty(),
            "{line}: {differences}"
        );
    }
}
