//! Decides whether the rules that judge are the branch's own: the contract and the workflow of its newest commit.
//!
//! A run keeps the commit that it was started with. A run that is run again, or that waited, would judge by the
//! contract and with the workflow of that day, whatever was tightened since. A merge that lands while a
//! promotion runs is not a reason to refuse it, so the files are compared and not the commits alone.
//!
//! A job can check out any commit, and write any file. So the contract is compared by the bytes that were parsed,
//! whatever commit the run is of.

use super::fact::{Fact, RunKind, Unknown};
use super::host::{ContractFile, Host, OfHost};
use super::people::short;
use github::GitHub;
use kit::hex;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// How the commit and the contract of a run stand to the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The run's commit.
    pub(crate) commit: String,
    /// The branch's newest commit.
    pub(crate) tip: String,
    pub(crate) position: CommitPosition,
    /// The contract that judges, if one is read.
    pub(crate) contract: Option<Judging>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommitPosition {
    /// It is the newest commit.
    Newest,
    /// It is on the branch, and has these files as the newest commit has them.
    Same(Vec<String>),
    /// It is on the branch, and has these files otherwise.
    Differs(Vec<String>),
    /// It is not on the branch.
    Elsewhere,
}

/// The contract that was parsed beside the one of the branch's newest commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judging {
    /// Its path in the repository.
    pub(crate) path: String,
    /// The ID that git gives the bytes that were parsed.
    pub(crate) own: String,
    /// The ID of the file in the branch's newest commit, if it has one.
    pub(crate) newest: Option<String>,
    /// True if they differ in their line endings alone, which git converts on request.
    pub(crate) converted: bool,
}

impl Judging {
    /// Returns true if the bytes that were parsed are the branch's.
    pub(crate) fn is_the_branchs(&self) -> bool {
        self.newest.as_ref() == Some(&self.own)
    }
}

/// Compares the run's commit and its contract with the branch's newest. At a terminal, which has no commit, the contract alone is
/// compared. `None` where there is neither.
pub(super) async fn observe(
    github: &GitHub,
    host: &Host,
    tip: &Fact<String>,
    run: &RunKind,
) -> Option<Fact<Policy>> {
    let contract = host.contract.as_ref();
    let (commit, workflow) = match run {
        RunKind::Terminal => {
            contract?;
            (tip.clone().unwrap_or_default(), None)
        }
        RunKind::GitHub(Err(unknown)) => return Some(Err(unknown.clone())),
        RunKind::GitHub(Ok(run)) => (run.head_sha.clone(), Some(run.file().to_owned())),
        RunKind::CodeBuild(build) => match &host.run {
            OfHost::CodeBuild {
                commit: Some(commit),
                ..
            } => (commit.clone(), None),
            // Without a contract the project itself says what is asked.
            _ if contract.is_none() => return None,
            _ => {
                return Some(Err(Unknown::new(
                    format!("{build} does not name the commit that its contract is of"),
                    "give the CodeBuild project the repository as its source",
                )));
            }
        },
    };
    Some(match tip {
        Err(unknown) => Err(unknown.clone()),
        Ok(tip) => compared(github, tip, commit, contract, workflow).await,
    })
}

