//! Calls and the verdicts on them.

use super::*;
use crate::backend::{Backend, Encryption, Locking};
use crate::block::{Block, Declared, Setting, Value};
use crate::shim::call::tests::call;
use crate::shim::look::{Configured, Plan};
use crate::shim::saved::Saved;
use crate::shim::unseen::Unseen;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

pub(in crate::shim) fn ours(locking: Locking) -> Ours {
    Ours {
        backend: Backend {
            bucket: "b".into(),
            key: "k".into(),
            workspace: None,
            table: "t".into(),
            region: "ca-central-1".parse().unwrap(),
            locking,
            ..crate::backend::tests::backend()
        },
        native: true,
        lock_id: "0f-1".into(),
        account: "111111111111".parse().unwrap(),
        caller: "111111111111".parse().unwrap(),
        variables: BTreeMap::from([("AWS_ACCESS_KEY_ID".to_owned(), "ASIA1".to_owned())]),
        folder: "/app".into(),
        overrides: false,
        path_style: false,
        to_repair: Vec::new(),
        rule: None,
        plans: None,
    }
}

fn configured(kind: &str, changes: Json) -> Configured {
    let mut settings = json!({"bucket": "b", "key": "k", "region": "ca-central-1", "dynamodb_table": "t", "use_lockfile": null, "profile": "", "endpoints": {"s3": null}});
    let all = settings.as_object_mut().unwrap();
    all.extend(changes.as_object().unwrap().clone());
    Configured {
        kind: kind.to_owned(),
        settings: all.clone(),
    }
}

pub(in crate::shim) fn seen(configured: Option<Configured>) -> CallContext {
    CallContext {
        folder: "/app".into(),
        data: "/app/.terraform".into(),
        initialised: Ok(configured),
        workspace: Ok("default".into()),
        plan: Plan::None,
        declared: None,
        given: Ok(BTreeMap::new()),
        dependencies: None,
    }
}

/// A verdict in short: `unlocked`, `unchanged: …`, `refused: …`.
pub(in crate::shim) fn shown(verdict: Verdict) -> String {
    match verdict {
        Verdict::Unchanged(note) => format!("unchanged: {}", note.unwrap_or_default()),
        Verdict::Unlocked { .. } => "unlocked".to_owned(),
        Verdict::With(arguments) => arguments.join(" ").replace("-backend-config=", ""),
        Verdict::Refused { why, .. } => format!("refused: {why}"),
    }
}

