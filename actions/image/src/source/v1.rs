//! The names that a Docker Engine before version 25 gives to the layers of an export.
//!
//! Their folders are named by the images that Docker 1.9 and older would have had: a name is the SHA-256 of a fixed
//! configuration, the layer's chain ID and its parent's name (moby v20.10, `image/tarexport/save.go` and `image/v1/imagev1.go`).
//! So names follow from diff IDs, and a layer is known before it is read. The top layer's name covers the image's own
//! configuration; it is the one whose parent is the layer below.

use kit::id::Digest;
use std::collections::HashMap;

/// Go's form of an empty configuration made at the epoch. An engine whose clock is not on UTC writes another time; its names
/// are then not found, and each layer is read to be known.
const CONFIGURATION: &str = r#""container_config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"created":"1970-01-01T00:00:00Z""#;

/// The names of an image's layers.
pub(super) struct Names {
    /// Of all layers but the top one.
    lower: HashMap<String, Digest>,
    /// The same names, bottom layer first.
    #[cfg(test)]
    pub(super) order: Vec<String>,
    /// The top layer, and the name of the one below it.
    top: Option<(Option<String>, Digest)>,
}

impl Names {
    /// For the layers `diff_ids`, bottom first.
    pub(super) fn of(diff_ids: &[Digest]) -> Self {
        let mut names = Self {
            lower: HashMap::new(),
            #[cfg(test)]
            order: Vec::new(),
            top: None,
        };
        let mut chain: Option<Digest> = None;
        let mut parent: Option<String> = None;
        let Some((top, lower)) = diff_ids.split_last() else {
            return names;
        };
        for diff_id in lower {
            let next = crate::digest::chain_id(chain.as_ref(), diff_id);
            let above = parent.as_ref().map_or_else(String::new, |parent| {
                format!(r#","parent":"sha256:{parent}""#)
            });
            let name = crate::digest::digest(
                format!(r#"{{{CONFIGURATION},"layer_id":"{next}"{above}}}"#).as_bytes(),
            );
            let name = name.hex().to_owned();
            #[cfg(test)]
            names.order.push(name.clone());
            names.lower.insert(name.clone(), diff_id.clone());
            chain = Some(next);
            parent = Some(name);
        }
        names.top = Some((parent, top.clone()));
        names
    }

    /// The diff ID of the layer in the folder `name`, whose `json` names `parent`.
    pub(super) fn diff_id(&self, name: &str, parent: Option<&str>) -> Option<Digest> {
        if let Some(diff_id) = self.lower.get(name) {
            return Some(diff_id.clone());
        }
        let (below, diff_id) = self.top.as_ref()?;
        (below.as_deref() == parent).then(|| diff_id.clone())
    }
}
