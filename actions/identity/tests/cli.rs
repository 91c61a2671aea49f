//! What a person sees of slipway-identity: the exit code, one message, and what is exported.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Command, Output, Stdio};

struct Job {
    folder: tempfile::TempDir,
}

impl Job {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The binary as a GitHub job starts it, with nothing in the environment but what is given.
    fn command(&self, arguments: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-identity"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("GITHUB_ACTIONS", "true")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(EXPORTS.map(|name| (name, self.folder.path().join(name))))
            .envs(env.iter().copied());
        command
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Expects `exit` and `message`, and nothing exported.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], env: &[(&str, &str)], exit: i32, message: &str) {
        let output = self.command(arguments, env).output().unwrap();
        self.refused(&output, exit, message);
    }

    #[track_caller]
    fn refused(&self, output: &Output, exit: i32, message: &str) {
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{log}");
        assert!(log.contains(message), "{message} is not in: {log}");
        assert_eq!(EXPORTS.map(|name| self.read(name)), EXPORTED_NOTHING);
    }
}

const EXPORTS: [&str; 3] = ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE"];
const EXPORTED_NOTHING: [&str; 3] = [""; 3];

/// Calls that ask AWS.
const ASKING: &[&str] = &["check"];
const WAITING: &[&[&str]] = &[&["check"], &["export"], &["exec", "--", "true"]];

#[test]
fn bad_input_is_named() {
    let job = Job::new();
    for (arguments, message) in [
        (&["exec"][..], "<COMMAND>"),
        (&["check", "--purpose", "admin"], "invalid value 'admin'"),
        (
            &["check", "--role", "deploy"],
            "`deploy` is not the ARN of a role",
        ),
        (
            &["check", "--account", "12345"],
            "`12345` is not an account ID",
        ),
        (
            &["check", "--environment", "dev"],
            "cannot read the contract delivery.yaml",
        ),
        (
            &["check", "--contract", "delivery.yaml"],
            "delivery.yaml was given without an environment",
        ),
        (&["check"], "no region is known"),
        (
            &["check", "--region", "ca-central-1"],
            "there are no AWS credentials",
        ),
    ] {
        job.refuses(arguments, &[], 2, message);
    }
}

#[test]
fn missing_credentials_are_said_in_one_sentence() {
    let arguments = ["check", "--region", "ca-central-1"];
    let output = Job::new().command(&arguments, &[]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("Caused by"), "{log}");
    assert!(log.contains("\nhint: in GitHub"), "{log}");
}

#[test]
fn credentials_are_exported_only_where_no_file_holds_them() {
    let env = [("GITHUB_ACTIONS", ""), ("AWS_REGION", "ca-central-1")];
    Job::new().refuses(&["export"], &env, 2, "credentials cannot be exported");
}

#[test]
fn a_long_lived_key_is_refused_before_any_call() {
    let env = [
        ("AWS_REGION", "ca-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        // Nothing listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ];
    Job::new().refuses(ASKING, &env, 3, "access key AKIAEXAMPLE is long-lived");
}

/// An AWS that takes a question and never answers it.
struct Silence(std::net::TcpListener);

impl Silence {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// The connection of whoever asked.
    fn asked(&self) -> std::net::TcpStream {
        for _ in 0..200 {
            if let Ok((stream, _)) = self.0.accept() {
                return stream;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("nobody asked");
    }
}

#[test]
fn whatever_waits_for_aws_ends_with_130_when_it_is_interrupted() {
    for arguments in WAITING {
        let silence = Silence::new();
        let endpoint = format!("http://{}", silence.0.local_addr().unwrap());
        let env = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "token"),
        ];
        let job = Job::new();
        let child = job
            .command(arguments, &env)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _open = silence.asked();
        let kill = format!("kill -TERM {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        job.refused(&output, 130, "interrupted by SIGTERM");
    }
}
