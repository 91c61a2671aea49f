//! The modules that the tool installed, by its own list, and whether they are the ones that the calls name. Pure but for
//! reading the list.
//! Source: terraform `internal/modsdir/manifest.go` and `internal/initwd/module_install.go`, hashicorp/go-getter
//! `detect*.go`.

use super::code::ModuleCall;
use super::files::Files;
use super::source::{Source, is_exact, shown};
use super::unreadable::Unreadable;
use crate::block::Value;
use kit::paths::plain;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The module that was installed for a call.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Installed {
    key: String,
    pub(super) source: String,
    #[serde(default)]
    version: String,
    pub(super) dir: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    modules: Vec<Installed>,
}

/// The list, by the names of the calls. Nothing was installed where there is none.
///
/// # Errors
/// It cannot be read.
pub(super) fn manifest(
    files: &dyn Files,
    data: &Path,
) -> Result<BTreeMap<String, Installed>, Unreadable> {
    let path = data.join("modules/modules.json");
    let Some(text) = files.read(&path)? else {
        return Ok(BTreeMap::new());
    };
    let manifest: Manifest = match serde_json::from_str(&text) {
        Ok(manifest) => manifest,
        Err(source) => return Err(Unreadable::Installed { path, source }),
    };
    let mut all = BTreeMap::new();
    for installed in manifest.modules {
        let key = installed.key.clone();
        if all.insert(key.clone(), installed).is_some() {
            return Err(Unreadable::InstalledTwice { path, key });
        }
    }
    Ok(all)
}

impl Installed {
    /// Why this is not what the call names, if so. The tool uses what the list says, wherever it lies.
    /// `local`: the folder that a local source means; `folder`: where the paths of the list begin; `modules`:
    /// where the tool puts what comes from elsewhere.
    pub(super) fn other(
        &self,
        call: &ModuleCall,
        local: Option<&Path>,
        folder: &Path,
        modules: &Path,
    ) -> Option<String> {
        let Some(Value::Literal(source)) = &call.source else {
            // That is refused whatever is installed.
            return None;
        };
        let there = plain(&folder.join(&self.dir));
        if let Some(local) = local {
            let same = matches!(Source::of(&self.source), Source::Local(_)) && there == local;
            return (!same).then(|| {
                let (dir, source) = (self.dir.display(), shown(&self.source));
                format!("{dir} ({source}) is used for it, not {}", local.display())
            });
        }
        if address(&self.source) != address(source) || query(&self.source) != query(source) {
            let (mine, its) = (shown(&self.source), shown(source));
            return Some(match mine == its {
                true => format!("another commit, version or content of {mine} is installed for it"),
                false => format!("{mine} is installed for it, not {its}"),
            });
        }
        if let Some(Value::Literal(version)) = &call.version
            && is_exact(version)
            && exact(version) != exact(&self.version)
        {
            let its = &self.version;
            return Some(format!(
                "version {its} of {} is installed for it",
                shown(source)
            ));
        }
        (!there.starts_with(plain(modules)))
            .then(|| format!("{} is used for it", self.dir.display()))
    }
}

/// A version, with three numbers.
fn exact(version: &str) -> String {
    let version = version.trim().trim_start_matches('=').trim();
    let version = version.trim_start_matches('v');
    let (numbers, rest) = match version.find(['-', '+']) {
        Some(at) => version.split_at(at),
        None => (version, ""),
    };
    let missing = 3_usize.saturating_sub(numbers.split('.').count());
    format!("{numbers}{}{rest}", ".0".repeat(missing))
}

