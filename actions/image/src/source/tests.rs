use super::*;
use std::collections::HashSet;
use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::Command;
use tokio::sync::mpsc;

/// A folder for images, which goes away.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A tar of `members`, in their order.
    fn tar(&self, name: &str, members: &[(&str, Member)]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, tar(members)).unwrap();
        path
    }
}

#[derive(Clone)]
enum Member {
    File(Vec<u8>),
    Symlink(&'static str),
    Hardlink(&'static str),
}

fn tar(members: &[(&str, Member)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, member) in members {
        let mut header = tar::Header::new_gnu();
        // Written past the crate's own checks, since what comes from elsewhere had none.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let (kind, bytes, target) = match member {
            Member::File(bytes) => (tar::EntryType::Regular, bytes.as_slice(), ""),
            Member::Symlink(target) => (tar::EntryType::Symlink, &[][..], *target),
            Member::Hardlink(target) => (tar::EntryType::Link, &[][..], *target),
        };
        header.set_entry_type(kind);
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn file(bytes: impl Into<Vec<u8>>) -> Member {
    Member::File(bytes.into())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| digest(layer).to_string())
        .collect();
    serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
        .into_bytes()
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", hex(&digest(bytes)))
}

/// What engines before version 25 write, as the names of moby v20.10 have it.
fn legacy(layers: &[&[u8]]) -> Vec<(String, Member)> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
    let mut members = Vec::new();
    let mut folders: Vec<String> = Vec::new();
    let names = v1::Names::of(&diff_ids);
    for (number, layer) in layers.iter().enumerate() {
        let top = number + 1 == layers.len();
        let parent = folders.last().cloned();
        let folder = names
            .order
            .get(number)
            .cloned()
            .filter(|_| !top)
            .unwrap_or_else(|| hex(&digest(b"what the top layer is called")).to_owned());
        let mut json = serde_json::json!({"id": folder});
        if let Some(parent) = &parent {
            json["parent"] = parent.clone().into();
        }
        members.push((format!("{folder}/VERSION"), file("1.0")));
        members.push((format!("{folder}/json"), file(json.to_string())));
        let earlier = layers[..number].iter().position(|other| other == layer);
        let member = match earlier {
            Some(earlier) => {
                let target = format!("../{}/layer.tar", folders[earlier]);
                Member::Symlink(target.leak())
            }
            None => file(*layer),
        };
        members.push((format!("{folder}/layer.tar"), member));
        folders.push(folder);
    }
    let config = config(layers);
    let name = format!("{}.json", hex(&digest(&config)));
    let paths: Vec<_> = folders
        .iter()
        .map(|folder| format!("{folder}/layer.tar"))
        .collect();
    let manifest = serde_json::json!([{"Config": name, "RepoTags": null, "Layers": paths}]);
    members.push((name, file(config)));
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.push(("manifest.json".to_owned(), file(manifest.to_string())));
    members
}

/// What later engines write: `blobs` as they are in the store, under their digests.
fn modern(layers: &[&[u8]], blobs: &[Vec<u8>]) -> Vec<(String, Member)> {
    let config = config(layers);
    let manifest =
        serde_json::json!({"schemaVersion": 2, "config": {"digest": digest(&config).as_str()}})
            .to_string();
    let mut members = vec![
        (blob(&config), file(config.as_slice())),
        (blob(manifest.as_bytes()), file(manifest.as_str())),
    ];
    members.extend(
        blobs
            .iter()
            .map(|bytes| (blob(bytes), file(bytes.as_slice()))),
    );
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|(one, _), (other, _)| one == other);
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest.as_bytes()).as_str(), "size": manifest.len()}]});
    let paths: Vec<_> = blobs.iter().map(|bytes| blob(bytes)).collect();
    let docker = serde_json::json!([{"Config": blob(&config), "Layers": paths}]);
    members.push(("index.json".to_owned(), file(index.to_string())));
    members.push(("manifest.json".to_owned(), file(docker.to_string())));
    members.push((
        "oci-layout".to_owned(),
        file(r#"{"imageLayoutVersion":"1.0.0"}"#),
    ));
    members
}

fn borrowed(members: &[(String, Member)]) -> Vec<(&str, Member)> {
    members
        .iter()
        .map(|(name, member)| (name.as_str(), member.clone()))
        .collect()
}

