//! Provides temporary credentials for one environment, checked against the contract before use.
//! Slipway's own steps get their credentials themselves; this step is for other tools.

mod args;
mod report;

use args::{Args, Verb, Wanted};
use kit::action::Action;
use kit::child::{self, Program};
use kit::error::Result;
use kit::signal::unless_interrupted;
use kit::{Cx, Report, Step};
use net::{Account, Net, Purpose, Target};

/// The step.
pub struct Identity;

impl Step for Identity {
    type Args = Args;

    const ACTION: Action = Action {
        name: "identity",
        description: "Get temporary AWS credentials for one environment, checked before use",
        icon: "user-check",
        outputs: &[
            (
                "account",
                "The account the credentials belong to, as STS names it",
            ),
            ("arn", "The caller's ARN, as STS names it"),
            ("expires", "When the credentials end, RFC 3339 in UTC"),
        ],
        secrets: &[],
        post: false,
    };

    fn handles_signals(args: &Args) -> bool {
        matches!(args.verb, Verb::Exec { .. })
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        let (wanted, command) = match &args.verb {
            Verb::Export(wanted) => {
                cx.host.can_export("credentials")?;
                (wanted, None)
            }
            Verb::Check(wanted) => (wanted, None),
            Verb::Exec { wanted, command } => (wanted, Some(command)),
        };
        let target = target(wanted, cx)?;
        let net = Net::new(cx)?;
        let account = unless_interrupted(net.account(&target)).await?;
        match (&args.verb, command) {
            (_, Some(command)) => exec(&account, command, cx).await,
            (Verb::Export(_), None) => Ok(report::exported(&account, cx)),
            (_, None) => Ok(report::checked(&account, &target)),
        }
    }
}

/// The requested account, role and region: the contract's, each of which can be overridden.
fn target(wanted: &Wanted, cx: &Cx) -> Result<Target> {
    let purpose = match wanted.purpose {
        args::Purpose::Read => Purpose::Read,
        args::Purpose::Deploy => Purpose::Deploy,
        args::Purpose::Publish => Purpose::Publish,
        args::Purpose::Permit => Purpose::Permit,
    };
    let mut target = Target::chosen(
        cx.defaults()?.contract(),
        purpose,
        wanted.role.as_ref(),
        wanted.region.as_ref(),
    );
    if let Some(account) = &wanted.account {
        target.account = Some(account.clone());
    }
    Ok(target)
}

async fn exec(account: &Account, command: &[String], cx: &Cx) -> Result<Report> {
    let program = account.add_credentials(Program::new(command, &cx.env)?);
    cx.host
        .info(format!("running as {} in {}", account.arn, account.region));
    let status = program.start(&cx.host)?.wait().await?;
    child::verdict(program.shown(), status)?;
    Ok(Report::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::render::check::<Identity>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}
