//! Layers from the engine's own store, and from its export where the store cannot be read.

use super::images::{Folder, Loaded, noise};
use super::{World, push_one};
use crate::source::Source;
use std::fs;
use std::path::{Path, PathBuf};

fn store(source: &Source) -> Option<PathBuf> {
    match source {
        Source::Archive(archive) => archive.store().map(Path::to_owned),
        Source::Layout(_) => panic!("a layout"),
    }
}

/// A file that says something else until the end of a test.
struct Damaged(PathBuf, String);

impl Damaged {
    fn new(path: PathBuf, text: &str) -> Self {
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        Self(path, before)
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        fs::write(&self.0, &self.1).unwrap();
    }
}

#[tokio::test]
async fn a_store_that_leads_astray_is_left_for_the_export_and_the_image_is_the_same() {
    let folder = Folder::new();
    let files = [noise(1, 200_000), noise(2, 100_000), noise(3, 300_000)];
    let image = Loaded::new(&folder, "astray", &files.each_ref().map(Vec::as_slice));
    let world = World::new().await;
    let source = image.source().await;
    let root = store(&source).expect("the engine of these tests has a store that root can read");
    let good = push_one(&source, world.target(&["v1"])).await.unwrap();
    assert!(store(&source).is_some());

    // The engine read this once, when it got the layer; its own readings do not change.
    let lowest = image
        .inspect("{{index .RootFS.Layers 0}}")
        .replace(':', "/");
    let upper = PathBuf::from(image.inspect("{{.GraphDriver.Data.UpperDir}}"));
    let upper = upper.parent().unwrap().file_name().unwrap();
    let place = root.join("image/overlay2/layerdb").join(lowest);
    let damaged = Damaged::new(place.join("cache-id"), upper.to_str().unwrap());
    let world = World::new().await;
    let source = image.source().await;
    assert!(store(&source).is_some());
    let done = push_one(&source, world.target(&["v1"])).await.unwrap();
    assert_eq!(store(&source), None);
    assert_eq!(done.manifest, good.manifest);
    let tagged = world.tagged("acme/app", "v1").await;
    assert_eq!(tagged, Some(done.manifest.digest.to_string()));
    drop(damaged);
}