/// Compares a commit, the contract that was parsed and the workflow that runs with the branch's newest commit.
pub(super) async fn compared(
    github: &GitHub,
    tip: &str,
    commit: String,
    contract: Option<&ContractFile>,
    workflow: Option<String>,
) -> Fact<Policy> {
    let at = |commit: &str, path: &str| (commit.to_owned(), path.to_owned());
    // The workflow that runs is the one of the run's commit.
    let workflow = workflow.filter(|_| commit != tip);
    let workflow = workflow.as_deref();
    let versions: Vec<(String, String)> = contract
        .map(|contract| at(tip, &contract.path))
        .into_iter()
        .chain(
            workflow
                .into_iter()
                .flat_map(|it| [at(&commit, it), at(tip, it)]),
        )
        .collect();
    let files: Vec<&str> = contract
        .map(|it| it.path.as_str())
        .into_iter()
        .chain(workflow)
        .collect();
    let action = format!("read {} as the branch has them", files.join(" and "));
    let is_on_the_branch = async {
        match commit == tip {
            true => Ok(true),
            false => github
                .compare(&commit, tip)
                .await
                .map(|it| it.status == "ahead"),
        }
    };
    let (on_the_branch, oids) = tokio::join!(is_on_the_branch, github.oids(&versions, &action));
    let on_the_branch = on_the_branch?;
    let mut oids = oids?.into_iter();
    let contract = contract.map(|contract| {
        let newest = oids.next().flatten();
        let as_committed = contract.text.replace("\r\n", "\n");
        Judging {
            path: contract.path.clone(),
            own: blob(contract.text.as_bytes(), tip),
            converted: as_committed != contract.text
                && newest.as_ref() == Some(&blob(as_committed.as_bytes(), tip)),
            newest,
        }
    });
    let position = match (on_the_branch, commit == tip, workflow) {
        (false, _, _) => CommitPosition::Elsewhere,
        (true, true, _) => CommitPosition::Newest,
        (true, false, workflow) => {
            let oids: Vec<Option<String>> = oids.collect();
            let files = workflow.map(str::to_owned).into_iter().collect();
            position(files, &oids, (short(&commit), short(tip)))?
        }
    };
    Ok(Policy {
        commit,
        tip: tip.to_owned(),
        position,
        contract,
    })
}

/// The ID that git gives a file of these bytes, in a repository whose IDs are like this commit's.
fn blob(bytes: &[u8], commit: &str) -> String {
    let algorithm = match commit.len() {
        64 => &SHA256,
        _ => &SHA1_FOR_LEGACY_USE_ONLY,
    };
    let mut context = Context::new(algorithm);
    context.update(format!("blob {}\0", bytes.len()).as_bytes());
    context.update(bytes);
    hex::encode(context.finish())
}

