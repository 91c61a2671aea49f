//! Layers from the engine's own store, and from its export where the store cannot be read.

use super::images::{Folder, Loaded, noise};
use super::{Fixture, push};
use crate::push::all;
use crate::source::Source;
use kit::id::Digest;
use std::fs;
use std::path::PathBuf;

fn origin_text(source: &Source) -> String {
    match source {
        Source::Archive(archive) => archive.origin_text().unwrap(),
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
async fn an_inconsistent_engine_store_falls_back_to_the_export_with_the_same_image() {
    const SIZES: [usize; 3] = [3_000_000, 100_000, 2_000_000];
    let folder = Folder::new();
    let files = [noise(1, SIZES[0]), noise(2, SIZES[1]), noise(3, SIZES[2])];
    let image = Loaded::new(
        &folder,
        "inconsistent",
        &files.each_ref().map(Vec::as_slice),
    );
    let fixture = Fixture::new().await;
    let source = image.source().await;
    let store = origin_text(&source);
    let root = store
        .strip_prefix("the engine's store in ")
        .expect("root can read it");
    let good = all(push(&source, &[fixture.target(&["v1"])]).await).unwrap();
    assert_eq!(origin_text(&source), store);

    // The engine read this once, when it got the layer, and looks where it did before.
    let diff_ids = image.inspect("{{join .RootFS.Layers \" \"}}");
    let diff_ids: Vec<Digest> = diff_ids
        .split(' ')
        .map(|id| Digest::parse(id).unwrap())
        .collect();
    let mut chain = None;
    for diff_id in &diff_ids {
        chain = Some(crate::digest::chain_id(chain.as_ref(), diff_id));
    }
    let cache_id_path = |id: &Digest| {
        let layers = PathBuf::from(root).join("image/overlay2/layerdb");
        layers.join(id.as_str().replace(':', "/")).join("cache-id")
    };
    let lowest = fs::read_to_string(cache_id_path(&diff_ids[0])).unwrap();
    let damaged = Damaged::new(cache_id_path(&chain.unwrap()), &lowest);
    let fixtures = [Fixture::new().await, Fixture::new().await];
    let source = image.source().await;
    let targets = fixtures.each_ref().map(|fixture| fixture.target(&["v1"]));
    let done = all(push(&source, &targets).await).unwrap();
    assert_eq!(origin_text(&source), "the engine's export");
    for (fixture, done) in fixtures.iter().zip(&done) {
        assert_eq!(done.manifest, good[0].manifest);
        let tagged = fixture.tagged("acme/app", "v1").await;
        assert_eq!(tagged, Some(done.manifest.digest.to_string()));
        assert_eq!(done.counts.pushed, good[0].counts.pushed);
        // Layers that arrived are not sent again, and bytes that were not the image's never became a blob.
        let streams = fixture.proxy.count("PATCH", "");
        assert!((2..=3).contains(&streams), "{streams}");
        assert_eq!(fixture.proxy.count("PUT", "/blobs/"), 4);
    }
    drop(damaged);
}