/// A layer as it came out: what the receiver got, or nothing where it was passed over.
type Got = Vec<(Entry, Option<Vec<u8>>)>;

/// Takes a reading, passing over the layers that `pass` names.
fn take(
    pass: &dyn Fn(&Entry) -> bool,
    read: impl FnOnce(&mut dyn FnMut(&Entry) -> Option<mpsc::Sender<Chunk>>) -> Result<Contents>,
) -> (Result<Contents>, Got) {
    let mut readers = Vec::new();
    let contents = read(&mut |entry| {
        let entry = entry.clone();
        if pass(&entry) {
            readers.push((entry, None));
            return None;
        }
        let (sink, mut source) = mpsc::channel(2);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while let Some(Chunk::Bytes(piece)) = source.blocking_recv() {
                bytes.extend(piece);
            }
            bytes
        });
        readers.push((entry, Some(reader)));
        Some(sink)
    });
    let got = readers
        .into_iter()
        .map(|(entry, reader)| (entry, reader.map(|reader| reader.join().unwrap())))
        .collect();
    (contents, got)
}

/// Reads a file.
fn read(path: &Path) -> (Result<Contents>, Got) {
    let Source::Archive(archive) = Source::open(path).unwrap() else {
        panic!("{} is taken for a layout", path.display());
    };
    take(&|_| false, |start| archive.read(Compression::Gzip, start))
}

/// Reads bytes as the engine's export.
fn stream(bytes: &[u8], known: Option<&Known>) -> (Result<Contents>, Got) {
    stream_but(bytes, known, &|_| false)
}

fn stream_but(
    bytes: &[u8],
    known: Option<&Known>,
    pass: &dyn Fn(&Entry) -> bool,
) -> (Result<Contents>, Got) {
    take(pass, |start| {
        crate::compress::with_threads(Compression::Gzip, 2, |compressor| {
            let reading = reading::Reading::new(compressor, start);
            archive::stream(bytes, "the export", known, reading)
        })
        .unwrap()
    })
}

fn known(layers: &[&[u8]]) -> Known {
    Known {
        config: digest(&config(layers)),
        diff_ids: layers.iter().map(|layer| digest(layer)).collect(),
    }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    flate2::bufread::MultiGzDecoder::new(bytes)
        .read_to_end(&mut back)
        .unwrap();
    back
}

/// Holds a reading against the layers that went in.
fn hold(read: (Result<Contents>, Got), layers: &[&[u8]]) {
    let contents = read.0.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents.config, config(layers));
    let diff_ids: Vec<_> = contents.layers.iter().map(|layer| &layer.diff_id).collect();
    assert_eq!(
        diff_ids,
        layers
            .iter()
            .map(|layer| digest(layer))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    let mut seen = HashSet::new();
    for (entry, bytes) in &read.1 {
        assert!(seen.insert(entry.path.clone()), "{} came twice", entry.path);
        let bytes = bytes.as_ref().unwrap();
        let layer = contents
            .layers
            .iter()
            .find(|layer| layer.entry.path == entry.path)
            .unwrap();
        let measured = layer.measured.as_ref().unwrap();
        assert_eq!(measured.digest, digest(bytes));
        assert_eq!(measured.diff_id, digest(&unpacked(bytes)));
        assert_eq!(measured.size, bytes.len() as u64);
    }
    assert_eq!(seen.len(), layers.iter().collect::<HashSet<_>>().len());
    assert!(contents.layers.iter().all(|layer| layer.measured.is_some()));
}

/// Sets of layers that have gone wrong for others.
fn odd() -> Vec<Vec<Vec<u8>>> {
    let empty = vec![0; 1024];
    let many = (0..120_u32).map(|n| n.to_le_bytes().repeat(300)).collect();
    vec![
        vec![b"one layer".to_vec()],
        vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()],
        vec![empty.clone(), b"x".to_vec(), empty.clone(), empty],
        vec![b"{".to_vec()],
        vec![b"{".to_vec(), Vec::new(), b"[".to_vec()],
        many,
    ]
}

fn slices(layers: &[Vec<u8>]) -> Vec<&[u8]> {
    layers.iter().map(Vec::as_slice).collect()
}

