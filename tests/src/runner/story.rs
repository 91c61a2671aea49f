//! A team at work on the example repository: people, a protected main branch, pull requests with checks and reviews.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::git::git;
use super::hub::{Hub, number};
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::say::note;
use crate::world::World;

/// Writes code.
pub const AUTHOR: &str = "ada";
/// Helps with it. Only a commit's text names her.
const HELPER: &str = "margaret";
/// Reviews it.
pub const REVIEWER: &str = "grace";
/// Promotes, and reviews now and then.
pub const RELEASER: &str = "linus";

/// The world's repository and the people in it.
#[derive(Debug, Clone)]
pub struct Story {
    /// GitHub's side.
    pub hub: Hub,
}

/// The commits that were shipped, and their runs.
#[derive(Debug)]
pub struct Shipped {
    /// The commit that is in production.
    pub first: String,
    /// The commit that is in dev and staging, and was in production too.
    pub second: String,
    /// The purpose of each run, and its folder, with `log.txt` and the source in `repository`.
    pub runs: Vec<(String, PathBuf)>,
}

/// Where the world's repository is, as GitHub has it: bare.
pub fn git_folder(instance: &Instance, world: &World) -> PathBuf {
    instance
        .dir
        .join("worlds")
        .join(&world.name)
        .join("storefront.git")
}

/// Where a repository of the world's is, bare: the code's or another one of its owner's.
pub fn repository_folder(instance: &Instance, world: &World, repository: &str) -> PathBuf {
    let code = git_folder(instance, world);
    match repository.rsplit_once('/') {
        Some((_, name)) if repository != world.repository => {
            code.with_file_name(format!("{name}.git"))
        }
        _ => code,
    }
}

/// Puts a contract on the world's protected branch, past its pull requests, as somebody would who changed it there since: `path`
/// is the file's in the repository. Answers the branch, which is trunk where main was renamed, and its newest commit before.
///
/// # Errors
/// git refuses.
pub async fn contract_on_branch(
    instance: &Instance,
    world: &World,
    file: &Path,
    path: &str,
) -> Result<(String, String)> {
    let bare = git_folder(instance, world);
    let git = async |arguments: &[&str]| -> Result<String> {
        Ok(git(&bare, arguments).await?.trim().to_owned())
    };
    let find = [
        "for-each-ref",
        "--count=1",
        "--format=%(refname) %(objectname)",
        "refs/heads/main",
        "refs/heads/trunk",
    ];
    let found = git(&find).await?;
    let (branch, tip) = found
        .split_once(' ')
        .ok_or_else(|| Fault::new("the repository has no protected branch"))?;
    let before = (branch.to_owned(), tip.to_owned());
    let file = file.to_string_lossy();
    let blob = git(&["hash-object", "-w", &file]).await?;
    let entry = format!("100644,{blob},{path}");
    git(&["read-tree", tip]).await?;
    git(&["update-index", "--add", "--cacheinfo", &entry]).await?;
    let tree = git(&["write-tree"]).await?;
    if git(&["rev-parse", &format!("{tip}^{{tree}}")]).await? == tree {
        return Ok(before);
    }
    let name = format!("user.name={AUTHOR}");
    let email = format!("user.email={AUTHOR}@acme.example");
    let commit = [
        "-c",
        &name,
        "-c",
        &email,
        "commit-tree",
        &tree,
        "-p",
        tip,
        "-m",
        "The contract",
    ];
    let commit = git(&commit).await?;
    git(&["update-ref", branch, &commit, tip]).await?;
    Ok(before)
}

/// The environment on GitHub whose jobs run an environment's infrastructure code.
pub fn infrastructure(environment: &str) -> String {
    format!("{environment}-infrastructure")
}

/// Why somebody overrides the gate.
pub const EMERGENCY: &str = "the shop is down";

/// The example's contract, with somebody who may use break-glass in production.
pub fn contract_with_break_glass(instance: &Instance) -> Result<String> {
    let path = instance
        .checkout
        .join("docs/examples/storefront/delivery.yaml");
    let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    let checks = "      checks: [test@15368]";
    if !text.contains(checks) {
        return Err(Fault::new(format!("the example has no `{checks}`")));
    }
    let glass = format!("      break-glass: {{ people: [{RELEASER}], expires: 1h }}\n");
    let text = text.replace(checks, &format!("{glass}{checks}"));
    Ok(format!(
        "{text}\npeople:\n{}",
        known([AUTHOR, REVIEWER, RELEASER])
    ))
}

/// The lines of `people` with the numbers of these accounts.
pub fn known<'a>(logins: impl IntoIterator<Item = &'a str>) -> String {
    let line = |login| format!("  {login}: {{ id: {} }}\n", number(login));
    logins.into_iter().map(line).collect()
}

/// The example's contract, with a gate of staging that asks for a plan of the infrastructure and for somebody who approves it.
pub fn contract_with_plans(contract: &str) -> Result<String> {
    let gate = "    gate: { approvals: 1, workflow";
    if !contract.contains(gate) {
        return Err(Fault::new(format!("the example has no `{gate}`")));
    }
    let approve = format!("approve: {{ people: [{REVIEWER}, {RELEASER}] }}");
    let asks = format!("    gate: {{ plan: true, {approve}, approvals: 1, workflow");
    Ok(contract.replacen(gate, &asks, 1))
}

