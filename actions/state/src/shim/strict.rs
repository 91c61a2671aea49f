//! The check of a call for an environment's gate: nothing unpinned is installed or used. Pure.
//! Source: terraform `internal/command/init.go`, OpenTofu the same.

use super::call::{Call, Kind};
use super::look::CallContext;
use super::verdict::{Verdict, refused};
use super::words;
use crate::dependencies::Rule;
use kit::lockfile::Lock;

/// With it, `init` refuses providers that the lock file does not have, and does not change the file.
pub(crate) const READONLY: &str = "-lockfile=readonly";

/// The variable by which Terraform uses providers that were started before, whatever is locked.
pub(super) const REATTACH: &str = "TF_REATTACH_PROVIDERS";

/// The refusal of a call that the rule forbids.
pub(super) fn forbidden(rule: &Rule, call: &Call, seen: &CallContext) -> Option<Verdict> {
    let subcommand = call.subcommand();
    if subcommand == "providers lock" && !locks_excepted(rule, call) {
        return Some(refused(
            "`providers lock` would change the lock file, which belongs to the commit",
            "run it before the commit, and commit .terraform.lock.hcl; or name only providers that the contract excepts",
        ));
    }
    if call.kind() == Kind::Init
        && let Some((message, hint)) = moves(call)
    {
        return Some(refused(message, hint));
    }
    let found = match seen.dependencies.as_ref()? {
        Ok(found) => found,
        Err(why) => {
            let message = format!("{}: {why}", rule.refusal());
            return Some(refused(message, "correct the file that cannot be read"));
        }
    };
    if call.variables.contains_key(REATTACH) && call.kind() != Kind::Init {
        return Some(refused(
            format!("{REATTACH} replaces providers by others than those that are locked"),
            "unset it",
        ));
    }
    let faults = rule.faults(found);
    (!faults.is_empty()).then(|| {
        let message = format!("{}: {}", rule.refusal(), faults.join("; "));
        refused(message, rule.hints().join("\n  hint: "))
    })
}

/// Returns true if `providers lock` names providers, and only those that the contract excepts.
fn locks_excepted(rule: &Rule, call: &Call) -> bool {
    let Ok(words) = call.words() else {
        return false;
    };
    // A flag whose value is the next word would leave that value among the names, and be refused.
    let names = || words.iter().filter(|word| words::flag(word).is_none());
    names().next().is_some() && rule.excepts_all(names().map(String::as_str))
}

/// The refusal of a call that would use what `init` wrote into the lock file and nothing excepts. `before`: the lock
/// file as this step saw it first.
pub(super) fn moved(rule: &Rule, before: &Lock, seen: &CallContext) -> Option<Verdict> {
    let Some(Ok(found)) = &seen.dependencies else {
        return None;
    };
    let moved = rule.moved(before, &found.locked());
    (!moved.is_empty()).then(|| {
        let message = format!("{}: {}", rule.refusal(), moved.join("; "));
        refused(message, rule.hints().join("\n  hint: "))
    })
}

/// The refusal and the hint for words of `init` that would take another version or other code than the commit's.
fn moves(call: &Call) -> Option<(String, &'static str)> {
    let words = call.words().ok()?;
    let mut flags = words.iter().filter_map(|word| words::flag(word));
    flags.find_map(|(name, value)| {
        let off = value.is_some_and(|value| value.starts_with(['0', 'f', 'F']));
        match (name, value) {
            ("upgrade", _) if !off => Some((
                "`init -upgrade` takes other versions than the commit's".to_owned(),
                "upgrade before the commit, and commit .terraform.lock.hcl",
            )),
            ("from-module", _) => Some((
                "`init -from-module` takes code that is not the commit's".to_owned(),
                "commit the code",
            )),
            ("lockfile", value) if value != Some("readonly") => Some((
                "`init` is told how to treat the lock file".to_owned(),
                "leave -lockfile out: the step adds it",
            )),
            _ => None,
        }
    })
}