#[test]
fn odd_images_come_whole_out_of_every_kind_of_archive() {
    let bench = Bench::new();
    for layers in odd() {
        let slices = slices(&layers);
        let known = known(&slices);
        for members in [legacy(&slices), modern(&slices, &layers)] {
            let bytes = tar(&borrowed(&members));
            hold(stream(&bytes, Some(&known)), &slices);
            let path = bench.path("image.tar");
            std::fs::write(&path, bytes).unwrap();
            hold(read(&path), &slices);
        }
    }
}

#[test]
fn an_export_can_be_read_without_knowing_it_first() {
    for layers in [&odd()[1], &odd()[5]] {
        let slices = slices(layers);
        hold(stream(&tar(&borrowed(&legacy(&slices))), None), &slices);
        hold(
            stream(&tar(&borrowed(&modern(&slices, layers))), None),
            &slices,
        );
    }
}

#[test]
fn layers_are_known_before_they_are_read_and_passed_over_unread() {
    for layers in odd() {
        let slices = slices(&layers);
        for members in [legacy(&slices), modern(&slices, &layers)] {
            let bytes = tar(&borrowed(&members));
            let (contents, got) = stream_but(&bytes, Some(&known(&slices)), &|entry| {
                assert!(entry.diff_id.is_some(), "{} is not known", entry.path);
                true
            });
            assert!(got.iter().all(|(_, bytes)| bytes.is_none()));
            let contents = contents.unwrap();
            assert_eq!(contents.layers.len(), layers.len());
            assert!(contents.layers.iter().all(|layer| layer.measured.is_none()));
        }
    }
}

#[test]
fn names_of_another_engine_make_nothing_known() {
    let layers: [&[u8]; 3] = [b"a", b"b", b"c"];
    let mut members = legacy(&layers);
    for (name, _) in &mut members {
        // One digit of every folder changes, as on an engine that makes names of something else.
        if name.contains('/') {
            *name = format!(
                "{}{}",
                if name.starts_with('0') { "1" } else { "0" },
                &name[1..]
            );
        }
    }
    stream_but(&tar(&borrowed(&members)), Some(&known(&layers)), &|entry| {
        assert!(
            entry.diff_id.is_none() || entry.diff_id == Some(digest(b"c")),
            "{entry:?}"
        );
        true
    })
    .0
    .err()
    .unwrap();
}

#[test]
fn compressed_layers_go_on_as_they_are() {
    let bench = Bench::new();
    let layers: Vec<Vec<u8>> = vec![vec![7; 700_000], b"second".to_vec()];
    let slices = slices(&layers);
    let blobs: Vec<_> = layers.iter().map(|layer| gzip(layer)).collect();
    let members = modern(&slices, &blobs);
    let bytes = tar(&borrowed(&members));
    let read = stream(&bytes, None);
    for (_, bytes) in &read.1 {
        assert!(blobs.contains(bytes.as_ref().unwrap()));
    }
    hold(read, &slices);
    // The same in a file is a layout, whose manifests stay what they are.
    let path = bench.path("image.tar");
    std::fs::write(&path, &bytes).unwrap();
    let Source::Layout(layout) = Source::open(&path).unwrap() else {
        panic!("it is taken for an archive");
    };
    assert_eq!(layout.root().len(), 1);
    // Without an index it is an archive again.
    let members: Vec<_> = members
        .into_iter()
        .filter(|(name, _)| name != "index.json")
        .collect();
    std::fs::write(&path, tar(&borrowed(&members))).unwrap();
    hold(self::read(&path), &slices);
}

#[test]
fn an_archive_cut_anywhere_is_never_whole() {
    let bench = Bench::new();
    let layers: [&[u8]; 2] = [&[1; 3000], &[2; 700]];
    for members in [
        legacy(&layers),
        modern(&layers, &[layers[0].to_vec(), layers[1].to_vec()]),
    ] {
        // The layout's marker comes last, and nobody reads it.
        let members: Vec<_> = members
            .into_iter()
            .filter(|(name, _)| name != "oci-layout")
            .collect();
        let bytes = tar(&borrowed(&members));
        // The end of the last member; after it come only zeros.
        let content = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for end in (0..content).step_by(256).chain([content - 1]) {
            let cut = &bytes[..end];
            let (contents, _) = stream(cut, Some(&known(&layers)));
            let error = contents.err().unwrap_or_else(|| panic!("whole at {end}"));
            assert!(!error.hints.is_empty(), "{error}");
            let path = bench.path("cut.tar");
            std::fs::write(&path, cut).unwrap();
            let error = Source::open(&path)
                .err()
                .unwrap_or_else(|| panic!("whole at {end}"));
            assert_eq!(error.exit, kit::Exit::Usage);
            assert!(!error.hints.is_empty(), "{error}");
        }
    }
}

