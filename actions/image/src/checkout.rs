//! The checkout that the image is built in, as git knows it: the image is tagged with a commit, so it must be made from it.

use kit::step::Cx;
use kit::{Error, Result};
use std::path::Path;
use std::process::Command;

/// How many files are named.
const NAMED: usize = 5;

/// The folder of the build context. It need not be git's at all.
pub(crate) struct Checkout<'a> {
    cx: &'a Cx,
    context: &'a Path,
}

impl<'a> Checkout<'a> {
    pub(crate) fn new(cx: &'a Cx, context: &'a Path) -> Self {
        Self { cx, context }
    }

    /// # Errors
    /// A checkout that has the commit but stands elsewhere (exit 2).
    pub(crate) fn is_at(&self, commit: &str) -> Result<()> {
        if self.time(commit).is_some()
            && let Some(head) = self.git(&["rev-parse", "HEAD"])
            && head != commit
        {
            return Err(Error::usage(format!(
                "{} is checked out at {head}, not at {commit}",
                self.context.display()
            ))
            .hint(format!("check out {commit}, or give --commit {head}")));
        }
        Ok(())
    }

    /// Says which files of the context are not the commit's. It is no refusal, since earlier steps may have made them, and
    /// `.dockerignore` may leave them out.
    pub(crate) fn warn(&self, commit: &str) {
        if self.time(commit).is_none() {
            return;
        }
        let status = [
            "status",
            "--porcelain",
            "--untracked-files=normal",
            "--",
            ".",
        ];
        let Some(status) = self.git(&status).filter(|status| !status.is_empty()) else {
            return;
        };
        self.cx.host.warn(format!(
            "{} is not as commit {commit} has it, and the image is tagged with that commit: {}",
            self.context.display(),
            differing(&status)
        ));
    }

    /// When the commit was made, `None` where it is not known here.
    pub(crate) fn time(&self, commit: &str) -> Option<String> {
        self.git(&["show", "--no-patch", "--format=%ct", commit, "--"])
    }

    fn git(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.context)
            .args(arguments)
            .env_clear()
            .envs(self.cx.env.for_child())
            // A partial clone would go to the network for a commit it lacks.
            .env("GIT_NO_LAZY_FETCH", "1")
            // To look is not to refresh the index, which would take its lock.
            .env("GIT_OPTIONAL_LOCKS", "0")
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    }
}

/// What `git status --porcelain` names, the first few: two letters, a space, a path.
fn differing(status: &str) -> String {
    let files: Vec<&str> = status.lines().filter_map(|line| line.get(3..)).collect();
    let named = files.iter().take(NAMED).copied().collect::<Vec<_>>();
    match files.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_named() {
        assert_eq!(differing(" M app/a\n?? b c"), "app/a, b c");
        let many: String = (0..7).map(|n| format!("?? {n}\n")).collect();
        assert_eq!(differing(&many), "0, 1, 2, 3, 4 and 2 more");
    }
}
