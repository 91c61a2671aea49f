//! Envelopes, and the plans that they do not fit.

use super::*;
use crate::hash::hashed;
use std::time::Duration;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn state_version(serial: u64) -> Option<StateVersion> {
    Some(StateVersion {
        serial,
        lineage: "ae7d".into(),
    })
}

fn basis() -> Basis {
    Basis {
        state: "b/shop/dev/terraform.tfstate".into(),
        state_version: state_version(4),
        content: Some("c4".into()),
        commit: Some("c0ffee".into()),
        tool: "terraform 1.11.4".into(),
        providers: Some("aa".into()),
        variables: hashed("s", [("TF_VAR_domain", "a"), ("PATH", "x")].into_iter()),
        workspace: Some("blue".into()),
        options: Chosen {
            words: vec!["-destroy".into()],
            var_files: [("1. a.tfvars".to_owned(), "h".to_owned())].into(),
        },
    }
}

fn envelope() -> Envelope {
    let hour = Duration::from_secs(3600);
    Envelope::new(b"plan", "s".into(), basis(), NOW, hour)
}

#[test]
fn each_thing_that_moved_is_named_and_nothing_else() {
    let moved = |change: fn(&mut Basis)| {
        let mut seen = basis();
        change(&mut seen);
        envelope().moved(&seen, NOW)
    };
    assert_eq!(moved(|_| ()), [""; 0]);
    for (change, message) in [
        (
            (|it| it.state = "b/other".into()) as fn(&mut Basis),
            "the state: planned with b/shop/dev/terraform.tfstate, now b/other",
        ),
        (
            |it| it.state_version = state_version(5),
            "the state's serial: planned with 4, now 5",
        ),
        (
            |it| it.content = Some("c5".into()),
            "the state's content under the same serial: planned with c4, now c5",
        ),
        (
            |it| it.commit = None,
            "the commit: planned with c0ffee, now no commit",
        ),
        (
            |it| it.tool = "tofu 1.9.0".into(),
            "the tool: planned with terraform 1.11.4, now tofu 1.9.0",
        ),
        (
            |it| it.providers = None,
            "the provider lock file .terraform.lock.hcl: planned with aa, now none",
        ),
        (
            |it| it.variables = hashed("s", [("TF_VAR_domain", "b")].into_iter()),
            "the variable TF_VAR_domain: planned with another value",
        ),
        (
            |it| it.variables.clear(),
            "the variable TF_VAR_domain: planned with a value, now it is not set",
        ),
        (
            |it| it.workspace = None,
            "the workspace: planned with blue, now none",
        ),
        (
            |it| it.options.words.clear(),
            "the options: planned with --var-file a.tfvars --destroy, now --var-file a.tfvars",
        ),
        (
            |it| {
                it.options
                    .var_files
                    .insert("1. a.tfvars".into(), "other".into());
            },
            "the file of values 1. a.tfvars: planned with another value",
        ),
    ] {
        assert_eq!(moved(change), [message]);
    }
    assert_eq!(
        moved(|it| it.state_version = None),
        [
            "the state's lineage: planned with ae7d, now none",
            "the state's serial: planned with 4, now none"
        ]
    );
}

/// Earlier versions took any text as the commit.
#[test]
fn an_envelope_keeps_its_bytes_whatever_its_commit_is() {
    for commit in ["0123456789abcdef0123456789abcdef01234567", "v1.2", ""] {
        let mut kept = envelope();
        kept.basis.commit = Some(commit.into());
        let (id, object) = kept.seal(b"plan");
        let text = String::from_utf8(object.clone()).unwrap();
        assert!(text.contains(&format!(r#""commit":"{commit}","#)), "{text}");
        let (opened, plan) = Envelope::open(&id, &object).unwrap();
        assert_eq!(opened.seal(plan), (id, object));
    }
}

#[test]
fn a_plan_ends() {
    let at = |minutes| {
        envelope()
            .moved(&basis(), NOW + time::Duration::minutes(minutes))
            .len()
    };
    assert_eq!([at(59), at(60), at(61)], [0, 1, 1]);
    let mut odd = envelope();
    odd.expires = "soon".into();
    assert_eq!(odd.moved(&basis(), NOW).len(), 1);
}

#[test]
fn an_object_opens_only_with_its_own_id_and_bytes() {
    let (id, object) = envelope().seal(b"plan\nwith a line");
    assert!(Envelope::open(&id, &object).is_err(), "other bytes");
    let (id, object) = envelope().seal(b"plan");
    let (opened, plan) = Envelope::open(&id, &object).unwrap();
    assert_eq!((opened, plan), (envelope(), &b"plan"[..]));
    let mut changed = object.clone();
    *changed.last_mut().unwrap() ^= 1;
    let opened = Envelope::open(&id, &changed);
    assert!(matches!(opened, Err(Unopened::OtherPlan { .. })));
    let text = String::from_utf8(object.clone()).unwrap();
    let text = text.replace("c0ffee", "c0ffe3");
    let opened = Envelope::open(&id, text.as_bytes());
    assert!(matches!(opened, Err(Unopened::OtherId(_))));
    let opened = Envelope::open(&id, b"nothing");
    assert!(matches!(opened, Err(Unopened::NoEnvelope)));
    assert!(!text.contains("\"a\""), "no variable's value is kept");
}