/// How a run's files stand to the branch's, by the objects that GitHub shows of each: the run's, then
/// the branch's. A file that the branch has no more was moved or removed there.
fn position(
    files: Vec<String>,
    oids: &[Option<String>],
    (commit, tip): (&str, &str),
) -> Fact<CommitPosition> {
    let mut differing = Vec::new();
    for (file, oids) in files.iter().zip(oids.chunks(2)) {
        match oids {
            [Some(own), Some(newest)] if own == newest => {}
            [Some(_), _] => differing.push(file.clone()),
            _ => {
                return Err(Unknown::new(
                    format!("GitHub does not show {file} of {commit}, which this run is of"),
                    format!("start a new run; the branch's newest commit is {tip}"),
                ));
            }
        }
    }
    Ok(match differing.is_empty() {
        true => CommitPosition::Same(files),
        false => CommitPosition::Differs(differing),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::principal;

    fn host(run: OfHost, contract: Option<&str>) -> Host {
        Host {
            run,
            contract: contract.map(|path| ContractFile {
                path: path.to_owned(),
                text: "version: 1\n".to_owned(),
            }),
            lock_file: None,
        }
    }

    fn build(commit: Option<&str>) -> OfHost {
        OfHost::CodeBuild {
            build: "deliver:7".to_owned(),
            commit: commit.map(str::to_owned),
            principal: principal(None),
        }
    }

    /// Whose commit the run is of, where GitHub answers nothing else.
    #[tokio::test]
    async fn a_run_is_of_a_commit_or_unknown() {
        const TIP: &str = "2222222222222222222222222222222222222222";
        let repository = github::Repository::parse("acme/storefront").unwrap();
        let unanswered = GitHub::kept(repository, Vec::new());
        let of = async |host: &Host, tip: Fact<String>, run: RunKind| {
            observe(&unanswered, host, &tip, &run).await
        };
        let tip = || Ok(TIP.to_owned());
        let contract = Some("delivery.yaml");
        let workflow = |sha: &str| {
            let run = serde_json::json!({
                "id": 5, "event": "workflow_dispatch", "path": ".github/workflows/promote.yml",
                "head_branch": "main", "head_sha": sha, "html_url": "",
            });
            RunKind::GitHub(Ok(serde_json::from_value(run).unwrap()))
        };
        let on_github = host(OfHost::GitHub { id: Some(5) }, contract);
        // Also of the newest commit, the contract is compared, which GitHub does not answer here.
        let newest = of(&on_github, tip(), workflow(TIP)).await;
        newest.unwrap().unwrap_err();
        let bare = host(OfHost::GitHub { id: Some(5) }, None);
        let newest = of(&bare, tip(), workflow(TIP)).await.unwrap().unwrap();
        assert_eq!(newest.position, CommitPosition::Newest);
        // Another commit is compared, which GitHub does not answer here.
        let older = of(&on_github, tip(), workflow(&"1".repeat(40))).await;
        older.unwrap().unwrap_err();
        let unseen = || Unknown::new("it was not seen", "let it be seen");
        let unknown = of(&on_github, Err(unseen()), workflow(TIP)).await;
        assert_eq!(unknown.unwrap().unwrap_err(), unseen());
        let unknown = of(&on_github, tip(), RunKind::GitHub(Err(unseen()))).await;
        assert_eq!(unknown.unwrap().unwrap_err(), unseen());

        let by_build = || RunKind::CodeBuild("build deliver:7".to_owned());
        let known = host(build(Some(TIP)), contract);
        of(&known, tip(), by_build()).await.unwrap().unwrap_err();
        let newest = of(&host(build(Some(TIP)), None), tip(), by_build()).await;
        let newest = newest.unwrap().unwrap();
        assert_eq!(
            (newest.position, newest.contract),
            (CommitPosition::Newest, None)
        );
        let nameless = of(&host(build(None), contract), tip(), by_build()).await;
        let why = nameless.unwrap().unwrap_err().why;
        assert!(why.contains("does not name the commit"), "{why}");
        let without = of(&host(build(None), None), tip(), by_build()).await;
        assert_eq!(without, None);
        // A terminal has no commit, and a contract all the same.
        let at_a_terminal = || OfHost::Terminal {
            principal: principal(None),
        };
        let terminal = of(&host(at_a_terminal(), contract), tip(), RunKind::Terminal).await;
        terminal.unwrap().unwrap_err();
        let bare = of(&host(at_a_terminal(), None), tip(), RunKind::Terminal).await;
        assert_eq!(bare, None);
    }

    /// As `printf hello | git hash-object --stdin` answers, with `--object-format=sha256` for the second.
    #[test]
    fn a_blobs_id_is_gits() {
        assert_eq!(
            blob(b"hello", &"1".repeat(40)),
            "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
        );
        assert_eq!(
            blob(b"hello", &"1".repeat(64)),
            "8aec4e4876f854f688d0ebfc8f37598f38e5fd6903cccc850ca36591175aeb60"
        );
    }

    #[test]
    fn a_file_that_the_branch_has_no_more_differs() {
        let files = || vec!["delivery.yaml".to_owned(), "promote.yml".to_owned()];
        let of = |oids: [Option<&str>; 4]| {
            let oids = oids.map(|oid| oid.map(str::to_owned));
            position(files(), &oids, ("1111111", "2222222"))
        };
        let same = of([Some("a"), Some("a"), Some("b"), Some("b")]);
        assert_eq!(same.unwrap(), CommitPosition::Same(files()));
        for oids in [
            [Some("a"), Some("a"), Some("b"), Some("c")],
            [Some("a"), Some("a"), Some("b"), None],
        ] {
            let differing = vec!["promote.yml".to_owned()];
            assert_eq!(of(oids).unwrap(), CommitPosition::Differs(differing));
        }
        let unseen = of([None, Some("a"), Some("b"), Some("b")]).unwrap_err();
        assert!(
            unseen.why.contains("delivery.yaml of 1111111"),
            "{}",
            unseen.why
        );
    }
}
