//! The part of the contract by which the changes of an environment are judged. None of it needs the value of a variable, which
//! GitHub gives no run for a pull request from a fork.

use super::declared::{Declared, Environment, EnvironmentKey};
use super::model::{Gate, Person, StandsFor};
use super::template::Template;
use super::{Contract, check, gate, person, resolve};
use serde::Serialize;
use std::collections::BTreeMap;

/// The rules by which the changes of one environment are judged, references not followed.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The service's name.
    pub service: String,
    /// The environment a digest must have been healthy in before it may come here.
    pub follows: Option<String>,
    /// The conditions of a promotion to this environment.
    pub gate: Gate,
    /// The people, by GitHub login.
    pub people: BTreeMap<String, Person>,
    /// Whom each app stands for, by the number of its GitHub account.
    pub apps: BTreeMap<u64, StandsFor>,
    /// The keys and buckets that prove the evidence of a promotion, by their names under `build`, as written there.
    pub build: BTreeMap<&'static str, String>,
    /// The account that the environment lives in, or the `var:NAME` that gives it.
    pub account: String,
    /// Folder of the infrastructure code, relative to the contract's folder.
    pub infrastructure: String,
    /// The path that the contract had before in its repository, if it was moved.
    #[serde(rename = "moved-from")]
    pub moved_from: Option<String>,
    /// The contract's text, byte for byte as it was parsed.
    #[serde(skip)]
    pub contract: String,
    /// Its path in its repository.
    #[serde(skip)]
    pub contract_path: String,
}

/// The part of the contract by which the changes of one of its environments are judged.
pub(super) fn judged(
    declared: &Declared,
    (name, environment): &(EnvironmentKey, Environment),
    contract: &Contract,
) -> Judged {
    let service = &declared.service.value.0;
    let shown = |template: &Template| check::shown(template, service, &name.value.0);
    let follows = environment.follows.as_ref();
    Judged {
        service: service.clone(),
        follows: follows.map(|name| name.value.0.clone()),
        gate: gate::gate(environment),
        people: person::people(declared),
        apps: person::apps(declared),
        build: build(declared, shown),
        account: shown(&environment.account.value.0),
        infrastructure: resolve::infrastructure(declared, environment),
        moved_from: resolve::moved_from(declared),
        contract: contract.text.clone(),
        contract_path: contract.repository_path.clone(),
    }
}

fn build(
    declared: &Declared,
    shown: impl Fn(&Template) -> String,
) -> BTreeMap<&'static str, String> {
    let build = &declared.build;
    let keys = build.keys.as_ref();
    let anchor = build.anchor.as_ref();
    let templates = [
        ("account", Some(&build.account.value.0)),
        ("ledger", build.ledger.as_ref().map(|it| &it.value.0)),
        (
            "keys.ledger",
            keys.and_then(|keys| keys.ledger.as_ref())
                .map(|it| &it.value.0),
        ),
        (
            "keys.provenance",
            keys.and_then(|keys| keys.provenance.as_ref())
                .map(|it| &it.value.0),
        ),
        ("anchor.bucket", anchor.map(|anchor| &anchor.bucket.value.0)),
        (
            "anchor.prefix",
            anchor
                .and_then(|anchor| anchor.prefix.as_ref())
                .map(|it| &it.value.0),
        ),
    ];
    let written = templates.into_iter();
    let written = written.filter_map(|(name, template)| Some((name, shown(template?))));
    let workflow = build.workflow.as_ref().map(|path| path.value.0.clone());
    let project = build.project.as_ref().map(|name| name.value.0.clone());
    let prebuilt = build.prebuilt.as_ref().map(|it| it.value.to_string());
    let more = [
        ("workflow", workflow),
        ("project", project),
        ("prebuilt", prebuilt),
    ];
    let more = more.into_iter();
    let more = more.filter_map(|(name, value)| Some((name, value?)));
    written.chain(more).collect()
}
