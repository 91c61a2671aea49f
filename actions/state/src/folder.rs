//! What a folder of infrastructure code says about where its state is: what it declares, what it
//! was initialised with, and whether a state was written into the folder itself.

use crate::backend::Backend;
use kit::error::{Context, Error, Result};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder and the state that a command in it is to change.
#[derive(Debug)]
pub(crate) struct Folder<'a> {
    path: &'a Path,
    /// Where Terraform keeps what `init` decided.
    data: PathBuf,
    backend: &'a Backend,
    /// The state file in the folder itself, as it was before the command.
    local: Option<(u64, SystemTime)>,
}

impl<'a> Folder<'a> {
    /// Looks at the folder before the command.
    ///
    /// # Errors
    /// It would have its state elsewhere than where the lock is (exit 3), or cannot be read.
    pub(crate) fn before(path: &'a Path, data_dir: &str, backend: &'a Backend) -> Result<Self> {
        let folder = Self {
            path,
            data: path.join(data_dir).join("terraform.tfstate"),
            backend,
            local: local(path),
        };
        folder.initialised()?;
        if folder.declares()? == Some(false) {
            return Err(Error::refused(format!(
                "{} declares no backend \"s3\", so its state would be a file that is gone after the job",
                path.display()
            ))
            .hint(BLOCK));
        }
        Ok(folder)
    }

    /// Looks again after a command that succeeded.
    ///
    /// # Errors
    /// The command had its state elsewhere (exit 1).
    pub(crate) fn after(&self) -> Result<()> {
        let elsewhere = |error: Error| {
            let mut error = error.cause(format!(
                "the command succeeded, but not with s3://{}/{}, which was locked",
                self.backend.bucket, self.backend.key
            ));
            error.exit = kit::Exit::Failed;
            error
        };
        self.initialised().map_err(elsewhere)?;
        let written = local(self.path);
        let wrote = written.is_some() && written != self.local;
        if wrote || self.declares()? == Some(false) {
            let what = if wrote {
                format!("wrote a state into {}", self.path.display())
            } else {
                format!("left {} without a backend \"s3\"", self.path.display())
            };
            return Err(elsewhere(Error::failed(format!("the command {what}"))).hint(BLOCK));
        }
        Ok(())
    }

    /// Refuses a folder that was initialised for another state than the one that is locked:
    /// Terraform would change that other one, without a lock.
    fn initialised(&self) -> Result<()> {
        let text = match std::fs::read_to_string(&self.data) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).context(format!("cannot read {}", self.data.display()));
            }
        };
        let again = format!("remove {} and run init again", self.data.display());
        let state: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
            Error::refused(format!(
                "nobody can tell which state {} was initialised for: {} is no JSON",
                self.path.display(),
                self.data.display()
            ))
            .because(&error)
            .hint(&again)
        })?;
        let config = &state["backend"]["config"];
        for (name, found, wanted) in [
            ("the backend", &state["backend"]["type"], "s3"),
            ("bucket", &config["bucket"], &self.backend.bucket),
            ("key", &config["key"], &self.backend.key),
            (
                "dynamodb_table",
                &config["dynamodb_table"],
                &self.backend.table,
            ),
        ] {
            let found = found.as_str().unwrap_or_default();
            if found != wanted {
                return Err(Error::refused(format!(
                    "{} was initialised for another state: {name} is `{found}`, the lock is for `{wanted}`",
                    self.path.display()
                ))
                .hint(&again));
            }
        }
        Ok(())
    }

    /// Whether the code here declares `backend "s3"`; `None` where there is no code, or where
    /// Terragrunt writes the declaration by itself.
    fn declares(&self) -> Result<Option<bool>> {
        let cannot = || format!("cannot read {}", self.path.display());
        if self.path.join("terragrunt.hcl").exists() {
            return Ok(None);
        }
        let mut code = None;
        for entry in std::fs::read_dir(self.path).context(cannot())? {
            let path = entry.context(cannot())?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let json = [".tf.json", ".tofu.json"]
                .iter()
                .any(|end| name.ends_with(end));
            let native = [".tf", ".tofu"].iter().any(|end| name.ends_with(end));
            if !json && !native {
                continue;
            }
            let text = std::fs::read_to_string(&path)
                .context(format!("cannot read {}", path.display()))?;
            if declares_s3(&text, json) {
                return Ok(Some(true));
            }
            code = Some(false);
        }
        Ok(code)
    }
}

const BLOCK: &str = "add to the code: terraform { backend \"s3\" {} } (bucket, key, region and table come from this step)";

/// The state file that Terraform writes without a backend. One that was migrated away stays
/// behind empty.
fn local(folder: &Path) -> Option<(u64, SystemTime)> {
    let meta = std::fs::metadata(folder.join("terraform.tfstate")).ok()?;
    (meta.len() > 0).then_some((meta.len(), meta.modified().ok()?))
}

fn declares_s3(text: &str, json: bool) -> bool {
    if json {
        let words: String = text.split_whitespace().collect();
        return words.contains("\"backend\":{\"s3\"") || words.contains("\"backend\":[{\"s3\"");
    }
    let words: Vec<String> = text
        .lines()
        .filter_map(|line| line.split(['#', '/']).next())
        .flat_map(|line| {
            let line = line.replace(['{', '}'], " ");
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    words
        .windows(2)
        .any(|pair| pair[0] == "backend" && pair[1] == "\"s3\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    fn backend() -> Backend {
        Backend {
            bucket: "b".into(),
            key: "s/dev/terraform.tfstate".into(),
            workspace: None,
            table: "t".into(),
            region: "ca-central-1".into(),
            locking: crate::backend::Locking::Dynamodb,
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

        /// What is found after `files` were written.
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
            ("{".to_owned(), "is no JSON"),
            (String::new(), "is no JSON"),
        ] {
            code.write(NOTE, &text);
            let error = code.before().unwrap_err();
            assert_eq!(error.exit, Exit::Refused);
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
                assert_eq!(error.exit, Exit::Refused);
                assert!(error.hints[0].contains("backend \"s3\" {}"), "{error}");
            }
        }
    }

    #[test]
    fn a_command_that_had_its_state_elsewhere_has_failed() {
        let note = initialised("s3", "s/dev/terraform.tfstate");
        let declared = Code::new(&[("main.tf", DECLARED)]);
        declared.after(&[(NOTE, &note)]).unwrap();
        let other = initialised("s3", "other");
        for (code, files, message) in [
            (&declared, [(NOTE, other.as_str())], "key is `other`"),
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
            assert_eq!(error.exit, Exit::Failed);
            assert!(error.message.contains(message), "{error}");
            assert!(
                error.causes[0].contains("s3://b/s/dev/terraform.tfstate"),
                "{error}"
            );
        }
        // One that was there before and stayed as it is, and one that was migrated away.
        let code = Code::new(&[("main.tf", DECLARED), ("terraform.tfstate", "{}")]);
        code.after(&[]).unwrap();
        code.after(&[("terraform.tfstate", "")]).unwrap();
    }
}
