//! One run of one program with the most memory that it held itself. GNU time would count its children's too, and a builder's
//! client holds more than a pusher.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::measure::Call;
use crate::fault::{Context, Fault, Result};

/// How often the kernel is asked. Its figure is the highest until then, so only what grows in the last moment is missed.
const LOOK: Duration = Duration::from_millis(10);

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    /// Milliseconds.
    pub(super) wall: f64,
    /// MiB.
    pub(super) peak: f64,
    /// Milliseconds of them that a build took, where the program says so.
    pub(super) build: f64,
    /// Milliseconds of them that passed between the first question to the registry and the manifest's reading back, where the
    /// program says so.
    pub(super) push: f64,
}

/// Runs it to its end, which must be a good one.
pub(super) fn watched(call: &Call) -> Result<Watched> {
    let began = Instant::now();
    let child = Command::new(&call.program)
        .args(&call.arguments)
        .env_clear()
        .envs(&call.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(format!("starting {}", call.program.display()))?;
    let status = format!("/proc/{}/status", child.id());
    let (over, ended) = channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0.0;
        loop {
            peak = fs::read_to_string(&status)
                .ok()
                .and_then(|text| high_water(&text))
                .unwrap_or(peak);
            if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return peak;
            }
        }
    });
    let output = child
        .wait_with_output()
        .context(format!("running {}", call.program.display()))?;
    let wall = began.elapsed().as_secs_f64() * 1000.0;
    drop(over);
    let peak = watcher
        .join()
        .map_err(|_| Fault::new("nobody watched the program's memory"))?;
    let streams =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() && streams.iter().any(|text| text.contains(&call.proof)) {
        let report: Value = serde_json::from_str(&streams[0]).unwrap_or_default();
        return Ok(Watched {
            wall,
            peak,
            build: millis(&report["build_seconds"]),
            push: millis(&report["to"][0]["seconds"]),
        });
    }
    Err(Fault::new(format!(
        "{} {} ended with {} without {:?} in its output:\n{}",
        call.program.display(),
        call.arguments.join(" "),
        output.status,
        call.proof,
        streams.concat()
    )))
}

/// A time in the report of `slipway-image publish --json`.
fn millis(seconds: &Value) -> f64 {
    seconds.as_f64().unwrap_or_default() * 1000.0
}

/// `VmHWM` of proc_pid_status(5), in MiB. A process that has ended has none.
fn high_water(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::runner::Variables;

    fn shell(script: &str) -> Call {
        Call {
            program: "/bin/bash".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Variables::new(),
            proof: "done".into(),
        }
    }

    #[test]
    fn memory_is_the_programs_own_and_not_its_childrens() {
        let child =
            shell("perl -e '$x = \"x\" x 80000000; select undef, undef, undef, 0.1'; echo done");
        let own = shell("printf -v x '%080000000d' 0; sleep 0.1; echo done");
        assert!(watched(&child).unwrap().peak < 40.0);
        assert!(watched(&own).unwrap().peak > 70.0);
    }

    #[test]
    fn a_run_that_fails_or_proves_nothing_gives_no_figure() {
        for script in ["echo done; echo why >&2; exit 3", "echo why >&2"] {
            let fault = watched(&shell(script)).unwrap_err().to_string();
            assert!(fault.contains("why"), "{fault}");
        }
    }

    #[test]
    fn build_and_push_times_are_read_from_the_report() {
        let figures = |output: &str| {
            let found = watched(&shell(&format!("echo '{output}' #done"))).unwrap();
            (found.build, found.push)
        };
        let report = r#"{"done": 1, "build_seconds": 0.25, "to": [{"seconds": 0.5}]}"#;
        assert_eq!(figures(report), (250.0, 500.0));
        let report = r#"{"done": 1, "build_seconds": null, "to": []}"#;
        assert_eq!(figures(report), (0.0, 0.0));
        assert_eq!(figures("done: the push refers to repository"), (0.0, 0.0));
    }

    #[test]
    fn the_kernels_figure_is_read_in_its_unit() {
        assert_eq!(
            high_water("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t  2048 kB\n"),
            Some(2.0)
        );
        assert_eq!(high_water("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
