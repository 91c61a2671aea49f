use super::*;
use crate::check::answer::Answer;
use crate::check::range::Base;
use crate::check::tests::setting;
use crate::check::trail::Trail;
use attest::{Artifact, Envelope, Image, Signer};
use kit::contract::Build;

const REPOSITORY: &str = "https://github.com/acme/storefront";

fn subject() -> Subject {
    Subject {
        digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        commit: Some("2".repeat(40).parse().unwrap()),
        evidence: None,
        trail: Trail::default(),
        built_for: None,
        plan: None,
        base: Base::Nothing,
    }
}

pub(in crate::check) fn proofs() -> Proofs {
    Proofs {
        key: "alias/slipway-provenance".parse().unwrap(),
        account: "111111111111".parse().unwrap(),
        workflow: Some(".github/workflows/deliver.yml".to_owned()),
        project: None,
        prebuilt: false,
    }
}

fn asked() -> Setting {
    Setting {
        proofs: Some(proofs()),
        ..setting()
    }
}

/// Provenance that passes.
pub(in crate::check) fn good(subject: &Subject) -> Provenance {
    Provenance {
        digest: subject.digest.clone(),
        image: "host/storefront".to_owned(),
        repository: REPOSITORY.to_owned(),
        commit: subject.commit.clone().unwrap(),
        tree: None,
        content_key: None,
        built_for: None,
        origin: Origin::Commit,
        builder: workflow(".github/workflows/deliver.yml", "refs/heads/main"),
        at: "2026-11-21T18:00:00Z".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn workflow(path: &str, git_ref: &str) -> Builder {
    Builder::Workflow {
        path: path.to_owned(),
        git_ref: git_ref.to_owned(),
        event: "push".to_owned(),
        run: "https://github.com/acme/storefront/actions/runs/7/attempts/1".to_owned(),
    }
}

fn build(account: &str) -> Builder {
    Builder::CodeBuild {
        build: format!("arn:aws:codebuild:eu-west-1:{account}:build/deliver:0f-1"),
    }
}

/// Provenance that `signer` signed, as it is found where the key of `trusted` is named.
pub(in crate::check) async fn found(
    provenance: &Provenance,
    signer: &Signer,
    trusted: &Signer,
) -> Found {
    let envelope = attest::envelope(provenance, signer).await.unwrap();
    let image = Image {
        digest: provenance.digest.clone(),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: 7,
    };
    Found {
        key: trusted.public_key().clone(),
        repository: REPOSITORY.to_owned(),
        manifest: Some(Artifact::new(&image, &provenance.commit, &envelope).manifest),
    }
}

/// One table, as long as there are cases.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn only_what_the_contracts_builder_signed_about_this_commit_passes() {
    let (signer, subject) = (Signer::local(), subject());
    let of = |change: &dyn Fn(&mut Provenance)| {
        let mut provenance = good(&subject);
        change(&mut provenance);
        provenance
    };
    let other_digest: Digest = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
    let other_commit: CommitId = "9".repeat(40).parse().unwrap();
    let table = [
        (
            of(&|_| {}),
            Answer::Pass,
            "built from the commit by .github/workflows/deliver.yml on main",
        ),
        (
            of(&|provenance| {
                provenance.origin = Origin::SameContent;
                provenance.built_for = Some("7".repeat(40).as_str().into());
            }),
            Answer::Pass,
            "built for commit 7777777",
        ),
        (
            of(&|provenance| provenance.origin = Origin::Prebuilt),
            Answer::Fail,
            "does not say `build: {prebuilt: true}`",
        ),
        (
            of(&|provenance| provenance.origin = Origin::Unverified),
            Answer::Fail,
            "published with --allow-unverified",
        ),
        (
            of(&|provenance| provenance.builder = build("111111111111")),
            Answer::Fail,
            "the image was built in arn:aws:codebuild:eu-west-1:111111111111:build/deliver:0f-1, not by .github/workflows/deliver.yml",
        ),
        (
            of(&|provenance| provenance.digest = other_digest.clone()),
            Answer::Fail,
            "for image sha256:bbb",
        ),
        (
            of(&|provenance| provenance.commit = other_commit.clone()),
            Answer::Fail,
            "for commit 999",
        ),
        (
            of(&|provenance| provenance.repository = "https://github.com/acme/other".to_owned()),
            Answer::Fail,
            "for repository https://github.com/acme/other",
        ),
        (
            of(&|provenance| {
                provenance.repository = "https://github.example/acme/storefront".to_owned()
            }),
            Answer::Fail,
            "for repository https://github.example/acme/storefront",
        ),
        (
            of(&|provenance| {
                provenance.builder = workflow(".github/workflows/deliver.yml", "refs/heads/x")
            }),
            Answer::Fail,
            "built on refs/heads/x, not on refs/heads/main",
        ),
        (
            of(&|provenance| {
                provenance.builder = workflow(".github/workflows/deliver.yml", "refs/tags/main")
            }),
            Answer::Fail,
            "built on refs/tags/main",
        ),
        (
            of(&|provenance| {
                provenance.builder = workflow(".github/workflows/other.yml", "refs/heads/main")
            }),
            Answer::Fail,
            "built by .github/workflows/other.yml, not by .github/workflows/deliver.yml",
        ),
        (
            of(&|provenance| provenance.builder = build("222222222222")),
            Answer::Fail,
            "not a build of account 111111111111",
        ),
        (
            of(&|provenance| provenance.builder = Builder::Terminal),
            Answer::Fail,
            "at a terminal",
        ),
        (
            of(&|provenance| provenance.origin = Origin::Other),
            Answer::Fail,
            "does not say how",
        ),
    ];
    for (provenance, answer, fact) in table {
        let found = found(&provenance, &signer, &signer).await;
        let rule = rule(&asked(), &subject, Some(&Ok(found)));
        assert_eq!(rule.answer, answer, "{fact}: {rule:?}");
        assert!(rule.fact.contains(fact), "{fact}: {rule:?}");
        assert_eq!(rule.next.is_some(), answer == Answer::Fail, "{rule:?}");
    }
}

/// A good signature does not make provenance of what it is over.
#[tokio::test]
async fn what_the_key_signed_and_is_not_provenance_fails() {
    const KIND: &str = "application/vnd.in-toto+json";
    let (signer, subject) = (Signer::local(), subject());
    let provenance = good(&subject);
    let statement = provenance.to_json();
    let other = statement.replace("slsa.dev/provenance/v1", "slsa.dev/verification_summary/v1");
    let signed = async |kind: &str, payload: &str| {
        let payload = payload.as_bytes();
        let signature = signer.sign(kind, payload).await.unwrap();
        let envelope = Envelope::new(kind, payload, signature);
        let image = Image {
            digest: provenance.digest.clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: 7,
        };
        let found = Found {
            key: signer.public_key().clone(),
            repository: REPOSITORY.to_owned(),
            manifest: Some(Artifact::new(&image, &provenance.commit, &envelope).manifest),
        };
        rule(&asked(), &subject, Some(&Ok(found)))
    };
    assert_eq!(signed(KIND, &statement).await.answer, Answer::Pass);
    for (kind, payload) in [
        (KIND, other.as_str()),
        (KIND, &statement[1..]),
        (KIND, "[]"),
        ("text/plain", &statement),
    ] {
        let rule = signed(kind, payload).await;
        assert_eq!(rule.answer, Answer::Fail, "{kind} {payload}: {rule:?}");
    }
}

#[tokio::test]
async fn another_key_and_no_provenance_fail() {
    let (signer, stranger, subject) = (Signer::local(), Signer::local(), subject());
    let forged = found(&good(&subject), &stranger, &signer).await;
    let mut none = found(&good(&subject), &signer, &signer).await;
    none.manifest = None;
    for (found, fact) in [
        (forged, "does not verify: it is not signed by the key"),
        (none, "the image has no provenance for commit"),
    ] {
        let rule = rule(&asked(), &subject, Some(&Ok(found)));
        assert_eq!(rule.answer, Answer::Fail);
        assert!(rule.fact.contains(fact), "{rule:?}");
    }
}

/// A builder that the contract names is the only one, unless it names one of each kind.
#[tokio::test]
async fn only_the_builders_that_the_contract_names_count() {
    const WORKFLOW: &str = ".github/workflows/deliver.yml";
    let (signer, subject) = (Signer::local(), subject());
    let by_workflow = || workflow(WORKFLOW, "refs/heads/main");
    for (workflow, project, by_workflow_counts, by_build_counts) in [
        (None, None, true, true),
        (Some(WORKFLOW), None, true, false),
        (None, Some("deliver"), false, true),
        (Some(WORKFLOW), Some("deliver"), true, true),
        (None, Some("deliver-2"), false, false),
    ] {
        let mut setting = asked();
        let proofs = setting.proofs.as_mut().unwrap();
        proofs.workflow = workflow.map(str::to_owned);
        proofs.project = project.map(str::to_owned);
        for (builder, counts) in [
            (by_workflow(), by_workflow_counts),
            (build("111111111111"), by_build_counts),
        ] {
            let mut provenance = good(&subject);
            provenance.builder = builder;
            let found = found(&provenance, &signer, &signer).await;
            let rule = rule(&setting, &subject, Some(&Ok(found)));
            let wanted = if counts { Answer::Pass } else { Answer::Fail };
            assert_eq!(rule.answer, wanted, "{workflow:?} {project:?}: {rule:?}");
        }
    }
}

#[tokio::test]
async fn any_workflow_of_the_branch_will_do_where_none_is_named() {
    let (signer, subject) = (Signer::local(), subject());
    let mut setting = asked();
    setting.proofs.as_mut().unwrap().workflow = None;
    let mut provenance = good(&subject);
    provenance.builder = workflow(".github/workflows/other.yml", "refs/heads/main");
    let found = found(&provenance, &signer, &signer).await;
    assert_eq!(
        rule(&setting, &subject, Some(&Ok(found))).answer,
        Answer::Pass
    );
}

#[test]
fn unreadable_provenance_is_unknown_and_names_the_permission() {
    let error = Error::failed("cannot read the provenance in repository storefront")
        .hint("role/slipway-permit needs ecr:BatchGetImage on repository storefront");
    let rule = rule(&asked(), &subject(), Some(&Err(unread(&error))));
    assert_eq!(rule.answer, Answer::Unknown);
    assert!(
        rule.next.as_ref().unwrap().contains("ecr:BatchGetImage"),
        "{rule:?}"
    );
}

#[test]
fn without_a_key_or_a_gate_nothing_is_asked_and_the_report_says_so() {
    let none = rule(&setting(), &subject(), None);
    assert_eq!(none.answer, Answer::NotAsked);
    assert!(none.fact.contains("only the ledger says"), "{none:?}");
    let mut open = asked();
    open.follows = None;
    open.gate.required = false;
    assert_eq!(rule(&open, &subject(), None).answer, Answer::NotAsked);
    let mut unknown = subject();
    unknown.commit = None;
    assert_eq!(rule(&asked(), &unknown, None).answer, Answer::Unknown);
}

#[tokio::test]
async fn an_image_of_another_tool_passes_where_the_contract_says_so_and_an_unverified_one_never() {
    let (signer, subject) = (Signer::local(), subject());
    let mut accepting = asked();
    accepting.proofs.as_mut().unwrap().prebuilt = true;
    for (origin, answer) in [
        (Origin::Prebuilt, Answer::Pass),
        (Origin::Unverified, Answer::Fail),
    ] {
        let mut provenance = good(&subject);
        provenance.origin = origin;
        let found = found(&provenance, &signer, &signer).await;
        let rule = rule(&accepting, &subject, Some(&Ok(found)));
        assert_eq!(rule.answer, answer, "{rule:?}");
    }
}

#[test]
fn provenance_is_asked_where_the_contract_names_its_key() {
    let role = |name: &str| format!("arn:aws:iam::111111111111:role/{name}");
    let mut build = Build {
        account: "111111111111".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        read: role("read").parse().unwrap(),
        publish: role("publish").parse().unwrap(),
        ledger: "ledger".to_owned(),
        keys: kit::contract::Keys {
            ledger: None,
            provenance: Some(proofs().key),
        },
        anchor: None,
        workflow: proofs().workflow,
        project: None,
        prebuilt: false,
    };
    let asked = Proofs::of(&build).unwrap();
    let of = |it: &Proofs| serde_json::to_value(it).unwrap();
    assert_eq!(of(&asked), of(&proofs()));
    build.prebuilt = true;
    assert!(Proofs::of(&build).unwrap().prebuilt);
    build.keys.provenance = None;
    assert!(Proofs::of(&build).is_none());
}
