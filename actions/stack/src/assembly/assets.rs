//! The assets of a stack: the files and the images that its template refers to.

use super::manifest::{Stack, inside, versioned};
use super::place::Place;
use kit::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file, or a folder that is packed into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asset {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// True if it is a folder, which goes to its destination as a zip file.
    pub(crate) is_packed: bool,
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// An image that is built from a folder of the assembly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    files: BTreeMap<String, Declared<Source, Object>>,
    #[serde(default)]
    docker_images: BTreeMap<String, Declared<serde::de::IgnoredAny, Tagged>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Declared<S, D> {
    display_name: Option<String>,
    source: S,
    destinations: BTreeMap<String, D>,
}

#[derive(Debug, Deserialize)]
struct Source {
    path: Option<String>,
    packaging: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    bucket_name: String,
    object_key: String,
    region: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tagged {
    repository_name: String,
    image_tag: String,
    region: Option<String>,
}

/// Reads the assets of a stack, with their destinations in this place. Its own template is not one of them: it goes to CloudFormation
/// as any template does.
///
/// # Errors
/// A list cannot be read, or an asset is of a kind that this step does not publish (exit 2).
pub(crate) fn of(root: &Path, stack: &Stack, place: &Place) -> Result<(Vec<Asset>, Vec<Image>)> {
    let (mut assets, mut images) = (Vec::new(), Vec::new());
    let template = inside(root, &stack.folder, &stack.properties.template_file)?;
    for list in &stack.assets {
        let folder = list.parent().unwrap_or(root);
        let List {
            files,
            docker_images,
        } = versioned(list)?;
        for (id, file) in files {
            let name = file.display_name.clone().unwrap_or(id);
            let broken =
                |error: Error| error.under(format!("the asset {name} cannot be published"));
            let (path, is_packed) = source(root, folder, &file.source).map_err(broken)?;
            if path == template {
                continue;
            }
            for object in file.destinations.values() {
                let broken =
                    |error: Error| error.under(format!("the asset {name} cannot be published"));
                here(object.region.as_deref(), place).map_err(broken)?;
                assets.push(Asset {
                    name: name.clone(),
                    path: path.clone(),
                    is_packed,
                    bucket: place.fill(&object.bucket_name)?,
                    key: place.fill(&object.object_key)?,
                });
            }
        }
        for (id, image) in docker_images {
            let name = image.display_name.unwrap_or(id);
            for tagged in image.destinations.values() {
                here(tagged.region.as_deref(), place)
                    .map_err(|error| error.under(format!("the image {name} cannot be found")))?;
                images.push(Image {
                    name: name.clone(),
                    repository: place.fill(&tagged.repository_name)?,
                    tag: place.fill(&tagged.image_tag)?,
                });
            }
        }
    }
    assets.sort_by(|one, other| (&one.bucket, &one.key).cmp(&(&other.bucket, &other.key)));
    images.sort();
    Ok((assets, images))
}

/// The path of an asset, and true if it is packed.
fn source(root: &Path, folder: &Path, source: &Source) -> Result<(PathBuf, bool)> {
    let Some(path) = &source.path else {
        return Err(
            Error::usage("a command of the app makes it, which this step does not run")
                .hint("let the app make it before `cdk synth`, and name its path"),
        );
    };
    let is_packed = match source.packaging.as_deref() {
        None | Some("file") => false,
        Some("zip") => true,
        Some(other) => {
            return Err(Error::usage(format!(
                "its packaging is `{other}`, and neither `file` nor `zip`"
            )));
        }
    };
    let path = inside(root, folder, path)?;
    if path.is_dir() != is_packed {
        return Err(Error::usage(match is_packed {
            true => format!("{} is not a folder", path.display()),
            false => format!("{} is not a file", path.display()),
        })
        .hint("run `cdk synth` again"));
    }
    Ok((path, is_packed))
}

/// Checks that a destination is in the stack's region.
fn here(region: Option<&str>, place: &Place) -> Result<()> {
    let Some(region) = region else {
        return Ok(());
    };
    let region = place.fill(region)?;
    match region == place.region.as_ref() {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "its destination is in {region}, and the stack in {}",
            place.region
        ))
        .hint("give the app's synthesizer a destination in the region of the stack")),
    }
}
