//! The files that a user's `uses: slipway-delivery/slipway/…@COMMIT` downloads: the actions, the launcher and the callable
//! workflows, copied out of the checkout so that act can stand in for the remote repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, sha256};

/// The project's repository, as users name it.
pub const REPOSITORY: &str = "slipway-delivery/slipway";

/// The workflows that other repositories call.
pub(super) const CALLABLE: [&str; 7] = [
    "approve.yml",
    "check.yml",
    "continue.yml",
    "deliver.yml",
    "plan.yml",
    "promote.yml",
    "stack.yml",
];

/// A copy of the checkout, as act takes it.
#[derive(Debug, Clone)]
pub struct Export {
    /// The folder.
    pub folder: PathBuf,
    /// The commit that the example pins, under which act finds the folder.
    pub pin: String,
}

/// Copies what users refer to, once for each content.
pub fn export(instance: &Instance) -> Result<Export> {
    let pin = pinned(
        &instance
            .checkout
            .join("docs/examples/storefront/.github/workflows"),
    )?;
    let mut files = Vec::new();
    for name in steps(&instance.checkout)? {
        files.push(format!("actions/{name}/action.yml"));
    }
    for file in ["launch.js", "main.js", "post.js"] {
        files.push(format!("actions/launch/{file}"));
    }
    for file in CALLABLE {
        files.push(format!(".github/workflows/{file}"));
    }
    let mut texts = Vec::new();
    let mut all = pin.clone();
    for file in files {
        let path = instance.checkout.join(&file);
        let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
        let text = readable_by_act(&text, &pin);
        all.push_str(&format!("\n{file}\n{text}"));
        texts.push((file, text));
    }
    // A release pins its binaries there. This one is of the binaries that were built here.
    let lock = lock(instance, &steps(&instance.checkout)?)?;
    all.push_str(&lock);
    texts.push(("actions/launch/release.lock".to_owned(), lock));
    let folder = instance
        .dir
        .join("exports")
        .join(&sha256(all.as_bytes())[..16]);
    if !folder.exists() {
        // Two runs may export at once: each writes its own folder, and the rename is atomic.
        let partial = folder.with_extension(uuid::Uuid::new_v4().simple().to_string());
        for (file, text) in texts {
            let path = partial.join(file);
            fs::create_dir_all(path.parent().unwrap_or(&partial)).context("exporting")?;
            fs::write(&path, text).context(format!("writing {}", path.display()))?;
        }
        if fs::rename(&partial, &folder).is_err() {
            fs::remove_dir_all(&partial).context("exporting")?;
        }
    }
    Ok(Export { folder, pin })
}

/// The text of a `release.lock` that pins the binaries that were built here.
fn lock(instance: &Instance, steps: &[String]) -> Result<String> {
    let mut assets = serde_json::Map::new();
    for step in steps {
        let file = instance.built().join(format!("slipway-{step}"));
        let bytes = fs::read(&file).context(format!("reading {}", file.display()))?;
        let asset = format!("slipway-{step}-{}-linux", std::env::consts::ARCH);
        assets.insert(asset, serde_json::json!({"sha256": sha256(&bytes)}));
    }
    Ok(serde_json::json!({"version": "0.0.0", "assets": assets}).to_string())
}

/// The steps: every folder of actions/ that holds an action.
pub fn steps(checkout: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(checkout.join("actions"))
        .context("reading actions/")?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            entry.path().join("action.yml").exists().then_some(name)
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Rewrites only what act does not know: `$/`, which is this very repository at this very commit, and
/// `deployment: false`, which keeps GitHub from writing a deployment of its own.
pub(super) fn readable_by_act(text: &str, pin: &str) -> String {
    text.lines()
        .filter(|line| line.trim() != "deployment: false")
        .map(|line| match line.split_once("uses: $/") {
            Some((before, path)) => format!("{before}uses: {REPOSITORY}/{}@{pin}\n", path.trim()),
            None => format!("{line}\n"),
        })
        .collect()
}

/// The one commit that all workflows of the example pin.
fn pinned(workflows: &Path) -> Result<String> {
    let mut found: Option<String> = None;
    for entry in fs::read_dir(workflows).context("reading the example's workflows")? {
        let path = entry.context("reading the example's workflows")?.path();
        let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
        for line in text.lines() {
            let Some((_, rest)) = line.split_once(&format!("uses: {REPOSITORY}/")) else {
                continue;
            };
            let pin = rest
                .split_once('@')
                .map(|(_, pin)| pin.split_whitespace().next().unwrap_or_default())
                .unwrap_or_default();
            if pin.len() != 40 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Fault::new(format!(
                    "{}: not pinned by a commit: {line}",
                    path.display()
                )));
            }
            if found.as_deref().is_some_and(|other| other != pin) {
                return Err(Fault::new(format!(
                    "{}: pins another commit than the rest: {pin}",
                    path.display()
                )));
            }
            found = Some(pin.to_owned());
        }
    }
    found.ok_or_else(|| Fault::new("the example's workflows use no action of this project"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_act_cannot_read_is_rewritten() {
        let text = "    environment:\n      name: dev\n      deployment: false\n    - uses: $/actions/image\n    - uses: a/b@c\n";
        assert_eq!(
            readable_by_act(text, "abc"),
            "    environment:\n      name: dev\n    - uses: slipway-delivery/slipway/actions/image@abc\n    - uses: a/b@c\n"
        );
    }

    #[test]
    fn an_example_that_pins_two_commits_or_a_tag_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pin: &str| {
            let text = format!("- uses: slipway-delivery/slipway/actions/image@{pin} # v1\n");
            fs::write(folder.path().join(name), text).unwrap();
        };
        write("a.yml", &"1".repeat(40));
        assert_eq!(pinned(folder.path()).unwrap(), "1".repeat(40));
        write("b.yml", &"2".repeat(40));
        assert!(pinned(folder.path()).is_err());
        write("b.yml", "v1");
        assert!(pinned(folder.path()).is_err());
    }
}
