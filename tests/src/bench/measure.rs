//! Measures one run of one program: how long it took, how much processor time it used, how much memory it held.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use time::OffsetDateTime;

use crate::fault::{Context, Fault, Result};
use crate::world::runner::Variables;

/// A program with its arguments and its whole environment.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Variables,
    /// Text that its output must contain, so that a quick failure is never taken for a quick success.
    pub(super) proof: String,
}

/// The quantity measured in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Wall,
    Cpu,
    Peak,
}

impl Measure {
    pub(super) const ALL: [Self; 3] = [Self::Wall, Self::Cpu, Self::Peak];

    /// Its name with its unit.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall ms",
            Self::Cpu => "CPU ms",
            Self::Peak => "peak MiB",
        }
    }

    /// Runs the program once and answers the figure. The child's usage is known to its parent alone, and only through
    /// calls that safe code lacks, so a small parent in between says it on its last line.
    pub(super) fn take(self, call: &Call) -> Result<f64> {
        let wrapper: &[&str] = match self {
            Self::Wall => &[],
            // bash counts in milliseconds where GNU time counts in hundredths of a second.
            Self::Cpu => &[
                "/bin/bash",
                "-c",
                "TIMEFORMAT='%3U %3S'; time \"$@\"",
                "bash",
            ],
            // A larger parent's own memory would hide a small child's.
            Self::Peak => &["/usr/bin/time", "--format", "%M"],
        };
        let mut command = match wrapper {
            [] => Command::new(&call.program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&call.program);
                command
            }
        };
        command
            .args(&call.arguments)
            .env_clear()
            .envs(&call.environment)
            .stdin(Stdio::null());
        let began = Instant::now();
        let output = command
            .output()
            .context(format!("running {}", call.program.display()))?;
        let wall = began.elapsed();
        let errors = String::from_utf8_lossy(&output.stderr);
        let proven = String::from_utf8_lossy(&output.stdout).contains(&call.proof);
        if !output.status.success() || !proven {
            return Err(Fault::new(format!(
                "{} {} ended with {} without {:?} in its output:\n{errors}",
                call.program.display(),
                call.arguments.join(" "),
                output.status,
                call.proof,
            )));
        }
        let figure = errors.lines().last().unwrap_or_default();
        match self {
            Self::Wall => Ok(wall.as_secs_f64() * 1000.0),
            Self::Cpu => Ok(sum(figure)? * 1000.0),
            Self::Peak => Ok(sum(figure)? / 1024.0),
        }
    }
}

/// One run that is too long to be repeated for each measure, so that all are taken of it, and whose exit code may be any.
pub(super) struct Run {
    pub(super) wall: f64,
    pub(super) cpu: f64,
    pub(super) peak: f64,
    /// When the program ended.
    pub(super) ended: OffsetDateTime,
    pub(super) code: Option<i32>,
}

impl Run {
    /// Runs the program once.
    pub(super) fn of(call: &Call) -> Result<Self> {
        // GNU time's own memory is little, and its processor time less than bash can tell.
        const BOTH: &str = "TIMEFORMAT='%3U %3S'; time /usr/bin/time --quiet --format %M \"$@\"";
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", BOTH, "bash"])
            .arg(&call.program)
            .args(&call.arguments)
            .env_clear()
            .envs(&call.environment)
            .stdin(Stdio::null());
        let began = Instant::now();
        let output = command
            .output()
            .context(format!("running {}", call.program.display()))?;
        let (wall, ended) = (began.elapsed(), OffsetDateTime::now_utc());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout);
        if !text.contains(&call.proof) && !errors.contains(&call.proof) {
            return Err(Fault::new(format!(
                "{} {} ended with {} without {:?} in what it said:\n{text}{errors}",
                call.program.display(),
                call.arguments.join(" "),
                output.status,
                call.proof,
            )));
        }
        let mut last = errors.lines().rev();
        let cpu = sum(last.next().unwrap_or_default())?;
        let peak = sum(last.next().unwrap_or_default())?;
        Ok(Self {
            wall: wall.as_secs_f64() * 1000.0,
            cpu: cpu * 1000.0,
            peak: peak / 1024.0,
            ended,
            code: output.status.code(),
        })
    }
}

fn sum(figures: &str) -> Result<f64> {
    let figures: std::result::Result<Vec<f64>, _> =
        figures.split_whitespace().map(str::parse).collect();
    match figures.context("reading what was measured")? {
        figures if figures.is_empty() => Err(Fault::new("nothing was measured")),
        figures => Ok(figures.iter().sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Call {
        Call {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Variables::new(),
            proof: "done".into(),
        }
    }

    #[test]
    fn waiting_takes_time_and_no_processor_and_counting_takes_both() {
        let idle = shell("sleep 0.3; echo done");
        assert!(Measure::Wall.take(&idle).unwrap() >= 300.0);
        assert!(Measure::Cpu.take(&idle).unwrap() < 200.0);
        let busy = shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done >&1");
        assert!(Measure::Cpu.take(&busy).unwrap() > 20.0);
    }

    #[test]
    fn a_run_that_fails_or_proves_nothing_gives_no_figure() {
        for script in ["echo done; echo why >&2; exit 3", "echo why >&2"] {
            let fault = Measure::Wall.take(&shell(script)).unwrap_err().to_string();
            assert!(fault.contains("why"), "{fault}");
        }
    }

    #[test]
    fn a_whole_run_has_every_measure_whatever_its_exit_code() {
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done >&2; exit 5";
        let run = Run::of(&shell(busy)).unwrap();
        assert_eq!(run.code, Some(5));
        assert!(run.wall > 0.0 && run.cpu > 20.0 && run.peak > 0.5);
        assert!(run.ended <= OffsetDateTime::now_utc());
        let silent = Run::of(&shell("echo why >&2")).map(drop).unwrap_err();
        assert!(silent.to_string().contains("why"), "{silent}");
    }

    #[test]
    fn text_that_is_not_a_figure_is_an_error() {
        assert_eq!(sum("0.010 0.002").unwrap(), 0.012);
        assert!(sum("").is_err());
        assert!(sum("Command terminated").is_err());
    }
}
