//! Another deployment that may have superseded this one before it changed anything: found beside the verdict, which it does not hide.

use kit::error::{Error, Result};
use kit::{Cx, Report};

/// A finding of the ledger about a deployment that has come to its end.
#[derive(Debug)]
pub(crate) enum Finding {
    /// Another deployment superseded this one, on record.
    Overtaken(Error),
    /// The ledger could not be read.
    Unknown(Error),
}

/// Adds the finding to the end of a deployment, whose outputs stay as they are. A success that was overtaken fails; one of which
/// that is unknown does not, since the record that comes after it reads the same ledger.
///
/// # Errors
/// The deployment did not succeed, or was overtaken.
pub(crate) fn found(cx: &Cx, end: Result<Report>, finding: Option<Finding>) -> Result<Report> {
    if let (Ok(_), Some(Finding::Unknown(found))) = (&end, &finding) {
        cx.host.warn(found.line());
    }
    with(end, finding)
}

fn with(end: Result<Report>, finding: Option<Finding>) -> Result<Report> {
    match (end, finding) {
        (end, None) | (end @ Ok(_), Some(Finding::Unknown(_))) => end,
        (Err(error), Some(Finding::Overtaken(found) | Finding::Unknown(found))) => {
            let line = found.line();
            Err(found.hints.into_iter().fold(error.cause(line), Error::hint))
        }
        (Ok(report), Some(Finding::Overtaken(mut found))) => {
            found.details = report.text;
            found.json = Some(report.json);
            found.outputs.extend(report.outputs);
            Err(found.summary(report.summary))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;
    use kit::error::ErrorKind;

    #[test]
    fn the_verdict_and_its_outputs_stay_whatever_is_found_beside_them() {
        let overtaken = || Some(Finding::Overtaken(Error::failed("record 7 came first")));
        let unknown = || Some(Finding::Unknown(Error::failed("no ledger")));
        let healthy = || Ok(Report::default().output("verdict", "healthy"));
        let back = || {
            let error = Error::new(ErrorKind::RolledBack, "went back");
            Err(error.output("verdict", "rolled-back"))
        };
        for (end, finding, exit, verdict, words) in [
            (healthy(), None, Exit::Done, "healthy", ""),
            (healthy(), unknown(), Exit::Done, "healthy", ""),
            (healthy(), overtaken(), Exit::Failed, "healthy", "record 7"),
            (
                back(),
                overtaken(),
                Exit::RolledBack,
                "rolled-back",
                "record 7",
            ),
            (
                back(),
                unknown(),
                Exit::RolledBack,
                "rolled-back",
                "no ledger",
            ),
        ] {
            let (found, outputs, line) = match with(end, finding) {
                Ok(report) => (Exit::Done, report.outputs, String::new()),
                Err(error) => (error.exit(), error.outputs.clone(), error.line()),
            };
            assert_eq!(found, exit, "{line}");
            assert_eq!(outputs, [("verdict", verdict.to_owned())], "{line}");
            assert!(line.contains(words), "{line}");
        }
    }
}
