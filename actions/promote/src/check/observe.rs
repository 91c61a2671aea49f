//! Collects the facts for the rules from GitHub, beside what the host says.

use super::Subject;
use super::change::Change;
use super::collect;
use super::fact::{Fact, Promoter, RunKind, Unknown};
use super::facts::{Facts, SincePermit};
use super::host::{ContractFile, Host, OfHost};
use super::policy;
use super::providers;
use super::range::{Base, Range};
use crate::environment_history::EnvironmentHistory;
use crate::person::accounts;
use crate::principal::Principal;
use crate::setting::Setting;
use github::{GitHub, PullCommit};
use kit::Cx;
use kit::host::Kind;
use ledger::LOOK_BACK;
use net::Net;

/// The host's description of this run.
pub(super) async fn host(cx: &Cx, net: &Net, setting: &Setting) -> Host {
    let run = match cx.host.kind() {
        Kind::GitHub => OfHost::GitHub {
            id: cx.env.get("GITHUB_RUN_ID").and_then(|id| id.parse().ok()),
        },
        Kind::CodeBuild => OfHost::CodeBuild {
            build: cx
                .env
                .get("CODEBUILD_BUILD_ID")
                .unwrap_or("this build")
                .to_owned(),
            commit: match cx.host.commit() {
                Ok(Some(commit)) => Some(commit.to_string()),
                Ok(None) | Err(_) => None,
            },
            principal: Principal::of_run(cx, net, setting).await,
        },
        Kind::Terminal => OfHost::Terminal {
            principal: Principal::of_run(cx, net, setting).await,
        },
    };
    let contract = ContractFile::of(setting);
    let file = contract.as_ref().zip(setting.infrastructure.as_ref());
    Host {
        run,
        lock_file: file.map(|(file, folder)| providers::path(&file.path, folder)),
        contract,
    }
}

/// Collects all facts. A fact that cannot be determined is `Unknown`.
pub(super) async fn facts(
    github: &GitHub,
    host: &Host,
    setting: &Setting,
    subject: &Subject,
    history: &EnvironmentHistory,
) -> Facts {
    let Some(commit) = &subject.commit else {
        let (run, promoter) = run_and_promoter(github, host, setting).await;
        return Facts {
            repository: Some(github.repository().as_str().to_owned()),
            promoter,
            run,
            ..Facts::none()
        };
    };
    let of_the_branch = async {
        let (tip, (run, promoter)) = tokio::join!(
            github.tip(&setting.gate.branch),
            run_and_promoter(github, host, setting)
        );
        let tip = tip.map_err(Unknown::from);
        let (on_branch, since_permit, policy) = tokio::join!(
            on_branch(github, commit.as_str(), &tip),
            since_permit(github, history, &tip),
            policy::observe(github, host, &tip, &run)
        );
        (run, promoter, (on_branch, since_permit, tip), policy)
    };
    let ((run, promoter, (on_branch, since_permit, tip), policy), history) = tokio::join!(
        of_the_branch,
        range(github, host, setting, subject.base.clone(), commit.as_str())
    );
    Facts {
        on_branch,
        tip,
        since_permit,
        repository: Some(github.repository().as_str().to_owned()),
        range: history.range,
        changes: history.changes,
        accepted: history.accepted,
        providers: history.providers,
        promoter,
        run,
        policy,
    }
}

/// How the branch's newest commit stands to the promoted one.
async fn on_branch(github: &GitHub, commit: &str, tip: &Fact<String>) -> Fact<String> {
    let tip = tip.as_ref().map_err(Clone::clone)?;
    Ok(github.compare(commit, tip).await?.status)
}

/// How the branch stands to the one that the newest permit was judged at, if one says so.
///
/// # Errors
/// GitHub does not tell, or the permit may be among older records than those that were read.
async fn since_permit(
    github: &GitHub,
    history: &EnvironmentHistory,
    tip: &Fact<String>,
) -> Option<Fact<SincePermit>> {
    let Some((permit, then)) = history.judged_at() else {
        let unseen = || {
            Unknown::new(
                format!(
                    "none of the newest {LOOK_BACK} records says at which commit of the branch it was judged"
                ),
                "promote once by break-glass, and have that reviewed",
            )
        };
        return (!history.reaches_back()).then(|| Err(unseen()));
    };
    let status = async {
        let tip = tip.as_ref().map_err(Clone::clone)?;
        match tip == then {
            true => Ok("identical".to_owned()),
            false => Ok(github.compare(then, tip).await?.status),
        }
    };
    Some(status.await.map(|status| SincePermit {
        permit,
        then: then.to_owned(),
        status,
    }))
}

/// The facts about the commits that a promotion brings.
struct History {
    range: Fact<Range>,
    changes: Fact<Vec<Change>>,
    accepted: Fact<Vec<PullCommit>>,
    providers: Fact<Vec<String>>,
}

/// The commits of the promotion, the pull requests that brought them, who wrote those that came without a
/// review, and the providers that are new.
async fn range(
    github: &GitHub,
    host: &Host,
    setting: &Setting,
    base: Base,
    commit: &str,
) -> History {
    match collect::range(github, base, commit).await {
        Err(unknown) => History {
            range: Err(unknown.clone()),
            changes: Err(unknown.clone()),
            accepted: Err(unknown.clone()),
            providers: Err(unknown),
        },
        Ok(range) => {
            let (changes, accepted, providers) = tokio::join!(
                collect::changes(github, setting, &range, commit),
                collect::accepted(github, setting, &range),
                providers::observe(github, host, &range, commit)
            );
            History {
                range: Ok(range),
                changes,
                accepted,
                providers,
            }
        }
    }
}

/// The run and its promoter. On GitHub both come from the API, since anybody can set a variable of
/// the process.
async fn run_and_promoter(
    github: &GitHub,
    host: &Host,
    setting: &Setting,
) -> (RunKind, Fact<Promoter>) {
    match &host.run {
        OfHost::GitHub { .. } => {
            let run = host.workflow(github).await;
            let promoter = run.clone().and_then(|run| {
                let source = format!("according to GitHub's record of run {}", run.id);
                let mut accounts = accounts(run)?.to_vec();
                accounts.dedup_by_key(|user| user.id);
                Ok(Promoter { accounts, source })
            });
            (RunKind::GitHub(run), promoter)
        }
        OfHost::CodeBuild {
            build, principal, ..
        } => {
            let promoter = mapped(github, setting, principal).await;
            (RunKind::CodeBuild(format!("build {build}")), promoter)
        }
        OfHost::Terminal { principal } => {
            let promoter = mapped(github, setting, principal).await;
            (RunKind::Terminal, promoter)
        }
    }
}

/// The GitHub account of an AWS principal, by the contract's `people`.
async fn mapped(github: &GitHub, setting: &Setting, principal: &Principal) -> Fact<Promoter> {
    let login = principal.login(&setting.people)?;
    let correct = || format!("correct {login} under `people` in the contract");
    let account = github.permission(&login).await?.user;
    let account = account
        .ok_or_else(|| Unknown::new(format!("GitHub returns no account for {login}"), correct()))?;
    let listed = setting.people.get(&login).and_then(|person| person.id);
    if let Some(id) = listed.filter(|id| *id != account.id) {
        return Err(Unknown::new(
            format!(
                "the login {login} belongs to account {}, and the contract lists account {id}",
                account.id
            ),
            correct(),
        ));
    }
    Ok(Promoter {
        accounts: vec![account],
        source: format!("listed in the contract as {principal}"),
    })
}
