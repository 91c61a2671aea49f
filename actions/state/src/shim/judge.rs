//! Which state a call works on, and whether it is the one whose lock is held. Pure.
//!
//! Only a call on that very state, which would take that very lock, is told not to lock. Every
//! other call runs unchanged and locks for itself, and words that would switch its lock off are
//! refused.

use super::call::{Call, Kind};
use super::look::{Configured, Plan, Seen};
use crate::backend::Backend;
use crate::block::{Declared, Setting, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The state whose lock is held around a command, and how the command reaches it.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    pub(crate) backend: Backend,
    /// Whether Terraform's own lock is held, so that a call on this state need not lock.
    pub(crate) native: bool,
    /// The account whose lock table it is.
    pub(crate) account: String,
    /// The variables that choose credentials and endpoints, as the command was given them.
    pub(crate) variables: BTreeMap<String, String>,
    /// The folder that the step was given for its infrastructure code.
    pub(crate) folder: PathBuf,
    /// Whether the step's backend goes before the one in the code.
    pub(crate) overrides: bool,
    pub(crate) path_style: bool,
    /// `BUCKET/KEY` of the states that were rescued under this lock and are to be repaired.
    pub(crate) to_repair: Vec<String>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// It runs as it is, and locks for itself. What the user is told of that.
    Unchanged(Option<String>),
    /// It is told not to lock, since its lock is held; or it locks for itself, if another call is
    /// told so and does not end in time.
    Unlocked {
        /// How long it would wait for a lock.
        patience: Duration,
        /// Its own words switch its lock off, so it must not run before its turn.
        off: bool,
    },
    /// These arguments go after its subcommand.
    With(Vec<String>),
    Refused {
        why: String,
        hint: String,
    },
}

fn refused(why: impl Into<String>, hint: impl Into<String>) -> Verdict {
    Verdict::Refused {
        why: why.into(),
        hint: hint.into(),
    }
}

/// The state a call works on.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// The held one, under the held lock.
    Held,
    /// Another one.
    Other(String),
    /// Another one, for which Terraform has no lock at all.
    Unprotected(String),
    /// The held one, under another lock than the held one.
    Astray(String),
    /// Nobody can tell.
    Unclear(String),
}

/// A state in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateObject {
    pub(crate) bucket: String,
    /// The object's key, its workspace included.
    pub(crate) key: String,
    pub(crate) workspace: String,
}

/// The state in S3 that a call works on, as far as that can be seen.
pub(crate) fn state(call: &Call, seen: &Seen) -> Option<StateObject> {
    let (kind, settings, workspace) = configured(seen).ok()?;
    let remote = Remote {
        settings,
        workspace,
        call,
    };
    let state = StateObject {
        bucket: remote.text("bucket")?.to_owned(),
        key: remote.key()?,
        workspace: workspace.to_owned(),
    };
    (kind == "s3").then_some(state)
}

/// Judges a call by what was seen around it.
pub(crate) fn judge(ours: &Ours, call: &Call, seen: &Seen) -> Verdict {
    let subcommand = call.subcommand();
    let words = match call.words() {
        Ok(words) => words,
        Err(_) if call.kind() == Kind::Other => return Verdict::Unchanged(None),
        Err(name) => {
            return refused(
                format!("nobody can tell how Terraform reads the variable {name}"),
                "quote its words as a shell would, without ; & | < > ( ) and backquotes",
            );
        }
    };
    let wish = call.wish(&words);
    let off = "leave -lock=false out, also of TF_CLI_ARGS: the step switches locking off where it holds the lock itself";
    match call.kind() {
        Kind::Other if wish.off => refused(
            format!("`{subcommand}` is told not to lock, and no lock of it is held"),
            off,
        ),
        Kind::Other => Verdict::Unchanged(None),
        Kind::Init if wish.off => refused(
            "`init` is told not to lock, and may migrate a state",
            "leave -lock=false out: `init` locks nothing else",
        ),
        Kind::Init => match &call.unreadable {
            Some(why) => refused(
                format!("nobody can tell which backend `init` configures: {why}"),
                "give it words in UTF-8",
            ),
            None => init(ours, &words, seen),
        },
        Kind::Locking => locking(ours, call, &words, seen, off),
    }
}