#[test]
fn bytes_that_are_not_the_layers_are_found() {
    let layers: [&[u8]; 2] = [b"the first layer", b"the second layer"];
    for mut members in [
        legacy(&layers),
        modern(&layers, &[layers[0].to_vec(), layers[1].to_vec()]),
    ] {
        let member = members
            .iter_mut()
            .find(|(_, member)| matches!(member, Member::File(bytes) if bytes == layers[0]))
            .unwrap();
        member.1 = file("the wrong layer");
        for known in [None, Some(known(&layers))] {
            let (contents, _) = stream(&tar(&borrowed(&members)), known.as_ref());
            let error = contents.err().unwrap();
            assert!(
                error
                    .message
                    .contains("is not the one that the image's configuration lists"),
                "{error}"
            );
        }
    }
    // A compressed blob under a name that is not its digest.
    let blobs: Vec<_> = layers.iter().map(|layer| gzip(layer)).collect();
    let mut members = modern(&layers, &blobs);
    let (_, member) = members
        .iter_mut()
        .find(|(name, _)| *name == blob(&blobs[0]))
        .unwrap();
    *member = file(gzip(b"something else"));
    let error = stream(&tar(&borrowed(&members)), None).0.err().unwrap();
    assert!(
        error.causes[0].starts_with("its bytes are sha256:"),
        "{error}"
    );
}

#[test]
fn an_export_of_another_image_is_found() {
    let layers: [&[u8]; 1] = [b"layer"];
    let bytes = tar(&borrowed(&legacy(&layers)));
    let other = Known {
        config: digest(b"another"),
        ..known(&layers)
    };
    let error = stream(&bytes, Some(&other)).0.err().unwrap();
    assert!(error.message.contains("holds another image"), "{error}");
    // An engine with containerd's store calls it by what its index lists.
    let members = modern(&layers, &[gzip(layers[0])]);
    let (_, Member::File(index)) = members
        .iter()
        .find(|(name, _)| name == "index.json")
        .unwrap()
    else {
        panic!("no index");
    };
    let index: serde_json::Value = serde_json::from_slice(index).unwrap();
    let root = Known {
        config: Digest::parse(index["manifests"][0]["digest"].as_str().unwrap()).unwrap(),
        ..known(&layers)
    };
    hold(stream(&tar(&borrowed(&members)), Some(&root)), &layers);
}

#[test]
fn no_name_leads_out_of_an_archive() {
    let bench = Bench::new();
    std::fs::write(bench.path("secret"), "not yours").unwrap();
    let config = config(&[b"not yours"]);
    let name = format!("{}.json", hex(&digest(&config)));
    let manifest =
        |layer: &str| file(serde_json::json!([{"Config": name, "Layers": [layer]}]).to_string());
    for (layer, member) in [
        ("layer.tar", Member::Symlink("../secret")),
        ("layer.tar", Member::Symlink("/etc/hostname")),
        ("layer.tar", Member::Hardlink("../secret")),
        ("layer.tar", Member::Hardlink("/etc/hostname")),
        ("layer.tar", Member::Symlink("layer.tar")),
        ("layer.tar", Member::Symlink("nowhere")),
        ("../secret", Member::Symlink("x")),
        ("/etc/hostname", Member::Symlink("x")),
    ] {
        let path = bench.tar(
            "image.tar",
            &[
                (layer, member),
                (&name, file(config.as_slice())),
                ("manifest.json", manifest(layer)),
            ],
        );
        let error = Source::open(&path).err().unwrap();
        assert_eq!(error.exit, kit::Exit::Usage, "{error}");
        let error = stream(&std::fs::read(&path).unwrap(), None)
            .0
            .err()
            .unwrap();
        assert!(!error.to_string().contains("not yours"), "{error}");
    }
}

