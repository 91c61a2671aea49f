//! OCI layouts, as folders and as tars.

use super::*;

/// A layout with one image of `blobs`, the last of which is its manifest.
fn layout(bench: &Bench, blobs: &[Vec<u8>]) -> PathBuf {
    let folder = bench.path("layout");
    std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )
    .unwrap();
    for bytes in blobs {
        std::fs::write(folder.join(blob(bytes)), bytes).unwrap();
    }
    let root = blobs.last().unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(root).as_str(), "size": root.len(), "annotations": {"a": "b"}}]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    folder
}

/// The same as a tar.
fn packed(bench: &Bench, folder: &Path) -> PathBuf {
    let path = bench.path("layout.tar");
    let status = Command::new("tar")
        .arg("-cf")
        .arg(&path)
        .arg("-C")
        .arg(folder)
        .arg(".")
        .status()
        .unwrap();
    assert!(status.success());
    path
}

fn opened(path: &Path) -> Layout {
    match Source::open(path, &Env::default()) {
        Ok(Source::Layout(layout)) => layout,
        Ok(Source::Archive(_)) => panic!("{} is taken for an archive", path.display()),
        Err(error) => panic!("{error}"),
    }
}

fn bytes_of(layout: &Layout, digest: &Digest) -> std::io::Result<Vec<u8>> {
    let mut blob = layout.open(digest).map_err(std::io::Error::other)?;
    let mut bytes = Vec::new();
    blob.reader.read_to_end(&mut bytes)?;
    assert_eq!(blob.size, bytes.len() as u64);
    Ok(bytes)
}

#[test]
fn the_blobs_of_a_layout_can_be_read_repeatedly_and_concurrently() {
    let bench = Bench::new();
    let big: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let zstd = rusty_zstd::compress(&big[..100_000], 1).unwrap();
    // A foreign layer is in the manifest and not in the layout.
    let foreign = digest(b"a vendor's layer");
    let manifest =
        format!(r#"{{"layers":[{{"digest":"{foreign}","urls":["https://example.com"]}}]}}"#);
    let blobs = vec![big, vec![b'1'], Vec::new(), zstd, manifest.into_bytes()];
    let folder = layout(&bench, &blobs);
    let tar = packed(&bench, &folder);
    for path in [folder, tar] {
        let layout = opened(&path);
        let root = layout.root();
        assert_eq!(root.digest, digest(&blobs[4]));
        assert_eq!(root.size, blobs[4].len() as u64);
        assert_eq!(layout.small(&root.digest).unwrap(), blobs[4]);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for bytes in &blobs {
                        assert!(bytes_of(&layout, &digest(bytes)).unwrap() == *bytes);
                    }
                });
            }
        });
        let error = layout.open(&foreign).unwrap_err();
        assert!(error.message.contains("is missing in"), "{error}");
        let error = layout.small(&digest(&blobs[0])).unwrap_err();
        assert!(error.message.contains("too many for a manifest"), "{error}");
    }
}