fn locking(ours: &Ours, call: &Call, words: &[String], seen: &Seen, off: &str) -> Verdict {
    let subcommand = call.subcommand();
    let held = format!("s3://{}", ours.backend.lock_id());
    let wish = call.wish(words);
    if let Some(refused) = pushes_elsewhere(ours, call, seen) {
        return refused;
    }
    let itself = |what: String| {
        if wish.off {
            refused(
                format!("`{subcommand}` is told not to lock, and {what}"),
                off,
            )
        } else {
            Verdict::Unchanged(Some(format!("`{subcommand}` locks for itself: {what}")))
        }
    };
    match target(ours, call, words, seen) {
        Target::Held | Target::Astray(_) if !ours.native => {
            itself(format!("the step holds a lock beside that of {held}"))
        }
        Target::Held if wish.on && !wish.off => refused(
            format!("`{subcommand}` is told to lock {held}, whose lock this step holds already"),
            "leave -lock=true out: it would wait for the lock of its own run",
        ),
        Target::Held => Verdict::Unlocked {
            patience: Call::lock_timeout(words),
            off: wish.off,
        },
        Target::Other(what) => itself(format!(
            "it works on {what}, and this step holds the lock of {held}"
        )),
        Target::Unclear(why) => {
            itself(format!("nobody can tell whether it works on {held}: {why}"))
        }
        Target::Unprotected(what) => refused(
            format!(
                "`{subcommand}` would run without any lock: it works on {what}, whose backend sets neither use_lockfile nor dynamodb_table"
            ),
            "set use_lockfile = true in its backend, and run init again",
        ),
        Target::Astray(why) => refused(
            format!(
                "`{subcommand}` works on {held}, but not under the lock that this step holds: {why}"
            ),
            "make the backend and the step agree, and run init again",
        ),
    }
}

/// Refuses a rescued state's push into another state than the one it was rescued from.
fn pushes_elsewhere(ours: &Ours, call: &Call, seen: &Seen) -> Option<Verdict> {
    if ours.to_repair.is_empty() || call.subcommand() != "state push" {
        return None;
    }
    let wanted = ours.to_repair.join(", ");
    let why = match state(call, seen) {
        Some(state) => {
            let found = format!("{}/{}", state.bucket, state.key);
            if ours.to_repair.contains(&found) {
                return None;
            }
            format!(
                "`state push` would write s3://{found}, workspace `{}`",
                state.workspace
            )
        }
        None => "nobody can tell which state `state push` would write".to_owned(),
    };
    Some(refused(
        format!("{why}; the state that was rescued belongs to s3://{wanted}"),
        "run it in the folder of that state, after init and `workspace select` of its workspace",
    ))
}

/// The state that a call works on.
fn target(ours: &Ours, call: &Call, words: &[String], seen: &Seen) -> Target {
    if let Some(why) = &call.unreadable {
        return Target::Unclear(why.clone());
    }
    for flag in ["state", "state-out", "backup"] {
        if super::call::values(words, flag).next().is_some() {
            return Target::Unclear(format!("-{flag} names a file"));
        }
    }
    let (kind, settings, workspace) = match configured(seen) {
        Ok(configured) => configured,
        Err(target) => return target,
    };
    if kind != "s3" {
        return Target::Other(format!("a state in the backend `{kind}`"));
    }
    Remote {
        settings,
        workspace,
        call,
    }
    .target(ours)
}

type Settings = serde_json::Map<String, serde_json::Value>;

