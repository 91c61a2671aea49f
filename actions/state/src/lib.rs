//! The state lock: the item Terraform itself would write, held around a command, so that no two
//! runs change one state from any machine, and released whatever happens to the run.

mod access;
mod args;
mod backend;
mod block;
mod bootstrap;
mod dependencies;
mod folder;
mod guard;
mod hash;
mod history;
mod hold;
mod info;
mod key;
mod lease;
mod locate;
mod lock;
mod note;
mod object;
mod plan;
mod process;
mod report;
mod rescue;
mod s3;
mod shim;
mod tool;

pub use guard::called as guard;
pub use shim::called as tool;

use args::{Args, Verb};
use kit::action::{Action, SecretInput};
use kit::error::{Error, Result};
use kit::{Cx, Report, Step};

/// The step.
pub struct State;

impl Step for State {
    type Args = Args;

    const ACTION: Action = Action {
        name: "state",
        description: "Hold the Terraform state lock around a command, and release it on success, failure or cancellation",
        icon: "archive",
        outputs: &[
            ("lock-id", "ID of the lock that is held (for lock, park)"),
            (
                "rvn",
                "Version number of the lock, for whoever adopts it (for lock, park)",
            ),
            (
                "holder",
                "Who holds the lock, empty when nobody does (for status)",
            ),
            (
                "plan-id",
                "ID of the plan that was saved, empty when it cannot be applied (for plan)",
            ),
            (
                "has-changes",
                "`true` if applying the plan would change anything, else `false` (for plan)",
            ),
            (
                "exitcode",
                "The plan as an exit code, as `-detailed-exitcode` gives it: 2 if applying it would change anything, else 0 (for plan)",
            ),
            (
                "counts",
                "Summary of the plan's changes, e.g. 1 to replace, 2 to add (for plan, apply)",
            ),
        ],
        secrets: &[SecretInput {
            name: "github-token",
            description: "Token that reads whether the run that holds a lock is over (`actions: read`), and writes a plan as a comment on its pull request (`pull-requests: write`)",
            default: "${{ github.token }}",
        }],
        post: true,
    };

    fn handles_signals(args: &Args) -> bool {
        matches!(
            args.verb,
            Verb::Run { .. }
                | Verb::Lock { .. }
                | Verb::Plan(_)
                | Verb::Apply(_)
                | Verb::Drift(_)
                | Verb::RepairDigest(_)
                | Verb::Rollback(_)
        )
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        if Self::handles_signals(&args) {
            kit::signal::remember();
        }
        refuse_own_lock(&args.verb, cx)?;
        match args.verb {
            Verb::Run {
                locked,
                kind,
                adopt,
                budget,
                directory,
                override_backend,
                base,
                command,
            } => {
                let job = hold::Job {
                    command: &command,
                    directory,
                    override_backend,
                    wait: &locked.wait,
                    hold: kind.hold,
                    adopt: &adopt,
                    budget,
                    base: base.as_ref(),
                };
                hold::run(&locate::of(&locked.state, cx)?, job, cx).await
            }
            Verb::Lock {
                locked,
                kind,
                adopt,
                keep,
            } => {
                let located = locate::of(&locked.state, cx)?;
                hold::lock(&located, &locked.wait, kind.hold, &adopt, &keep, cx).await
            }
            Verb::Unlock { state, adopt } => {
                hold::unlock(&locate::of(&state, cx)?, &adopt, cx).await
            }
            Verb::Status { state } => hold::status(&locate::of(&state, cx)?, cx).await,
            Verb::Bootstrap(args) => bootstrap::bootstrap(*args, cx).await,
            Verb::Park { state, adopt, keep } => {
                hold::park(&locate::of(&state, cx)?, &adopt, &keep, cx).await
            }
            Verb::ForceUnlock { state, which } => {
                let id = which.id()?;
                hold::force_unlock(&locate::of(&state, cx)?, id, cx).await
            }
            Verb::MoveLock { state, to } => {
                hold::move_lock(&locate::to_move(&state, cx)?, to, cx).await
            }
            Verb::Plan(args) => plan::plan(*args, cx).await,
            Verb::Apply(args) => plan::apply(*args, cx).await,
            Verb::Drift(args) => plan::drift(*args, cx).await,
            Verb::Doctor(args) => bootstrap::doctor(*args, cx).await,
            Verb::VerifyDigest(args) => history::verify(*args, cx).await,
            Verb::RepairDigest(args) => history::repair(*args, cx).await,
            Verb::Versions(args) => history::versions(*args, cx).await,
            Verb::Rollback(args) => history::rollback(*args, cx).await,
        }
    }

    /// Releases what a cancelled step left behind.
    async fn post(cx: &Cx) -> Result<()> {
        // One that cannot be done keeps none of the others back.
        let removed = [
            plan::Private::remove_left(cx),
            shim::CallServer::remove_left(cx),
        ];
        let released = hold::release_left(cx).await;
        removed.into_iter().collect::<Result<()>>().and(released)
    }
}

/// Refuses to remove the lock that is held around this very command, which would end it first.
fn refuse_own_lock(verb: &Verb, cx: &Cx) -> Result<()> {
    let (name, id) = match verb {
        Verb::ForceUnlock { which, .. } => ("force-unlock", &which.lock_id),
        Verb::Unlock { adopt, .. } => ("unlock", &adopt.which.lock_id),
        _ => return Ok(()),
    };
    match id {
        Some(id) if cx.env.get(guard::MARK) == Some(id) => Err(Error::refused(format!(
            "the lock with ID {id} is held around this very command"
        ))
        .hint(format!(
            "leave `{name}` out: the step gives the lock back when its command ends"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::render::check::<State>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}