/// Host and path of a source, in the one form that its short forms and its whole one have in common.
fn address(source: &str) -> String {
    let address = source.split('?').next().unwrap_or_default();
    let address = address.split_once("::").map_or(address, |(_, rest)| rest);
    let (whole, rest) = match address.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, address),
    };
    let rest = match rest.split_once('@') {
        Some((user, rest)) if !user.contains('/') => rest,
        _ => rest,
    };
    let (package, below) = rest.split_once("//").unwrap_or((rest, ""));
    let mut package = package.to_owned();
    let mut below = below.to_owned();
    if !whole {
        // `HOST:PATH` of SSH.
        if let Some((host, path)) = package.split_once(':')
            && !host.contains('/')
        {
            package = format!("{host}/{path}");
        }
        let parts: Vec<&str> = package.split('/').collect();
        if let [
            host @ ("github.com" | "bitbucket.org"),
            owner,
            name,
            rest @ ..,
        ] = parts.as_slice()
        {
            let rest = rest.join("/");
            below = match (rest.as_str(), below.as_str()) {
                ("", _) => below,
                (rest, "") => rest.to_owned(),
                (rest, more) => format!("{rest}/{more}"),
            };
            package = format!("{host}/{owner}/{name}");
        }
    }
    let package = package.trim_end_matches('/').trim_end_matches(".git");
    let package = ["registry.terraform.io/", "registry.opentofu.org/"]
        .iter()
        .find_map(|host| package.strip_prefix(host))
        .unwrap_or(package);
    let (host, path) = package.split_once('/').unwrap_or((package, ""));
    let is_host = host.contains('.');
    let host = match is_host {
        true => host.to_ascii_lowercase(),
        false => host.to_owned(),
    };
    format!("{host}/{path}//{}", below.trim_end_matches('/'))
}

/// The sorted parameters of a source's query, without `archive`, which the tool adds for the archive's format.
fn query(source: &str) -> Vec<String> {
    let query = source.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> = pairs
        .filter(|pair| !pair.starts_with("archive="))
        .map(|pair| pair.replace("%3A", ":").replace("%3a", ":"))
        .collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_what_the_tool_makes_of_it_are_one() {
        for (source, installed) in [
            ("acme/vpc/aws", "registry.terraform.io/acme/vpc/aws"),
            (
                "acme/vpc/aws//sub",
                "registry.opentofu.org/acme/vpc/aws//sub",
            ),
            (
                "app.terraform.io/acme/vpc/aws",
                "app.terraform.io/acme/vpc/aws",
            ),
            (
                "github.com/acme/vpc?ref=1",
                "git::https://github.com/acme/vpc.git?ref=1",
            ),
            (
                "github.com/acme/vpc//a?ref=1",
                "git::https://github.com/acme/vpc.git//a?ref=1",
            ),
            (
                "github.com/acme/vpc/a?ref=1",
                "git::https://github.com/acme/vpc.git//a?ref=1",
            ),
            (
                "git@github.com:acme/vpc.git?ref=1",
                "git::ssh://git@github.com/acme/vpc.git?ref=1",
            ),
            (
                "git::https://GIT.acme.example/a.git?ref=1",
                "git::https://git.acme.example/a.git?ref=1",
            ),
            (
                "https://acme.example/v.zip?checksum=sha256:1",
                "https://acme.example/v.zip?archive=zip&checksum=sha256%3A1",
            ),
            (
                "git::file:///srv/a?ref=1&depth=1",
                "git::file:///srv/a?depth=1&ref=1",
            ),
        ] {
            assert_eq!(address(source), address(installed), "{source}");
            assert_eq!(query(source), query(installed), "{source}");
        }
        for (source, other) in [
            ("acme/vpc/aws", "acme/evil/aws"),
            ("acme/vpc/aws", "registry.acme.example/acme/vpc/aws"),
            ("acme/vpc/aws", "acme/vpc/aws//sub"),
            ("github.com/acme/vpc", "gitlab.com/acme/vpc"),
            (
                "git::https://a.example/b.git",
                "git::https://a.example/c.git",
            ),
        ] {
            assert_ne!(address(source), address(other), "{source}");
        }
        assert_ne!(query("a?ref=1"), query("a?ref=2"));
        assert_ne!(query("a?ref=1"), query("a"));
        assert_eq!(exact("= v1.2"), exact("1.2.0"));
        assert_ne!(exact("1.2.0-rc1"), exact("1.2.0"));
    }
}
