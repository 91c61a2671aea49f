//! A job around a step's binary, for the tests of what a person sees of it: the exit code, the message, and what is exported.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The files through which a step exports something in GitHub.
const EXPORTS: [&str; 3] = ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE"];

/// A folder in which a step runs as a GitHub job runs it.
#[derive(Debug)]
pub struct Job {
    program: &'static str,
    folder: tempfile::TempDir,
}

impl Job {
    /// Makes an empty folder for a program, usually `env!("CARGO_BIN_EXE_…")`.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in EXPORTS {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        Self { program, folder }
    }

    /// The job's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the job's folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file of the job's folder, empty if there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The program as a GitHub job starts it, with nothing in its environment but what is given.
    #[must_use]
    pub fn command(&self, arguments: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("GITHUB_ACTIONS", "true")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("GITHUB_STEP_SUMMARY", self.file("GITHUB_STEP_SUMMARY"))
            .envs(EXPORTS.map(|name| (name, self.file(name))))
            .envs(env.iter().copied());
        command
    }

    /// Runs the program to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        self.command(arguments, env).output().unwrap()
    }

    /// Runs the program and expects an exit code, a part of its message, and that nothing is exported.
    #[track_caller]
    pub fn refuses(&self, arguments: &[&str], env: &[(&str, &str)], exit: i32, message: &str) {
        let output = self.run(arguments, env);
        self.refused(&output, exit, message);
    }

    /// Expects the same of a program that has ended.
    #[track_caller]
    pub fn refused(&self, output: &Output, exit: i32, message: &str) {
        let log = log(output);
        assert_eq!(output.status.code(), Some(exit), "{log}");
        assert!(log.contains(message), "{message} is not in: {log}");
        assert_eq!(self.exported(), "", "{log}");
    }

    /// Expects that a call refuses an access key that does not expire, before it asks AWS.
    #[track_caller]
    pub fn refuses_a_long_lived_key(&self, arguments: &[&str]) {
        let env = [
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            // Nothing listens there.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ];
        let message = "access key AKIAEXAMPLE is long-lived";
        self.refuses(arguments, &env, 3, message);
    }

    /// Expects that a call that AWS refuses names the service's code, its message, its ID of the
    /// request and the hint, each once.
    #[track_caller]
    pub fn shows_what_aws_answered(&self, arguments: &[&str]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // Ends with the test's process.
        std::thread::spawn(move || listener.incoming().flatten().for_each(deny));
        let env = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "token"),
        ];
        let output = self.run(arguments, &env);
        self.refused(
            &output,
            1,
            "error: cannot ask STS whose credentials these are\nCaused by:\n  AccessDenied: User: u is not authorized (sts \
             GetCallerIdentity, request ID 4f1c-0001)\n\nhint: ",
        );
        // The annotation says it to the run's page.
        let log = log(&output);
        let log = log.split("::error").next().unwrap();
        for once in ["AccessDenied", "not authorized", "4f1c-0001", "hint: "] {
            assert_eq!(log.matches(once).count(), 1, "{once}: {log}");
        }
    }

    /// Expects that a call that waits for AWS ends with 130 on SIGTERM, and exports nothing.
    #[track_caller]
    pub fn is_interrupted_while_it_waits(&self, arguments: &[&str]) {
        // An AWS that takes a question and never answers it.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let env = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "ca-central-1"),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "token"),
        ];
        let mut child = self
            .command(arguments, &env)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _open = loop {
            if let Ok((stream, _)) = listener.accept() {
                break stream;
            }
            assert!(child.try_wait().unwrap().is_none(), "it did not ask AWS");
            std::thread::sleep(Duration::from_millis(20));
        };
        let kill = format!("kill -TERM {}", child.id());
        let killed = Command::new("sh").args(["-c", &kill]).status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        self.refused(&output, 130, "interrupted by SIGTERM");
    }

    /// Everything that was exported.
    #[must_use]
    pub fn exported(&self) -> String {
        EXPORTS.map(|name| self.read(name)).concat()
    }
}