#[test]
fn a_layouts_blob_that_is_not_its_digest_never_ends_well() {
    let bench = Bench::new();
    let blobs = vec![vec![1; 100_000], b"{}".to_vec()];
    let folder = layout(&bench, &blobs);
    let name = folder.join(blob(&blobs[0]));
    let mut other = blobs[0].clone();
    other[50_000] = 2;
    for wrong in [
        other,
        blobs[0][..99_999].to_vec(),
        [&blobs[0][..], &[1]].concat(),
        Vec::new(),
    ] {
        std::fs::write(&name, &wrong).unwrap();
        for path in [folder.clone(), packed(&bench, &folder)] {
            let layout = opened(&path);
            let error = bytes_of(&layout, &digest(&blobs[0])).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("is damaged: its bytes are sha256:"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let bench = Bench::new();
    let blobs = vec![vec![1; 100_000], b"{}".to_vec()];
    let folder = layout(&bench, &blobs);
    let layout = opened(&folder);
    let mut blob = layout.open(&digest(&blobs[0])).unwrap();
    let mut first = [0; 1000];
    blob.reader.read_exact(&mut first).unwrap();
    std::fs::File::options()
        .write(true)
        .open(folder.join(self::blob(&blobs[0])))
        .unwrap()
        .set_len(5000)
        .unwrap();
    let error = blob.reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(
        error.to_string().ends_with("ends 95000 bytes early"),
        "{error}"
    );
}

#[test]
fn a_linked_blob_is_read_and_has_to_be_what_its_digest_says() {
    let bench = Bench::new();
    let blobs = vec![b"layer".to_vec(), b"{}".to_vec()];
    let folder = layout(&bench, &blobs);
    let name = folder.join(blob(&blobs[0]));
    std::fs::write(bench.path("outside"), "layer").unwrap();
    std::fs::remove_file(&name).unwrap();
    // As a build system's store links it, and as a tar of the whole root has it.
    let outside = bench.path("outside");
    std::os::unix::fs::symlink(&outside, &name).unwrap();
    assert_eq!(
        bytes_of(&opened(&folder), &digest(b"layer")).unwrap(),
        b"layer"
    );
    std::fs::write(&outside, "other").unwrap();
    let error = bytes_of(&opened(&folder), &digest(b"layer")).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    std::fs::remove_file(&name).unwrap();
    std::fs::write(folder.join("layer"), "layer").unwrap();
    std::os::unix::fs::symlink("/layer", &name).unwrap();
    let tar = packed(&bench, &folder);
    assert_eq!(
        bytes_of(&opened(&tar), &digest(b"layer")).unwrap(),
        b"layer"
    );
    std::fs::remove_file(&name).unwrap();
    std::fs::create_dir(&name).unwrap();
    let error = opened(&folder).open(&digest(b"layer")).unwrap_err();
    assert!(error.message.ends_with("is not a file"), "{error}");
}

/// An `index.json` that lists these images: platform, and the digit that the digest consists of.
fn flat(entries: &[(&str, char)]) -> String {
    let manifests: Vec<serde_json::Value> = entries
        .iter()
        .map(|(platform, fill)| {
            let mut entry = serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2,
                "digest": format!("sha256:{}", fill.to_string().repeat(64)),
            });
            if let Some((os, architecture)) = platform.split_once('/') {
                entry["platform"] = serde_json::json!({"os": os, "architecture": architecture});
            }
            entry
        })
        .collect();
    serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string()
}

#[test]
fn an_index_json_that_lists_platforms_is_the_image_s_index() {
    let bench = Bench::new();
    let folder = layout(&bench, &[b"{}".to_vec()]);
    let several = [
        ("linux/amd64", '1'),
        ("linux/arm64", '2'),
        ("unknown/unknown", '3'),
        ("unknown/unknown", '4'),
    ];
    let text = flat(&several);
    for mark in ["", "\u{feff}"] {
        std::fs::write(folder.join("index.json"), format!("{mark}{text}")).unwrap();
        let layout = opened(&folder);
        assert_eq!(layout.root().digest, digest(text.as_bytes()));
        assert_eq!(layout.small(&layout.root().digest).unwrap(), text);
    }
    // Two names of one image.
    std::fs::write(folder.join("index.json"), flat(&[("", '1'), ("", '1')])).unwrap();
    assert!(opened(&folder).root().digest.as_str().contains("1111"));
    for entries in [
        [("", '1'), ("", '2')],
        [("linux/amd64", '1'), ("linux/amd64", '2')],
        [("linux/amd64", '1'), ("", '2')],
    ] {
        std::fs::write(folder.join("index.json"), flat(&entries)).unwrap();
        let error = Source::open(&folder, &Env::default()).err().unwrap();
        assert!(error.message.contains("holds several images"), "{error}");
    }
}

#[test]
fn refuses_what_is_not_a_layout() {
    let bench = Bench::new();
    let folder = layout(&bench, &[b"{}".to_vec()]);
    let refused = || {
        let error = Source::open(&folder, &Env::default()).err().unwrap();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert!(!error.hints.is_empty());
        error.message
    };
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("index.json", r#"{"manifests":[]}"#);
    assert!(refused().ends_with("is an OCI layout without an image"));
    write(
        "index.json",
        r#"{"manifests":[{"mediaType":"m","digest":"sha512:00","size":1}]}"#,
    );
    assert!(refused().ends_with("which is not a SHA-256 digest"));
    write(
        "index.json",
        r#"{"manifests":[{"mediaType":"m","digest":"sha256:../../etc","size":1}]}"#,
    );
    assert!(refused().ends_with("which is not a SHA-256 digest"));
    write("index.json", "{");
    assert!(refused().ends_with("does not have the expected content"));
    write("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    assert!(refused().contains(r#"version "2.0.0""#));
    std::fs::remove_file(folder.join("oci-layout")).unwrap();
    assert!(refused().contains("it has no oci-layout"));
}
