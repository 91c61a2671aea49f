//! The rule `provenance`: a statement that only a build can have signed says that the image is the
//! commit's. The ledger's word is not enough, because jobs that also run the user's code write it.

use super::Subject;
use super::answer::{Finding, Rule, fail, not_asked, not_examined, pass, unknown};
use super::fact::{Fact, Unknown};
use super::proofs::Proofs;
use crate::setting::Setting;
use attest::{Builder, Origin, Provenance, PublicKey};
use kit::Cx;
use kit::aws::{AccountId, Arn};
use kit::error::Error;
use kit::host::Kind;
use kit::id::{CommitId, Digest};
use net::Net;

/// The rule's name in the report.
pub(super) const NAME: &str = "provenance";

/// The provenance that was found, and the key that it is checked with.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: PublicKey,
    /// The source's repository, as provenance names it.
    pub(super) repository: String,
    /// The manifest that holds the provenance, if there is one.
    pub(super) manifest: Option<Vec<u8>>,
}

/// Reads the key and the provenance; `None` if the contract asks for none, or no commit is known.
pub(super) async fn observe(
    cx: &Cx,
    net: &Net,
    setting: &Setting,
    subject: &Subject,
    github_repository: Option<&str>,
) -> Option<Fact<Found>> {
    let proofs = setting.proofs.as_ref()?;
    let commit = subject.commit.as_ref()?;
    if setting.asks_nothing() {
        return None;
    }
    let repository = match repository(cx, github_repository) {
        Some(repository) => repository,
        None => {
            return Some(Err(Unknown::new(
                "the repository of this run is not known",
                "give --github-repository OWNER/NAME",
            )));
        }
    };
    let found = read(net, setting, proofs, &subject.digest, commit, repository).await;
    Some(found.map_err(|error| unread(&error)))
}

async fn read(
    net: &Net,
    setting: &Setting,
    proofs: &Proofs,
    image: &Digest,
    commit: &CommitId,
    repository: String,
) -> Result<Found, Error> {
    let account = net.account(&setting.ledger_reader).await?;
    let images = setting.image_repository.as_deref().unwrap_or_default();
    let (key, manifest) = tokio::join!(
        attest::public_key(net, &account, &proofs.key),
        attest::find(net, &account, images, image, commit)
    );
    Ok(Found {
        key: key?,
        repository,
        manifest: manifest?,
    })
}

fn unread(error: &Error) -> Unknown {
    let next = match error.hints.first() {
        Some(hint) => hint.clone(),
        None => "run this again".to_owned(),
    };
    Unknown::new(error.line(), next)
}

/// The repository that this run is of, as provenance names it: on a host that says so, its own, since the
/// caller must not choose what the image is compared with.
fn repository(cx: &Cx, github_repository: Option<&str>) -> Option<String> {
    let server = cx
        .env
        .get("GITHUB_SERVER_URL")
        .unwrap_or("https://github.com");
    let named = |name: &str| attest::repository(&format!("{server}/{name}"));
    let given = github_repository.and_then(named);
    match cx.host.kind() {
        Kind::GitHub => cx.env.get("GITHUB_REPOSITORY").and_then(named),
        Kind::CodeBuild => cx
            .env
            .get("CODEBUILD_SOURCE_REPO_URL")
            .and_then(attest::repository)
            .or(given),
        Kind::Terminal => given.or_else(|| cx.env.get("GITHUB_REPOSITORY").and_then(named)),
    }
}

/// The rule with its answer. Pure.
pub(super) fn rule(setting: &Setting, subject: &Subject, found: Option<&Fact<Found>>) -> Rule {
    let finding = finding(setting, subject, found);
    Rule {
        rule: NAME,
        answer: finding.answer,
        fact: finding.fact,
        next: finding.next,
        permission: finding.permission,
    }
}

fn finding(setting: &Setting, subject: &Subject, found: Option<&Fact<Found>>) -> Finding {
    let Some(proofs) = &setting.proofs else {
        return not_asked(
            "no key is named under `build.keys.provenance`, so only the ledger says which commit the image is of",
        );
    };
    if setting.asks_nothing() {
        return not_asked(format!("{} has no gate", setting.environment));
    }
    let (Some(commit), Some(found)) = (&subject.commit, found) else {
        return not_examined("no commit is known for this digest");
    };
    match found {
        Err(reason) => unknown(reason),
        Ok(found) => judge(setting, proofs, &subject.digest, commit, found),
    }
}