#[test]
fn what_is_no_archive_is_refused_with_what_to_do() {
    let bench = Bench::new();
    let layers: [&[u8]; 1] = [b"layer"];
    let good = tar(&borrowed(&legacy(&layers)));
    let write = |name: &str, bytes: &[u8]| {
        let path = bench.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let two = serde_json::json!([{"Config": "a", "Layers": []}, {"Config": "b", "Layers": []}]);
    let foreign =
        serde_json::json!([{"Config": "a", "Layers": [], "LayerSources": {"sha256:0": {}}}]);
    let config = config(&layers);
    let name = format!("{}.json", hex(&digest(&config)));
    let short = serde_json::json!([{"Config": name, "Layers": []}]);
    let with = |manifest: serde_json::Value| {
        tar(&[
            (&name, file(config.as_slice())),
            ("manifest.json", file(manifest.to_string())),
        ])
    };
    for (bytes, message, hint) in [
        (gzip(&good), "is a gzip file, not a tar", "gunzip"),
        (b"BZh91AY".to_vec(), "is a bzip2 file", "bunzip2"),
        (
            b"no tar at all, but longer than nothing".repeat(40),
            "is no tar",
            "docker save",
        ),
        (Vec::new(), "has no oci-layout", "docker save"),
        (
            tar(&[("readme", file("hello"))]),
            "has no oci-layout",
            "docker save",
        ),
        (with(two), "holds 2 images", "save one image"),
        (with(foreign), "has foreign layers", "oci:DIR"),
        (with(short), "is damaged", "write the archive again"),
        (
            with(serde_json::json!([])),
            "holds 0 images",
            "save one image",
        ),
        (
            with(serde_json::json!({})),
            "is not what it should be",
            "docker save",
        ),
    ] {
        let error = Source::open(&write("file", &bytes)).err().unwrap();
        assert_eq!(error.exit, kit::Exit::Usage, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(error.hints.join("\n").contains(hint), "{error}");
    }
    let error = Source::open(&bench.path("none")).err().unwrap();
    assert!(error.message.contains("there is no"), "{error}");
}

#[test]
fn a_zstd_layer_in_an_archive_is_refused_before_it_is_sent() {
    let layers: [&[u8]; 1] = [b"layer"];
    let frame = rusty_zstd::compress(layers[0], 1).unwrap();
    let bytes = tar(&borrowed(&modern(&layers, &[frame])));
    let (contents, got) = stream(&bytes, None);
    let error = contents.err().unwrap();
    assert!(error.message.contains("is compressed with zstd"), "{error}");
    assert_eq!(got[0].1.as_deref(), Some(&[][..]));
}

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
    match Source::open(path) {
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
fn a_layout_hands_out_each_blob_as_often_as_wanted_and_several_at_once() {
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
        let [root] = layout.root() else {
            panic!("{:?}", layout.root());
        };
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
        assert!(error.message.contains("no manifest"), "{error}");
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
fn a_file_that_shrinks_while_it_is_read_is_no_shorter_blob() {
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
fn a_link_in_a_layout_is_not_followed() {
    let bench = Bench::new();
    let blobs = vec![b"layer".to_vec(), b"{}".to_vec()];
    let folder = layout(&bench, &blobs);
    std::fs::write(bench.path("outside"), "layer").unwrap();
    let name = folder.join(blob(&blobs[0]));
    std::fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink(bench.path("outside"), &name).unwrap();
    let error = opened(&folder).open(&digest(&blobs[0])).unwrap_err();
    assert!(error.hints[0].contains("cp -rL"), "{error}");
}

#[test]
fn what_is_no_layout_is_refused() {
    let bench = Bench::new();
    let folder = layout(&bench, &[b"{}".to_vec()]);
    let refused = || {
        let error = Source::open(&folder).err().unwrap();
        assert_eq!(error.exit, kit::Exit::Usage);
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
    assert!(refused().ends_with("which is no SHA-256 digest"));
    write(
        "index.json",
        r#"{"manifests":[{"mediaType":"m","digest":"sha256:../../etc","size":1}]}"#,
    );
    assert!(refused().ends_with("which is no SHA-256 digest"));
    write("index.json", "{");
    assert!(refused().ends_with("is not what it should be"));
    write("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    assert!(refused().contains(r#"version "2.0.0""#));
    std::fs::remove_file(folder.join("oci-layout")).unwrap();
    assert!(refused().contains("it has no oci-layout"));
}