/// Expects what every step does alike: it shows its help, refuses an argument that it does not have, in JSON where that is asked
/// for, refuses a long-lived key, quotes what AWS answers, and ends when it is interrupted. `asking` is a call that asks AWS;
/// `waiting` has one for each verb that does.
#[track_caller]
pub fn behaves_like_every_step(program: &'static str, asking: &[&str], waiting: &[&[&str]]) {
    let job = Job::new(program);
    let help = job.run(&["--help"], &[]);
    let shown = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        help.status.success() && shown.contains("Usage: "),
        "{help:?}"
    );
    // Beside a command, whose own 2 is not the step's.
    let exit = if asking.contains(&"--") { 64 } else { 2 };
    let wrong = job.run(&[asking[0], "--json", "--no-such-flag"], &[]);
    job.refused(&wrong, exit, "unexpected argument '--no-such-flag'");
    let shown = String::from_utf8_lossy(&wrong.stdout).into_owned();
    assert!(shown.contains(&format!("\"exit\": {exit},")), "{shown}");
    job.refuses_a_long_lived_key(asking);
    job.shows_what_aws_answered(asking);
    for arguments in waiting {
        Job::new(program).is_interrupted_while_it_waits(arguments);
    }
}

/// A program's log, which is its standard error.
#[must_use]
pub fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The commands that the runner takes from a log, by its rules (actions/runner `ActionCommandManager.cs`): none between
/// `stop-commands` and its token.
#[must_use]
pub fn commands(log: &str) -> Vec<&str> {
    let mut stopped: Option<&str> = None;
    let mut found = Vec::new();
    for line in log.lines().map(str::trim_start) {
        let Some(command) = line.strip_prefix("::") else {
            continue;
        };
        match stopped {
            Some(token) if command.starts_with(&format!("{token}::")) => stopped = None,
            Some(_) => {}
            None => match command.strip_prefix("stop-commands::") {
                Some(token) => stopped = Some(token),
                None => found.push(line),
            },
        }
    }
    found
}

/// Reads a file command of GitHub's back: `NAME<<DELIMITER`, lines, delimiter.
#[must_use]
pub fn entries(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        found.push((name.to_owned(), value.join("\n")));
    }
    found
}

/// Writes a program that the test then runs. A child process writes it: if this process did, a child that another thread
/// starts at the same moment would hold the file open for writing for an instant, and running it would fail with "Text file
/// busy".
pub fn program(path: &Path, script: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success(), "{}", path.display());
}

/// Reads a request to its end, and answers as STS refuses one.
fn deny(stream: TcpStream) {
    let mut reader = BufReader::new(&stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => {}
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
        <Message>User: u is not authorized</Message></Error><RequestId>4f1c-0001</RequestId></ErrorResponse>";
    let head = "HTTP/1.1 403 Forbidden\r\nx-amzn-requestid: 4f1c-0001\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    (&stream).write_all(answer.as_bytes()).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_runs_while_other_threads_start_processes() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let folder = folder.path();
                scope.spawn(move || {
                    for round in 0..50 {
                        let path = folder.join(format!("{thread}-{round}"));
                        program(&path, "#!/bin/sh\nexit 7\n");
                        let status = Command::new(&path).status().unwrap();
                        assert_eq!(status.code(), Some(7));
                    }
                });
            }
        });
    }

    #[test]
    fn a_refusal_and_exported_variables_are_seen() {
        let job = Job::new("/bin/sh");
        let script = "echo 'error: no' >&2; exit 3";
        job.refuses(&["-c", script], &[], 3, "error: no");
        let output = job.run(&["-c", "echo a=b >> \"$GITHUB_ENV\""], &[]);
        assert_eq!(
            (output.status.code(), job.exported()),
            (Some(0), "a=b\n".into())
        );
    }
}