/// The backend that a call works with, its settings, and the workspace.
fn configured(seen: &Seen) -> Result<(&str, &Settings, &str), Target> {
    let workspace = match &seen.workspace {
        Ok(workspace) => workspace,
        Err(why) => return Err(Target::Unclear(why.clone())),
    };
    let (kind, settings) = match &seen.plan {
        Plan::Unclear(why) => return Err(Target::Unclear(why.clone())),
        Plan::Of(saved) if saved.workspace != *workspace => {
            return Err(Target::Unclear(format!(
                "the saved plan is for workspace `{}`, and `{workspace}` is selected",
                saved.workspace
            )));
        }
        Plan::Of(saved) => (&saved.kind, &saved.settings),
        Plan::None => match &seen.initialised {
            Err(why) => return Err(Target::Unclear(why.clone())),
            Ok(None) => {
                let what = format!("a state in {}", seen.folder.display());
                return Err(Target::Other(what));
            }
            Ok(Some(Configured { kind, settings })) => (kind, settings),
        },
    };
    Ok((kind, settings, workspace))
}

/// A state in S3, by the settings of its backend.
/// Source: terraform `internal/backend/remote-state/s3`.
struct Remote<'a> {
    settings: &'a Settings,
    workspace: &'a str,
    call: &'a Call,
}

