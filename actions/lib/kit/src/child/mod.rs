//! Running somebody else's command: streams untouched, one interrupt handed on, exit code kept.

mod program;
mod running;

pub use program::Program;
pub use running::{Printed, Running};

use crate::error::{Error, ErrorKind, Result};
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Returns whether a child that is started now leads a process group of its own.
pub fn leads_group() -> bool {
    !std::io::stdin().is_terminal()
}

/// Turns a child's end into the step's: success, or an error that keeps its exit code.
///
/// # Errors
/// The child failed; the step ends with the child's own exit code, or 128 plus its signal.
pub fn verdict(shown: &str, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let (code, outcome) = match (status.code(), status.signal()) {
        (Some(code), _) => (code, format!("ended with exit code {code}")),
        (None, Some(signal)) => (128 + signal, format!("was ended by signal {signal}")),
        (None, None) => (1, "failed".to_owned()),
    };
    let code = u8::try_from(code).unwrap_or(1);
    Err(Error::new(
        ErrorKind::Command(code),
        format!("`{shown}` {outcome}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::host::Host;
    use crate::secret::Secret;
    use std::path::{Path, PathBuf};

    async fn run(script: &str, set: impl FnOnce(Program) -> Program) -> Result<()> {
        let command: Vec<String> = ["sh", "-c", script].map(str::to_owned).into();
        let path = std::env::var("PATH").unwrap();
        let env = Env::from([("PATH", path.as_str()), ("INPUT_X", "1"), ("KEEP", "2")]);
        let program = set(Program::new(&command, &env).unwrap());
        let status = program.start(&Host::detect(&env))?.wait().await?;
        verdict(program.shown(), status)
    }

    #[tokio::test]
    async fn the_exit_code_is_kept() {
        let error = run("exit 7", |program| program).await.unwrap_err();
        assert_eq!(error.exit().code(), 7);
        assert!(run("exit 0", |program| program).await.is_ok());
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_started_ends_like_a_shell() {
        let env = Env::default();
        for (command, code) in [("/gone/deploy.sh", 127), ("/etc/passwd", 126)] {
            let program = Program::new(&[command.to_owned()], &env).unwrap();
            let error = program.start(&Host::detect(&env)).unwrap_err();
            assert_eq!(error.exit().code(), code, "{error}");
        }
    }

    #[tokio::test]
    async fn a_child_sees_secrets_but_no_inputs() {
        let script = r#"test "$S" = hush && test "$KEEP" = 2 && test -z "${INPUT_X+x}" && test -z "${GONE+x}""#;
        let set = |program: Program| {
            program
                .secret("S", Secret::new("hush".into()))
                .env("GONE", "x")
                .without("GONE")
        };
        run(script, set).await.unwrap();
    }

    #[tokio::test]
    async fn the_output_and_exit_code_of_a_captured_child_are_returned() {
        let command = ["sh", "-c", "echo out; echo err >&2; exit 3"].map(str::to_owned);
        let path = std::env::var("PATH").unwrap();
        let env = Env::from([("PATH", path.as_str())]);
        let program = Program::new(&command, &env).unwrap();
        let (status, output) = program.capture(&Host::detect(&env)).await.unwrap();
        assert_eq!((status.code(), output.as_slice()), (Some(3), &b"out\n"[..]));
    }

    /// A folder of the test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("kit-child-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A child that counts its interrupts until the file `go` is there, and ends with 10 and their number.
    async fn counting(folder: &Path) -> Running {
        let script = "n=0; trap 'n=$((n+1)); echo $n > seen' INT; touch ready; until [ -e go ]; do sleep 0.05; done; exit $((10 + n))";
        let command: Vec<String> = ["sh", "-c", script].map(str::to_owned).into();
        let path = std::env::var("PATH").unwrap();
        let env = Env::from([("PATH", path.as_str())]);
        let program = Program::new(&command, &env).unwrap();
        let program = program.directory(folder.to_owned());
        let running = program.start(&Host::detect(&env)).unwrap();
        wait_for_file(&folder.join("ready")).await;
        running
    }

    async fn wait_for_file(file: &Path) {
        for _ in 0..6000 {
            if file.exists() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{} did not come", file.display());
    }

    #[tokio::test]
    async fn a_second_interrupt_does_not_reach_the_child() {
        let folder = Folder::new("second");
        let mut running = counting(&folder.0).await;
        running.interrupted();
        wait_for_file(&folder.0.join("seen")).await;
        running.interrupted();
        std::fs::write(folder.0.join("go"), "").unwrap();
        assert_eq!(running.wait().await.unwrap().code(), Some(11));
        assert!(running.was_interrupted());
    }

    #[tokio::test]
    async fn two_signals_of_the_runner_kill_no_child_that_was_asked_to_stop_before() {
        let folder = Folder::new("asked");
        let mut running = counting(&folder.0).await;
        running.stop();
        wait_for_file(&folder.0.join("seen")).await;
        assert!(!running.was_interrupted());
        running.interrupted();
        running.interrupted();
        std::fs::write(folder.0.join("go"), "").unwrap();
        assert_eq!(running.wait().await.unwrap().code(), Some(11));
        let folder = Folder::new("third");
        let mut running = counting(&folder.0).await;
        for _ in 0..3 {
            running.interrupted();
        }
        assert_eq!(running.wait().await.unwrap().signal(), Some(9));
    }
}