fn judge(
    setting: &Setting,
    proofs: &Proofs,
    image: &Digest,
    commit: &CommitId,
    found: &Found,
) -> Finding {
    let again = "publish a new commit with the build workflow, and promote that";
    let Some(manifest) = &found.manifest else {
        return fail(
            format!("the image has no provenance for commit {commit}"),
            again,
        );
    };
    let provenance = match attest::verified(manifest, &found.key, image, &found.repository) {
        Ok(provenance) => provenance,
        Err(why) => {
            return fail(
                format!("the image's provenance does not verify: {why}"),
                again,
            );
        }
    };
    if provenance.commit != *commit {
        let fact = format!("the image's provenance is for commit {}", provenance.commit);
        return fail(fact, again);
    }
    match built_by(&provenance, &setting.gate.branch, proofs) {
        Ok(by) => pass(format!("signed by {}: {by}", proofs.key)),
        Err(why) => fail(why.to_string(), again),
    }
}

/// Why provenance does not show that the image was built as and by whom the contract says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unacceptable {
    /// It says nothing of how the image came to be, or says it in a newer version's words.
    #[error("the image's provenance does not say how it was built")]
    OriginUnknown,
    #[error(
        "the image was built by another tool and not compared with the commit, and the contract does not say `build: {{prebuilt: true}}`"
    )]
    Prebuilt,
    #[error("the image was published with --allow-unverified, and is not shown to be the commit's")]
    Unverified,
    #[error("the image was built on {built}, not on {wanted}")]
    OtherRef { built: String, wanted: String },
    #[error("the image was built by {built}, not by {wanted}")]
    OtherWorkflow { built: String, wanted: String },
    #[error("the image was built in {build}, which is not a build of account {wanted}")]
    OtherAccount { build: String, wanted: AccountId },
    #[error("the image was built in {build}, not by {wanted}")]
    OtherProject { build: String, wanted: String },
    #[error("the image was published at a terminal")]
    AtATerminal,
}

/// How the image was built, if by whom the contract says.
fn built_by(
    provenance: &Provenance,
    branch: &str,
    proofs: &Proofs,
) -> Result<String, Unacceptable> {
    let origin = match (&provenance.origin, &provenance.built_for) {
        (Origin::Commit, _) => "built from the commit".to_owned(),
        (Origin::SameContent, Some(first)) => {
            format!("built for commit {first}, which has the same content")
        }
        (Origin::SameContent, None) | (Origin::Other, _) => {
            return Err(Unacceptable::OriginUnknown);
        }
        (Origin::Prebuilt, _) if proofs.prebuilt => {
            "built by another tool, not compared with the commit".to_owned()
        }
        (Origin::Prebuilt, _) => return Err(Unacceptable::Prebuilt),
        (Origin::Unverified, _) => return Err(Unacceptable::Unverified),
    };
    match &provenance.builder {
        Builder::Workflow {
            path, git_ref, run, ..
        } => {
            let wanted = format!("refs/heads/{branch}");
            if *git_ref != wanted {
                let built = git_ref.clone();
                return Err(Unacceptable::OtherRef { built, wanted });
            }
            if !proofs.names(proofs.workflow.as_ref(), path) {
                return Err(Unacceptable::OtherWorkflow {
                    built: path.clone(),
                    wanted: proofs.builders(),
                });
            }
            Ok(format!("{origin} by {path} on {branch}, in {run}"))
        }
        Builder::CodeBuild { build } => {
            let arn: Option<Arn> = build.parse().ok();
            let ours = arn.is_some_and(|arn| {
                arn.service == "codebuild" && arn.account.as_ref() == Some(&proofs.account)
            });
            if !ours {
                return Err(Unacceptable::OtherAccount {
                    build: build.clone(),
                    wanted: proofs.account.clone(),
                });
            }
            if !proofs.names(proofs.project.as_ref(), project_of(build)) {
                return Err(Unacceptable::OtherProject {
                    build: build.clone(),
                    wanted: proofs.builders(),
                });
            }
            Ok(format!("{origin} in {build}"))
        }
        Builder::Terminal => Err(Unacceptable::AtATerminal),
    }
}

/// The project of `arn:…:build/PROJECT:ID`; empty where there is none.
fn project_of(build: &str) -> &str {
    let named = build.rsplit_once(":build/").map(|(_, named)| named);
    let named = named.and_then(|named| named.split_once(':'));
    named.map_or("", |(project, _)| project)
}

#[cfg(test)]
pub(in crate::check) mod tests;
