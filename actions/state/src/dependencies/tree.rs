//! All that a folder's code brings from elsewhere, through the modules that it calls.
//! Source: terraform `internal/modsdir/manifest.go`.

use super::code::{Code, ModuleCall};
use super::files::Files;
use super::manifest::{Installed, manifest};
use super::source::Source;
use super::unreadable::Unreadable;
use crate::block::{self, Value};
use kit::lockfile::{self, Lock};
use kit::paths::plain;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// More than anybody nests modules.
const DEEPEST: usize = 32;
/// More than anybody calls. Modules that call each other twice double with each level.
const MOST: usize = 10_000;

/// A module from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Module {
    /// Its name, with those of the modules above it: `vpc.subnets`.
    pub(super) path: String,
    pub(super) source: Option<Value>,
    pub(super) version: Option<Value>,
    /// Where it is called.
    pub(super) at: String,
}

/// The dependencies of a folder's code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dependencies {
    pub(super) modules: Vec<Module>,
    /// The providers that the code needs, by their sources, with a place that needs each.
    pub(super) providers: BTreeMap<String, String>,
    /// The lock file, if there is one.
    pub(super) lock: Option<Lock>,
    /// Modules for which something else is installed than their calls name, each in words.
    #[serde(default)]
    pub(super) mismatched: Vec<String>,
}

impl Dependencies {
    /// The providers in the lock file.
    pub(crate) fn locked(&self) -> Lock {
        self.lock.clone().unwrap_or_default()
    }
}

/// Reads the code in `folder` and in the local modules below it. With `data`, the folder in which Terraform
/// keeps what it installed, also the modules from elsewhere, and what they call.
///
/// # Errors
/// Something that cannot be read.
pub(super) fn read(
    files: &dyn Files,
    folder: &Path,
    data: Option<&Path>,
    tofu: bool,
) -> Result<Dependencies, Unreadable> {
    let installed = match data {
        Some(data) => manifest(files, data)?,
        None => BTreeMap::new(),
    };
    let mut walk = Walk {
        files,
        folder,
        modules: data.map(|data| data.join("modules")).unwrap_or_default(),
        tofu,
        installed,
        visited: BTreeSet::new(),
        read: 0,
        found: Dependencies::default(),
    };
    walk.module(folder, "", 0)?;
    walk.unvisited();
    let lock = files.read(&folder.join(lockfile::FILE))?;
    walk.found.lock = lock.as_deref().map(lockfile::read).transpose()?;
    Ok(walk.found)
}

struct Walk<'a> {
    files: &'a dyn Files,
    folder: &'a Path,
    /// Where the tool puts modules from elsewhere.
    modules: PathBuf,
    tofu: bool,
    installed: BTreeMap<String, Installed>,
    /// Keys of what was installed for the calls that were seen.
    visited: BTreeSet<String>,
    /// How many folders of code were read.
    read: usize,
    found: Dependencies,
}

impl Walk<'_> {
    fn module(&mut self, folder: &Path, path: &str, depth: usize) -> Result<(), Unreadable> {
        if depth > DEEPEST {
            let path = path.to_owned();
            return Err(Unreadable::TooDeep { path });
        }
        self.read += 1;
        if self.read > MOST {
            return Err(Unreadable::TooMany { most: MOST });
        }
        self.visited.insert(path.to_owned());
        let code = self.code(folder)?;
        for (source, at) in code.providers()? {
            self.found.providers.entry(source).or_insert(at);
        }
        for (name, call) in code.calls {
            let below = match path {
                "" => name,
                path => format!("{path}.{name}"),
            };
            self.call(folder, below, call, depth)?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        folder: &Path,
        path: String,
        call: ModuleCall,
        depth: usize,
    ) -> Result<(), Unreadable> {
        let local = match &call.source {
            Some(Value::Literal(source)) => match Source::of(source) {
                Source::Local(local) => Some(plain(&folder.join(local))),
                _ => None,
            },
            _ => None,
        };
        let is_local = local.is_some();
        let installed = self.installed.get(&path);
        let other =
            installed.and_then(|it| it.other(&call, local.as_deref(), self.folder, &self.modules));
        if let Some(why) = other {
            let at = &call.at;
            self.found
                .mismatched
                .push(format!("module `{path}` ({at}): {why}"));
        }
        let installed = installed.map(|it| plain(&self.folder.join(&it.dir)));
        if let Some(folder) = local.or(installed) {
            self.module(&folder, &path, depth + 1)?;
        }
        if !is_local {
            self.found.modules.push(Module {
                path,
                source: call.source,
                version: call.version,
                at: call.at,
            });
        }
        Ok(())
    }

    fn code(&self, folder: &Path) -> Result<Code, Unreadable> {
        let paths = self.files.list(folder)?;
        let mut code = Code::default();
        for file in block::files(paths, self.tofu) {
            let name = file.path.strip_prefix(self.folder).unwrap_or(&file.path);
            let name = name.display().to_string();
            let Some(text) = self.files.read(&file.path)? else {
                continue;
            };
            match file.json {
                true => code.add_json(&text, &name)?,
                false => code.add_hcl(&text, &name)?,
            }
        }
        Ok(code)
    }

    /// Adds the modules that Terraform installed for calls that were not seen, such as those in tests.
    fn unvisited(&mut self) {
        for (key, installed) in &self.installed {
            let local = matches!(Source::of(&installed.source), Source::Local(_));
            if !self.visited.contains(key) && !local {
                self.found.modules.push(Module {
                    path: key.clone(),
                    source: Some(Value::Literal(installed.source.clone())),
                    version: None,
                    at: "modules.json".to_owned(),
                });
            }
        }
    }
}