fn call_with_credentials(words: &str, variables: &[(&str, &str)]) -> Call {
    let mut call = call(words, &[("AWS_ACCESS_KEY_ID", "ASIA1")]);
    let variables = variables.iter();
    call.variables
        .extend(variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    call
}

#[test]
fn a_rescued_state_is_pushed_into_its_own_state_only() {
    let ours = Ours {
        to_repair: vec!["b/env:/blue/k".to_owned()],
        ..ours(Locking::Dynamodb)
    };
    let push = call_with_credentials("state push errored.tfstate", &[]);
    let mut seen = seen(Some(configured("s3", json!({}))));
    let refusal = "refused: `state push` would write s3://b/k, workspace `default`; the state that was rescued belongs to s3://b/env:/blue/k";
    assert_eq!(shown(judge(&ours, &push, &seen)), refusal);
    assert_eq!(
        shown(judge(&ours, &call_with_credentials("plan", &[]), &seen)),
        "unlocked",
        "other calls are as ever"
    );
    seen.workspace = Ok("blue".to_owned());
    let verdict = shown(judge(&ours, &push, &seen));
    assert!(verdict.starts_with("unchanged: "), "{verdict}");
    seen.workspace = Err(Unseen::Code("no text".to_owned()));
    let verdict = shown(judge(&ours, &push, &seen));
    assert!(
        verdict.contains("the state that `state push` would write is unknown"),
        "{verdict}"
    );
}

/// Judges `apply` on a backend with these changes, under the held lock and with `-lock=false`.
fn judges_apply(cases: &[(Locking, &str, Json)], wanted: &str) {
    for (locking, kind, changes) in cases {
        let case = format!("{locking:?} {kind} {changes}");
        let mut ours = ours(*locking);
        if *locking == Locking::File {
            ours.backend.table = String::new();
        }
        let seen = seen(Some(configured(kind, changes.clone())));
        let found = shown(judge(&ours, &call_with_credentials("apply", &[]), &seen));
        assert!(found.starts_with(wanted), "{case}: {found}");
        // The words alone never switch locking off.
        let off = shown(judge(
            &ours,
            &call_with_credentials("apply -lock=false", &[]),
            &seen,
        ));
        let wanted = if wanted == "unlocked" {
            wanted
        } else {
            "refused"
        };
        assert!(off.starts_with(wanted), "{case}: {off}");
    }
}

#[test]
fn a_call_on_the_held_state_under_the_held_lock_runs_unlocked() {
    use Locking::{Both, Dynamodb, File};
    let file = json!({"dynamodb_table": "", "use_lockfile": true});
    let as_text = json!({"dynamodb_table": null, "use_lockfile": "true"});
    let own_role = json!({"assume_role": {"role_arn": "arn:aws:iam::111111111111:role/x"}});
    let cases = [
        (Dynamodb, "s3", json!({})),
        (Dynamodb, "s3", own_role),
        (Both, "s3", json!({"use_lockfile": true})),
        (Both, "s3", json!({})),
        (Both, "s3", file.clone()),
        (File, "s3", file),
        (File, "s3", as_text),
    ];
    judges_apply(&cases, "unlocked");
}

#[test]
fn a_call_on_another_state_locks_for_itself() {
    use Locking::Dynamodb;
    let cases = [
        (Dynamodb, "s3", json!({"key": "other"})),
        (Dynamodb, "s3", json!({"bucket": "other"})),
        (Dynamodb, "local", json!({})),
        (Dynamodb, "s3", json!({"key": null})),
    ];
    judges_apply(&cases, "unchanged");
    let nowhere = json!({"key": "other", "dynamodb_table": ""});
    let refused = "refused: `apply` would run without any lock";
    judges_apply(&[(Dynamodb, "s3", nowhere)], refused);
}

#[test]
fn a_call_on_the_held_state_under_another_lock_is_refused() {
    use Locking::{Dynamodb, File};
    let both = json!({"use_lockfile": true, "dynamodb_table": "x"});
    let file = json!({"dynamodb_table": "", "use_lockfile": true});
    let other_role = json!({"assume_role": {"role_arn": "arn:aws:iam::222222222222:role/x"}});
    let cases = [
        (Dynamodb, "s3", json!({"dynamodb_table": ""})),
        (Dynamodb, "s3", json!({"dynamodb_table": "other"})),
        (Dynamodb, "s3", json!({"region": "eu-west-1"})),
        (Dynamodb, "s3", json!({"use_lockfile": true})),
        (File, "s3", both),
        (Dynamodb, "s3", file),
        (Dynamodb, "s3", json!({"profile": "x"})),
        (Dynamodb, "s3", json!({"endpoints": {"s3": "x"}})),
        (Dynamodb, "s3", other_role),
    ];
    let refused = "refused: `apply` works on s3://b/k, but not under";
    judges_apply(&cases, refused);
}

#[test]
fn words_and_variables_decide_which_state_it_is() {
    for (words, variables, wanted) in [
        ("plan", &[][..], "unlocked"),
        ("-chdir=x state mv a b", &[], "unlocked"),
        ("apply -lock=false", &[], "unlocked"),
        ("apply -lock=true", &[], "refused: `apply` is told to lock"),
        ("apply --lock", &[], "refused: `apply` is told to lock"),
        (
            "apply",
            &[("TF_CLI_ARGS_apply", "-lock=true")],
            "refused: `apply` is told to lock",
        ),
        (
            "apply",
            &[("TF_CLI_ARGS", "-no-color; x")],
            "refused: the variable TF_CLI_ARGS cannot be read as Terraform reads it",
        ),
        ("output", &[("TF_CLI_ARGS", "-no-color; x")], "unchanged"),
        (
            "workspace list",
            &[("TF_CLI_ARGS_workspace_list", "x; y")],
            "unchanged",
        ),
        (
            "workspace delete blue",
            &[("TF_CLI_ARGS_workspace_delete", "-lock=false; x")],
            "refused: the variable TF_CLI_ARGS_workspace_delete cannot be read as Terraform reads it",
        ),
        (
            "workspace new blue",
            &[("TF_CLI_ARGS", "-lock=false;")],
            "refused: the variable TF_CLI_ARGS cannot be read",
        ),
        (
            "later-subcommand",
            &[("TF_CLI_ARGS", "-lock=false;")],
            "refused: the variable TF_CLI_ARGS cannot be read",
        ),
        (
            "force-unlock -force 0f-1",
            &[],
            "refused: `force-unlock` would remove the lock that this step holds",
        ),
        (
            "force-unlock",
            &[("TF_CLI_ARGS", "-force 0f-1")],
            "refused: `force-unlock` would remove the lock that this step holds",
        ),
        ("force-unlock 0f-2", &[], "unchanged"),
        ("apply -state=x", &[], "unchanged"),
        ("apply -state x -lock=0", &[], "refused"),
        (
            "apply",
            &[("AWS_ACCESS_KEY_ID", "ASIA2")],
            "refused: `apply` works on s3://b/k, but not under",
        ),
        (
            "apply",
            &[("AWS_PROFILE", "x")],
            "refused: `apply` works on s3://b/k, but not under",
        ),
        (
            "apply",
            &[("AWS_ENDPOINT_URL_DYNAMODB", "x")],
            "refused: `apply` works on s3://b/k, but not under",
        ),
        ("apply", &[("AWS_REGION", "eu-west-1")], "unlocked"),
        ("output", &[], "unchanged"),
        ("workspace new x", &[], "unchanged"),
        ("workspace new -lock=false x", &[], "refused"),
        ("later-subcommand -lock=F", &[], "refused"),
        ("init -lock=false", &[], "refused"),
        ("init", &[("TF_CLI_ARGS_init", "-lock=f")], "refused"),
    ] {
        let call = call_with_credentials(words, variables);
        let seen = seen(Some(configured("s3", json!({}))));
        let found = shown(judge(&ours(Locking::Dynamodb), &call, &seen));
        assert!(found.starts_with(wanted), "{words} {variables:?}: {found}");
    }
}

#[test]
fn a_workspace_has_a_key_of_its_own() {
    for (workspace, key, changes, wanted) in [
        ("default", "k", json!({}), "unlocked"),
        (
            "blue",
            "k",
            json!({}),
            "unchanged: `apply` locks for itself: it works on s3://b/env:/blue/k of workspace `blue`",
        ),
        ("blue", "env:/blue/k", json!({}), "unlocked"),
        (
            "blue",
            "ws/x/blue/k",
            json!({"workspace_key_prefix": "ws//x/"}),
            "unlocked",
        ),
        ("default", "env:/blue/k", json!({}), "unchanged"),
        ("blue", "env:/x", json!({"key": "../x"}), "unlocked"),
        (
            "blue",
            "env:/blue/../x",
            json!({"key": "../x"}),
            "unchanged",
        ),
    ] {
        let mut ours = ours(Locking::Dynamodb);
        ours.backend.key = key.to_owned();
        let seen = CallContext {
            workspace: Ok(workspace.to_owned()),
            ..seen(Some(configured("s3", changes)))
        };
        let found = shown(judge(&ours, &call_with_credentials("apply", &[]), &seen));
        assert!(found.starts_with(wanted), "{workspace} {key}: {found}");
    }
}

#[test]
fn a_saved_plan_goes_before_the_folder_and_what_is_unclear_locks_for_itself() {
    let saved = |key: &str, workspace: &str| {
        let Configured { kind, settings } = configured("s3", json!({"key": key}));
        Plan::Of(Saved {
            kind,
            settings,
            workspace: workspace.to_owned(),
        })
    };
    let folder = |key: &str| seen(Some(configured("s3", json!({"key": key}))));
    for (seen, wanted) in [
        (
            CallContext {
                plan: saved("k", "default"),
                ..folder("other")
            },
            "unlocked",
        ),
        (
            CallContext {
                plan: saved("other", "default"),
                ..folder("k")
            },
            "unchanged",
        ),
        (
            CallContext {
                plan: saved("k", "blue"),
                ..folder("k")
            },
            "unchanged",
        ),
        (
            CallContext {
                plan: Plan::Unclear(Unseen::Code("x".into())),
                ..folder("k")
            },
            "unchanged",
        ),
        (
            CallContext {
                workspace: Err(Unseen::Code("x".into())),
                ..folder("k")
            },
            "unchanged",
        ),
        (
            CallContext {
                initialised: Err(Unseen::Code("x".into())),
                ..folder("k")
            },
            "unchanged",
        ),
        (seen(None), "unchanged"),
    ] {
        let ours = ours(Locking::Dynamodb);
        let found = shown(judge(&ours, &call_with_credentials("apply p", &[]), &seen));
        assert!(found.starts_with(wanted), "{seen:?}: {found}");
        if wanted == "unchanged" {
            let off = shown(judge(
                &ours,
                &call_with_credentials("apply -lock=false p", &[]),
                &seen,
            ));
            assert!(off.starts_with("refused"), "{seen:?}: {off}");
        }
    }
    let unreadable = Call {
        unreadable: Some("x".into()),
        ..call_with_credentials("apply", &[])
    };
    let found = shown(judge(&ours(Locking::Dynamodb), &unreadable, &folder("k")));
    assert!(found.starts_with("unchanged"), "{found}");
}

#[test]
fn beside_terraforms_own_lock_it_always_locks_for_itself() {
    let ours = Ours {
        native: false,
        ..ours(Locking::Dynamodb)
    };
    for changes in [json!({}), json!({"dynamodb_table": "other"})] {
        let seen = seen(Some(configured("s3", changes)));
        let found = |words: &str| shown(judge(&ours, &call_with_credentials(words, &[]), &seen));
        assert!(found("apply").starts_with("unchanged"));
        assert!(found("apply -lock=true").starts_with("unchanged"));
        assert!(found("apply -lock=false").starts_with("refused"));
    }
}

fn settings(pairs: &[(&str, Value)]) -> BTreeMap<String, Setting> {
    let pairs = pairs.iter().map(|(name, value)| {
        let value = value.clone();
        ((*name).to_owned(), Setting { value, line: 1 })
    });
    pairs.collect()
}

#[test]
fn init_gets_what_neither_the_code_nor_the_words_say() {
    let all = "bucket=b key=k region=ca-central-1 dynamodb_table=t";
    let settings = |pairs: &[(&str, &str)]| {
        let literal = |value: &str| Value::Literal(value.to_owned());
        let pairs = pairs.iter().map(|(name, value)| (*name, literal(value)));
        settings(&pairs.collect::<Vec<_>>())
    };
    for (declared, given, overrides, folder, wanted) in [
        (&[][..], &[][..], false, "/app", all),
        (&[], &[], false, "/other", all),
        (
            &[("key", "k")],
            &[],
            false,
            "/app",
            "bucket=b region=ca-central-1 dynamodb_table=t",
        ),
        (
            &[],
            &[("key", "x")],
            false,
            "/app",
            "bucket=b region=ca-central-1 dynamodb_table=t",
        ),
        (
            &[],
            &[("key", "x")],
            true,
            "/app",
            "bucket=b region=ca-central-1 dynamodb_table=t",
        ),
        (&[("bucket", "x"), ("key", "y")], &[], false, "/app", ""),
        (&[("bucket", "x"), ("key", "y")], &[], true, "/app", all),
        (
            &[("bucket", "x"), ("key", "y")],
            &[],
            true,
            "/other",
            "bucket=b region=ca-central-1 dynamodb_table=t",
        ),
        (&[], &[("bucket", "x")], true, "/app", ""),
        (
            &[("bucket", "x")],
            &[("bucket", "b")],
            false,
            "/app",
            "key=k region=ca-central-1 dynamodb_table=t",
        ),
    ] {
        let block = Block {
            kind: "s3".into(),
            file: "main.tf".into(),
            settings: settings(declared),
        };
        let seen = CallContext {
            folder: folder.into(),
            declared: Some(Ok(Declared::Block(block))),
            given: Ok(settings(given)),
            ..seen(None)
        };
        let ours = Ours {
            overrides,
            ..ours(Locking::Dynamodb)
        };
        let found = shown(judge(&ours, &call_with_credentials("init", &[]), &seen));
        assert_eq!(found, wanted, "{declared:?} {given:?} {overrides} {folder}");
        let without = judge(
            &ours,
            &call_with_credentials("init -backend=false", &[]),
            &seen,
        );
        assert_eq!(without, Verdict::Unchanged(None));
    }
}

#[test]
fn a_lock_in_another_account_is_held_only_for_a_backend_that_gets_there() {
    let role = |account: &str| json!({"assume_role": {"role_arn": format!("arn:aws:iam::{account}:role/states")}});
    let refusal =
        "refused: `apply` works on s3://b/k, but not under the lock that this step holds: ";
    for (locking, changes, wanted) in [
        (
            Locking::Dynamodb,
            role("222222222222"),
            "unlocked".to_owned(),
        ),
        (
            Locking::Dynamodb,
            role("333333333333"),
            format!("{refusal}the account of its role is `333333333333`"),
        ),
        (
            Locking::Dynamodb,
            json!({}),
            format!(
                "{refusal}its backend assumes no role, and the lock table is in account 222222222222"
            ),
        ),
        // A lock file is identified by its bucket, whichever credentials reach it.
        (
            Locking::File,
            json!({"use_lockfile": true, "dynamodb_table": ""}),
            "unlocked".to_owned(),
        ),
    ] {
        let mut ours = ours(locking);
        ours.account = "222222222222".parse().unwrap();
        let seen = seen(Some(configured("s3", changes.clone())));
        let found = shown(judge(&ours, &call_with_credentials("apply", &[]), &seen));
        assert!(found.starts_with(&wanted), "{changes}: {found}");
    }
}

#[test]
fn init_is_given_the_role_and_the_encryption_that_the_code_leaves_out() {
    let mut ours = ours(Locking::File);
    ours.backend.role = Some("arn:aws:iam::222222222222:role/states".parse().unwrap());
    ours.backend.encryption = Encryption::Kms("key-1".to_owned());
    let given = |block: &[(&str, Value)]| {
        let block = Block {
            kind: "s3".into(),
            file: "main.tf".into(),
            settings: settings(block),
        };
        let seen = CallContext {
            declared: Some(Ok(Declared::Block(block))),
            ..seen(None)
        };
        shown(judge(&ours, &call_with_credentials("init", &[]), &seen))
    };
    let own = "bucket=b key=k region=ca-central-1 use_lockfile=true";
    assert_eq!(
        given(&[]),
        format!(
            "{own} assume_role={{role_arn=\"arn:aws:iam::222222222222:role/states\"}} encrypt=true kms_key_id=key-1"
        )
    );
    assert_eq!(
        given(&[
            ("assume_role", Value::Expression),
            ("encrypt", Value::Literal("true".into())),
        ]),
        format!("{own} kms_key_id=key-1")
    );
}