/// A contract without what proves images and records, for tests that put their own into registry and ledger.
pub fn unproven(contract: &str) -> String {
    let proves = |line: &&str| {
        ["keys:", "anchor:"]
            .iter()
            .any(|key| line.trim_start().starts_with(key))
    };
    contract
        .lines()
        .filter(|line| !proves(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

impl Story {
    /// Puts the example into a repository of its own and registers it with its people.
    pub async fn begin(instance: &Instance, world: &World) -> Result<Self> {
        let hub = Hub::new(instance, &world.repository)?;
        for login in [AUTHOR, HELPER, REVIEWER, RELEASER] {
            hub.user(login, "User").await?;
        }
        let bare = git_folder(instance, world);
        let seed = bare.with_file_name("seed");
        if seed.exists() {
            fs::remove_dir_all(&seed).context("clearing an earlier seed")?;
        }
        copy(&instance.checkout.join("docs/examples/storefront"), &seed)?;
        git(&seed, &["init", "--quiet", "--initial-branch", "main"]).await?;
        git(&seed, &["add", "--all"]).await?;
        let name = format!("user.name={AUTHOR}");
        let email = format!("user.email={AUTHOR}@acme.example");
        git(
            &seed,
            &[
                "-c",
                &name,
                "-c",
                &email,
                "commit",
                "--quiet",
                "--message",
                "The storefront",
            ],
        )
        .await?;
        let folder = bare
            .parent()
            .ok_or_else(|| Fault::new("the repository has no folder"))?;
        git(
            folder,
            &["clone", "--quiet", "--bare", "seed", "storefront.git"],
        )
        .await?;
        hub.call(
            "repos",
            &json!({
                "repository": world.repository,
                "git": bare,
                // Older than the day GitHub began to put ids into subjects, as most repositories are.
                "created_at": "2024-03-01T09:00:00Z",
                "collaborators": {AUTHOR: "write", REVIEWER: "write", RELEASER: "maintain"},
            }),
        )
        .await?;
        for environment in &world.environments {
            for name in [environment.name.clone(), infrastructure(&environment.name)] {
                hub.act("environments", &json!({"name": name})).await?;
            }
        }
        Ok(Self { hub })
    }

    /// A pull request from its first push to its merge: pushed by `author`, its test green, approved by `approver`, merged
    /// by them. Answers the merge commit.
    pub async fn change(
        &self,
        author: &str,
        approver: &str,
        title: &str,
        files: &[(&str, &str)],
    ) -> Result<String> {
        let number = self.propose(author, title, files).await?;
        self.hub
            .act(
                &format!("pulls/{number}/reviews"),
                &json!({"user": approver, "state": "APPROVED"}),
            )
            .await?;
        self.merge(number, approver).await
    }

    /// Three pull requests in a row, approved by two people; the first brings the contract. Answers the commit of the last
    /// merge. GitHub keeps only the newest run that waits in a concurrency group, so merges in quick succession are one
    /// delivery.
    pub async fn changes(&self, contract: &str) -> Result<String> {
        let changes = [
            (REVIEWER, "Say who may do what", ("delivery.yaml", contract)),
            (
                RELEASER,
                "Say what the shop is",
                ("README.md", "# A shop\n"),
            ),
            (REVIEWER, "Keep notes", ("NOTES.md", "The first change.\n")),
        ];
        let mut last = String::new();
        for (approver, title, file) in changes {
            note(&format!(
                "  {AUTHOR} opens the pull request `{title}`, {approver} approves and merges it"
            ));
            last = self.change(AUTHOR, approver, title, &[file]).await?;
        }
        Ok(last)
    }

    /// Pushes a branch, opens a pull request and lets its test succeed. Answers its number.
    pub async fn propose(&self, author: &str, title: &str, files: &[(&str, &str)]) -> Result<u64> {
        let branch: String = title
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect();
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let message =
            format!("{title}\n\nCo-authored-by: {HELPER} <{HELPER}@users.noreply.github.com>");
        let push = json!({"user": author, "branch": branch, "from": "main", "files": files, "message": message});
        self.hub.act("push", &push).await?;
        let pull = self
            .hub
            .act(
                "pulls",
                &json!({"user": author, "head": branch, "title": title}),
            )
            .await?;
        let head = text(&pull, "head_sha")?;
        self.hub
            .act(
                "check-runs",
                &json!({"ref": head, "name": "test", "conclusion": "success"}),
            )
            .await?;
        pull["number"]
            .as_u64()
            .ok_or_else(|| Fault::new("the GitHub stand-in answered no number"))
    }

    /// Merges a pull request and answers the commit on main.
    pub async fn merge(&self, number: u64, by: &str) -> Result<String> {
        text(
            &self
                .hub
                .act(&format!("pulls/{number}/merge"), &json!({"user": by}))
                .await?,
            "sha",
        )
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Fault::new(format!("the GitHub stand-in answered no {name}: {value}")))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context(format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).context(format!("reading {}", from.display()))? {
        let entry = entry.context("reading the example")?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            // The files that a local trial of the infrastructure leaves are not part of the example.
            if entry.file_name() != ".terraform" {
                copy(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), &target)
                .context(format!("copying {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_without_proofs_names_neither_key_nor_anchor() {
        let example = include_str!("../../../docs/examples/storefront/delivery.yaml");
        let bare = unproven(example);
        assert_eq!(bare.lines().count() + 2, example.lines().count(), "{bare}");
        assert!(
            !bare.contains("alias/") && !bare.contains("anchor"),
            "{bare}"
        );
    }
}