impl Remote<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.settings
            .get(name)?
            .as_str()
            .filter(|it| !it.is_empty())
    }

    fn is_set(&self, name: &str) -> bool {
        match self.settings.get(name) {
            None | Some(serde_json::Value::Null) => false,
            Some(serde_json::Value::String(text)) => !text.is_empty(),
            Some(serde_json::Value::Array(list)) => !list.is_empty(),
            Some(serde_json::Value::Object(parts)) => parts.values().any(|part| !part.is_null()),
            Some(_) => true,
        }
    }

    /// The object's key: another one for each workspace.
    fn key(&self) -> Option<String> {
        let key = self.text("key")?;
        if self.workspace == "default" {
            return Some(key.to_owned());
        }
        let prefix = self.text("workspace_key_prefix").unwrap_or("env:");
        let whole = format!("{prefix}/{}/{key}", self.workspace);
        // Go's `path.Join`.
        let parts: Vec<&str> = whole
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        Some(parts.join("/"))
    }

    fn target(&self, ours: &Ours) -> Target {
        let (Some(bucket), Some(key)) = (self.text("bucket"), self.key()) else {
            return Target::Unclear("its backend names no bucket and key".to_owned());
        };
        let backend = &ours.backend;
        let locked = self.is_set("dynamodb_table") || self.uses_file();
        if (bucket, key.as_str()) != (&backend.bucket, &backend.object_key()) {
            let what = match self.workspace {
                "default" => format!("s3://{bucket}/{key}"),
                workspace => format!("s3://{bucket}/{key} of workspace `{workspace}`"),
            };
            return if locked {
                Target::Other(what)
            } else {
                Target::Unprotected(what)
            };
        }
        match self.astray(ours, locked) {
            Some(why) => Target::Astray(why),
            None => Target::Held,
        }
    }

    fn uses_file(&self) -> bool {
        match self.settings.get("use_lockfile") {
            Some(serde_json::Value::Bool(on)) => *on,
            Some(serde_json::Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// Why the lock that Terraform would take is not the one that is held.
    fn astray(&self, ours: &Ours, locked: bool) -> Option<String> {
        let backend = &ours.backend;
        let differs = |name: &str, found: &str, wanted: &str| {
            (found != wanted).then(|| format!("{name} is `{found}`, and the step's is `{wanted}`"))
        };
        if !locked {
            return Some("its backend sets neither use_lockfile nor dynamodb_table".to_owned());
        }
        if self.uses_file() && !backend.locking.uses_file() {
            return Some("its backend sets use_lockfile, and the step holds the lock in the table alone (--locking both)".to_owned());
        }
        let variable = |name: &str| self.call.variables.get(name).map(String::as_str);
        let region = self
            .text("region")
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .unwrap_or_default();
        if let Some(why) = differs("region", region, &backend.region) {
            return Some(why);
        }
        for name in ["endpoint", "endpoints", "dynamodb_endpoint"] {
            if self.is_set(name) {
                return Some(format!("its backend sets {name}"));
            }
        }
        if let Some(name) = self.changed(ours, is_endpoint) {
            return Some(format!("{name} is not as the step gave it to the command"));
        }
        let table = self.text("dynamodb_table")?;
        // A table is known by its name only within its account.
        if let Some(why) = differs("dynamodb_table", table, &backend.table) {
            return Some(why);
        }
        if let Some(name) = self.changed(ours, |name| !is_endpoint(name)) {
            return Some(format!(
                "{name} is not as the step gave it to the command, and so the lock table may be another account's"
            ));
        }
        for name in [
            "access_key",
            "profile",
            "shared_credentials_file",
            "shared_credentials_files",
            "shared_config_files",
            "assume_role_with_web_identity",
        ] {
            if self.is_set(name) {
                return Some(format!(
                    "its backend sets {name}, and so the lock table may be another account's"
                ));
            }
        }
        let role = self
            .text("role_arn")
            .or_else(|| self.settings.get("assume_role")?.get("role_arn")?.as_str())?;
        let account = role.split(':').nth(4).unwrap_or_default();
        differs("the account of its role", account, &ours.account)
    }

    /// A variable that is not as the command was given it.
    fn changed(&self, ours: &Ours, among: impl Fn(&str) -> bool) -> Option<String> {
        let now = self.call.variables.iter();
        let names = now.chain(&ours.variables).map(|(name, _)| name);
        names
            .filter(|name| is_identity(name) && among(name))
            .find(|name| self.call.variables.get(*name) != ours.variables.get(*name))
            .cloned()
    }
}

/// Whether a variable chooses where AWS is.
fn is_endpoint(name: &str) -> bool {
    name.contains("ENDPOINT")
}

/// Whether a variable chooses where AWS is, or who asks. None of them holds a secret.
pub(crate) fn is_identity(name: &str) -> bool {
    const CREDENTIALS: [&str; 7] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    name.starts_with("AWS_") && (is_endpoint(name) || CREDENTIALS.contains(&name))
}

/// The backend values that `init` gets, as real arguments: those that neither the code nor the
/// words name. Another backend's are not completed.
fn init(ours: &Ours, words: &[String], seen: &Seen) -> Verdict {
    let without = words.iter().any(|word| {
        matches!(super::words::flag(word), Some(("backend", Some(value))) if value.starts_with(['0', 'f', 'F']))
    });
    if without {
        return Verdict::Unchanged(None);
    }
    let unreadable = |why: &String| {
        refused(
            format!("nobody can tell which backend `init` configures: {why}"),
            "put the file right; Terraform could not read it either",
        )
    };
    let declared = match &seen.declared {
        Some(Ok(Declared::Block(block))) if block.kind == "s3" => &block.settings,
        Some(Err(why)) => return unreadable(why),
        _ => return Verdict::Unchanged(None),
    };
    let given = match &seen.given {
        Ok(given) => given,
        Err(why) => return unreadable(why),
    };
    Verdict::With(arguments(ours, declared, given, seen.folder == ours.folder))
}

type Declarations = BTreeMap<String, Setting>;

fn arguments(ours: &Ours, declared: &Declarations, given: &Declarations, own: bool) -> Vec<String> {
    let named = |settings: &Declarations, name: &str| {
        settings
            .get(name)
            .is_some_and(|setting| setting.value != Value::Null)
    };
    let foreign = |settings: &Declarations| {
        settings.get("bucket").is_some_and(|setting| {
            !matches!(&setting.value, Value::Literal(bucket) if *bucket == ours.backend.bucket)
                && setting.value != Value::Null
        })
    };
    if foreign(given) || (foreign(declared) && !named(given, "bucket") && !ours.overrides) {
        return Vec::new();
    }
    let mut arguments = ours.backend.settings(ours.path_style);
    arguments.retain(|(name, _)| {
        // A stack keeps its own key, whatever else is overridden.
        let stays = !ours.overrides || (*name == "key" && !own);
        !(named(given, name) || stays && named(declared, name))
    });
    arguments
        .into_iter()
        .map(|(name, value)| format!("-backend-config={name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Locking;
    use crate::block::Block;
    use crate::shim::call::tests::call;
    use crate::shim::saved::Saved;
    use serde_json::{Value as Json, json};

    fn ours(locking: Locking) -> Ours {
        Ours {
            backend: Backend {
                bucket: "b".into(),
                key: "k".into(),
                workspace: None,
                table: "t".into(),
                region: "ca-central-1".into(),
                locking,
            },
            native: true,
            account: "111111111111".into(),
            variables: BTreeMap::from([("AWS_ACCESS_KEY_ID".to_owned(), "ASIA1".to_owned())]),
            folder: "/app".into(),
            overrides: false,
            path_style: false,
            to_repair: Vec::new(),
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

    fn seen(configured: Option<Configured>) -> Seen {
        Seen {
            folder: "/app".into(),
            initialised: Ok(configured),
            workspace: Ok("default".into()),
            plan: Plan::None,
            declared: None,
            given: Ok(BTreeMap::new()),
        }
    }

    /// A verdict in short: `unlocked`, `unchanged: …`, `refused: …`.
    fn shown(verdict: Verdict) -> String {
        match verdict {
            Verdict::Unchanged(note) => format!("unchanged: {}", note.unwrap_or_default()),
            Verdict::Unlocked { .. } => "unlocked".to_owned(),
            Verdict::With(arguments) => arguments.join(" ").replace("-backend-config=", ""),
            Verdict::Refused { why, .. } => format!("refused: {why}"),
        }
    }

    fn lent(words: &str, variables: &[(&str, &str)]) -> Call {
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
        let push = lent("state push errored.tfstate", &[]);
        let mut seen = seen(Some(configured("s3", json!({}))));
        let elsewhere = "refused: `state push` would write s3://b/k, workspace `default`; the state that was rescued belongs to s3://b/env:/blue/k";
        assert_eq!(shown(judge(&ours, &push, &seen)), elsewhere);
        assert_eq!(
            shown(judge(&ours, &lent("plan", &[]), &seen)),
            "unlocked",
            "other calls are as ever"
        );
        seen.workspace = Ok("blue".to_owned());
        let verdict = shown(judge(&ours, &push, &seen));
        assert!(verdict.starts_with("unchanged: "), "{verdict}");
        seen.workspace = Err("no text".to_owned());
        let verdict = shown(judge(&ours, &push, &seen));
        assert!(verdict.contains("nobody can tell which state"), "{verdict}");
    }

    #[test]
    fn only_a_call_on_the_held_state_under_the_held_lock_runs_unlocked() {
        use Locking::{Both, Dynamodb, File};
        let file = json!({"dynamodb_table": "", "use_lockfile": true});
        for (locking, kind, changes, wanted) in [
            (Dynamodb, "s3", json!({}), "unlocked"),
            (Both, "s3", json!({"use_lockfile": true}), "unlocked"),
            (Both, "s3", json!({}), "unlocked"),
            (Both, "s3", file.clone(), "unlocked"),
            (File, "s3", file.clone(), "unlocked"),
            (
                File,
                "s3",
                json!({"dynamodb_table": null, "use_lockfile": "true"}),
                "unlocked",
            ),
            (Dynamodb, "s3", json!({"key": "other"}), "unchanged"),
            (Dynamodb, "s3", json!({"bucket": "other"}), "unchanged"),
            (Dynamodb, "local", json!({}), "unchanged"),
            (Dynamodb, "s3", json!({"key": null}), "unchanged"),
            (
                Dynamodb,
                "s3",
                json!({"key": "other", "dynamodb_table": ""}),
                "refused: `apply` would run without any lock",
            ),
            (
                Dynamodb,
                "s3",
                json!({"dynamodb_table": ""}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                json!({"dynamodb_table": "other"}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                json!({"region": "eu-west-1"}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                json!({"use_lockfile": true}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                File,
                "s3",
                json!({"use_lockfile": true, "dynamodb_table": "x"}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                file,
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                json!({"profile": "x"}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                json!({"endpoints": {"s3": "x"}}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
            (
                Dynamodb,
                "s3",
                json!({"assume_role": {"role_arn": "arn:aws:iam::111111111111:role/x"}}),
                "unlocked",
            ),
            (
                Dynamodb,
                "s3",
                json!({"assume_role": {"role_arn": "arn:aws:iam::222222222222:role/x"}}),
                "refused: `apply` works on s3://b/k, but not under",
            ),
        ] {
            let mut ours = ours(locking);
            if locking == File {
                ours.backend.table = String::new();
            }
            let seen = seen(Some(configured(kind, changes.clone())));
            let found = shown(judge(&ours, &lent("apply", &[]), &seen));
            assert!(
                found.starts_with(wanted),
                "{locking:?} {kind} {changes}: {found}"
            );
            // The words alone never switch locking off.
            let off = shown(judge(&ours, &lent("apply -lock=false", &[]), &seen));
            let wanted = if wanted == "unlocked" {
                wanted
            } else {
                "refused"
            };
            assert!(
                off.starts_with(wanted),
                "{locking:?} {kind} {changes}: {off}"
            );
        }
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
                "refused: nobody can tell how Terraform reads the variable TF_CLI_ARGS",
            ),
            ("output", &[("TF_CLI_ARGS", "-no-color; x")], "unchanged"),
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
            let call = lent(words, variables);
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
        ] {
            let mut ours = ours(Locking::Dynamodb);
            ours.backend.key = key.to_owned();
            let seen = Seen {
                workspace: Ok(workspace.to_owned()),
                ..seen(Some(configured("s3", changes)))
            };
            let found = shown(judge(&ours, &lent("apply", &[]), &seen));
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
                Seen {
                    plan: saved("k", "default"),
                    ..folder("other")
                },
                "unlocked",
            ),
            (
                Seen {
                    plan: saved("other", "default"),
                    ..folder("k")
                },
                "unchanged",
            ),
            (
                Seen {
                    plan: saved("k", "blue"),
                    ..folder("k")
                },
                "unchanged",
            ),
            (
                Seen {
                    plan: Plan::Unclear("x".into()),
                    ..folder("k")
                },
                "unchanged",
            ),
            (
                Seen {
                    workspace: Err("x".into()),
                    ..folder("k")
                },
                "unchanged",
            ),
            (
                Seen {
                    initialised: Err("x".into()),
                    ..folder("k")
                },
                "unchanged",
            ),
            (seen(None), "unchanged"),
        ] {
            let ours = ours(Locking::Dynamodb);
            let found = shown(judge(&ours, &lent("apply p", &[]), &seen));
            assert!(found.starts_with(wanted), "{seen:?}: {found}");
            if wanted == "unchanged" {
                let off = shown(judge(&ours, &lent("apply -lock=false p", &[]), &seen));
                assert!(off.starts_with("refused"), "{seen:?}: {off}");
            }
        }
        let unreadable = Call {
            unreadable: Some("x".into()),
            ..lent("apply", &[])
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
            let found = |words: &str| shown(judge(&ours, &lent(words, &[]), &seen));
            assert!(found("apply").starts_with("unchanged"));
            assert!(found("apply -lock=true").starts_with("unchanged"));
            assert!(found("apply -lock=false").starts_with("refused"));
        }
    }

    #[test]
    fn init_gets_what_neither_the_code_nor_the_words_say() {
        let all = "bucket=b key=k region=ca-central-1 dynamodb_table=t";
        let settings = |pairs: &[(&str, &str)]| -> Declarations {
            let value = |value: &str| Setting {
                value: Value::Literal(value.to_owned()),
                line: 1,
            };
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), value(text)))
                .collect()
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
            let seen = Seen {
                folder: folder.into(),
                declared: Some(Ok(Declared::Block(block))),
                given: Ok(settings(given)),
                ..seen(None)
            };
            let ours = Ours {
                overrides,
                ..ours(Locking::Dynamodb)
            };
            let found = shown(judge(&ours, &lent("init", &[]), &seen));
            assert_eq!(found, wanted, "{declared:?} {given:?} {overrides} {folder}");
            let without = judge(&ours, &lent("init -backend=false", &[]), &seen);
            assert_eq!(without, Verdict::Unchanged(None));
        }
    }
}