/// The verdict on `init`, with the lock file left as it is.
pub(super) fn keeping_lock(rule: &Rule, seen: &CallContext, verdict: Verdict) -> Verdict {
    let keeps = matches!(&seen.dependencies, Some(Ok(found)) if rule.keeps_lock(found));
    match verdict {
        Verdict::Unchanged(None) if keeps => Verdict::With(vec![READONLY.to_owned()]),
        Verdict::With(mut arguments) if keeps => {
            arguments.push(READONLY.to_owned());
            Verdict::With(arguments)
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Locking;
    use crate::dependencies;
    use crate::shim::call::tests::call;
    use crate::shim::judge::judge;
    use crate::shim::judge::tests::{ours, seen, shown};
    use crate::shim::unseen::Unseen;

    const NULL: &str = "resource \"null_resource\" \"it\" {}\n";
    const LOCK: &str = "provider \"registry.terraform.io/hashicorp/null\" {\n  version = \"3.2.1\"\n  hashes = [\n    \"h1:x\",\n  ]\n}\n";

    /// The verdict on a call in a folder with these files, where the gate excepts these sources.
    fn judged(words: &str, files: &[(&str, &str)], excepted: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut ours = ours(Locking::Dynamodb);
        ours.rule = Some(Rule::excepting(excepted));
        let call = call(words, &[("AWS_ACCESS_KEY_ID", "ASIA1")]);
        let mut seen = seen(None);
        seen.dependencies = match (call.kind(), call.uses_installed()) {
            (Kind::Init, _) => {
                Some(dependencies::declared(folder.path(), false).map_err(Unseen::from))
            }
            (_, true) => {
                let data = folder.path().join(".terraform");
                Some(dependencies::installed(folder.path(), &data, false).map_err(Unseen::from))
            }
            (_, false) => None,
        };
        shown(judge(&ours, &call, &seen))
    }

    #[test]
    fn locked_providers_are_installed_and_the_lock_file_is_unchanged() {
        let files = [("main.tf", NULL), (".terraform.lock.hcl", LOCK)];
        assert_eq!(judged("init", &files, &[]), READONLY);
        assert_eq!(judged("init -backend=false", &files, &[]), READONLY);
        assert_eq!(judged("init", &[("main.tf", "")], &[]), READONLY);
        let plan = judged("plan", &files, &[]);
        assert!(plan.starts_with("unchanged: "), "{plan}");
        // The tool has to write excepted providers to the lock file.
        let bare = [("main.tf", NULL)];
        assert_eq!(judged("init", &bare, &["hashicorp/null"]), "unchanged: ");
        assert_eq!(judged("init", &files, &["hashicorp/null"]), READONLY);
    }

    #[test]
    fn unpinned_providers_and_modules_are_neither_installed_nor_used() {
        let module = "module \"vpc\" {\n  source = \"acme/vpc/aws\"\n}\n";
        for words in [
            "init",
            "plan",
            "apply -auto-approve",
            "destroy",
            "import a b",
            "test",
        ] {
            let found = judged(words, &[("main.tf", NULL)], &[]);
            assert!(found.starts_with("refused: "), "{words}: {found}");
            assert!(
                found.contains("provider hashicorp/null (main.tf:1) is not locked"),
                "{found}"
            );
            let found = judged(words, &[("main.tf", module)], &["acme/other/aws"]);
            assert!(
                found.contains("module `vpc` (main.tf:1): acme/vpc/aws has no version"),
                "{found}"
            );
            let found = judged(words, &[("main.tf", "module {")], &["acme/vpc/aws"]);
            assert!(found.contains("main.tf ends within"), "{found}");
        }
        for words in [
            "fmt",
            "output",
            "state list",
            "workspace select x",
            "version",
        ] {
            let found = judged(words, &[("main.tf", NULL)], &[]);
            assert_eq!(found, "unchanged: ", "{words}");
        }
        assert_eq!(
            judged("init", &[("main.tf", module)], &["acme/vpc/aws"]),
            READONLY
        );
    }

    #[test]
    fn commands_that_would_change_versions_are_refused() {
        let files = [("main.tf", NULL), (".terraform.lock.hcl", LOCK)];
        for words in [
            "init -upgrade",
            "init --upgrade=true",
            "init -from-module=./x",
            "init -lockfile=",
            "init -lockfile other",
            "providers lock",
            "providers lock -platform=linux_arm64",
        ] {
            let found = judged(words, &files, &[]);
            assert!(found.starts_with("refused: "), "{words}: {found}");
        }
        for words in ["init -upgrade=false", "init -lockfile=readonly"] {
            assert_eq!(judged(words, &files, &[]), READONLY, "{words}");
        }
        let named = "providers lock -platform=linux_amd64 hashicorp/null";
        let found = judged(named, &files, &["hashicorp/null"]);
        assert_eq!(found, "unchanged: ");
        for (words, excepted) in [
            (named, "acme/vpc/aws"),
            // Without names it is about all of them.
            ("providers lock", "hashicorp/null"),
            (
                "providers lock hashicorp/null hashicorp/aws",
                "hashicorp/null",
            ),
        ] {
            let found = judged(words, &files, &[excepted]);
            assert!(found.starts_with("refused: "), "{words}: {found}");
        }
    }

    #[test]
    fn only_what_is_excepted_is_unlocked() {
        let folder = tempfile::tempdir().unwrap();
        let lock = |entries: &[(&str, &str, &str)]| {
            let text: String = entries
                .iter()
                .map(|(name, version, hash)| {
                    LOCK.replace("hashicorp/null", name)
                        .replace("3.2.1", version)
                        .replace("h1:x", hash)
                })
                .collect();
            std::fs::write(folder.path().join(".terraform.lock.hcl"), text).unwrap();
            let mut seen = seen(None);
            seen.dependencies =
                Some(dependencies::declared(folder.path(), false).map_err(Unseen::from));
            seen
        };
        std::fs::write(folder.path().join("main.tf"), "").unwrap();
        let aws = ("hashicorp/aws", "5.1.0", "h1:a");
        let before = match lock(&[aws]).dependencies {
            Some(Ok(found)) => found.locked(),
            other => panic!("{other:?}"),
        };
        let rule = Rule::excepting(&["hashicorp/null"]);
        let null = ("hashicorp/null", "3.2.1", "h1:x");
        assert_eq!(moved(&rule, &before, &lock(&[aws, null])), None);
        assert_eq!(moved(&rule, &before, &lock(&[null])), None);
        for (entry, words) in [
            (
                ("evil/it", "1.0.0", "h1:e"),
                "provider evil/it 1.0.0 was not locked",
            ),
            (
                ("hashicorp/aws", "5.2.0", "h1:a"),
                "provider hashicorp/aws 5.2.0 was locked at another",
            ),
            (
                ("hashicorp/aws", "5.1.0", "h1:e"),
                "was locked with other hashes",
            ),
        ] {
            let found = moved(&rule, &before, &lock(&[null, entry])).map(shown);
            let found = found.unwrap();
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn providers_that_were_started_before_are_not_used() {
        let mut ours = ours(Locking::Dynamodb);
        let call = call("apply", &[("AWS_ACCESS_KEY_ID", "ASIA1"), (REATTACH, "{}")]);
        let mut seen = seen(None);
        seen.dependencies = Some(Ok(dependencies::Dependencies::default()));
        let found = shown(judge(&ours, &call, &seen));
        assert!(found.starts_with("unchanged: "), "{found}");
        ours.rule = Some(Rule::excepting(&[]));
        let found = shown(judge(&ours, &call, &seen));
        assert!(
            found.starts_with("refused: TF_REATTACH_PROVIDERS"),
            "{found}"
        );
    }
}
