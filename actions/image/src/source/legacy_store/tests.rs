//! The store of the machine's own engine, and copies of it that are damaged. The tests are root, as the engine is.

use super::*;
use crate::digest::digest;
use crate::source::contents::Read as Layer;
use crate::source::engine::Engine;
use crate::source::engine::tests::{Image, docker, take};
use crate::source::{Archive, Source};
use flate2::write::GzEncoder;
use kit::env::Env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

/// One member of a layer.
fn member(
    tar: &mut tar::Builder<Vec<u8>>,
    kind: tar::EntryType,
    name: &[u8],
    link: &str,
    bytes: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o4640 });
    header.set_mtime(1_700_000_000);
    header.set_uid(7);
    if !link.is_empty() {
        header.set_link_name(link).unwrap();
    }
    let name = Path::new(OsStr::from_bytes(name));
    tar.append_data(&mut header, name, bytes).unwrap();
}

/// A layer's tar with members that are hard to put together again.
fn odd() -> Vec<u8> {
    use tar::EntryType as Is;
    let mut tar = tar::Builder::new(Vec::new());
    let noise: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let long = format!("app/{}/{}", "d".repeat(90), "f".repeat(120));
    member(&mut tar, Is::Directory, b"app/", "", b"");
    member(&mut tar, Is::Regular, b"app/large", "", &noise);
    member(&mut tar, Is::Regular, b"app/empty", "", b"");
    member(&mut tar, Is::Regular, b"app/one", "", b"1");
    member(&mut tar, Is::Regular, b"app/block", "", &[7; 512]);
    member(&mut tar, Is::Link, b"app/hard", "app/one", b"");
    member(&mut tar, Is::Symlink, b"app/soft", "/etc/hostname", b"");
    member(&mut tar, Is::Regular, long.as_bytes(), "", b"long");
    member(&mut tar, Is::Regular, b"app/\xff\xfe", "", b"no UTF-8");
    member(
        &mut tar,
        Is::Regular,
        "app/größe <&>".as_bytes(),
        "",
        b"UTF-8",
    );
    member(&mut tar, Is::Fifo, b"app/fifo", "", b"");
    member(&mut tar, Is::Regular, b"app/.wh.gone", "", b"");
    // More padding than a tar needs.
    let mut tar = tar.into_inner().unwrap();
    tar.resize(tar.len() + 20_480, 0);
    tar
}

/// An image of these layers, byte for byte, in the engine.
fn load(folder: &Path, name: &str, layers: &[Vec<u8>]) -> Image {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| digest(layer).to_string())
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": [name]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string();
    let tag = format!("slipway-test/{name}:{}", std::process::id());
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest = serde_json::json!([{"Config": "c.json", "RepoTags": [tag], "Layers": names}]);
    let mut members = vec![("c.json", config.as_bytes())];
    members.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(layers.iter().map(Vec::as_slice)),
    );
    let manifest = manifest.to_string();
    members.push(("manifest.json", manifest.as_bytes()));
    let saved = folder.join(format!("{name}.tar"));
    fs::write(&saved, plain(&members)).unwrap();
    docker(&["load", "-q", "-i", saved.to_str().unwrap()]);
    Image(tag)
}

fn plain(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        member(
            &mut tar,
            tar::EntryType::Regular,
            name.as_bytes(),
            "",
            bytes,
        );
    }
    tar.into_inner().unwrap()
}

fn engine_env() -> Env {
    Env::from([("DOCKER_HOST", "unix:///var/run/docker.sock")])
}

fn archive(source: &Source) -> &Archive {
    match source {
        Source::Archive(archive) => archive,
        Source::Layout(_) => panic!("a layout"),
    }
}

fn measured_layers(layers: &[Layer]) -> Vec<(&Digest, &crate::blob::Measured)> {
    layers
        .iter()
        .map(|layer| (&layer.diff_id, layer.measured.as_ref().unwrap()))
        .collect()
}

#[tokio::test]
async fn odd_layers_are_the_same_from_the_store_and_from_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let above = plain(&[("app/one", b"another one"), ("app/.wh.block", b"")]);
    // An empty layer, and one that is there twice.
    let layers = [odd(), above.clone(), vec![0; 1024], above];
    let image = load(folder.path(), "odd", &layers);
    let source = Source::engine(&engine_env(), &image.0, None).await.unwrap();
    let origin_text = archive(&source).origin_text().unwrap();
    assert!(
        origin_text.starts_with("the engine's store in /"),
        "{origin_text}"
    );
    let (stored, taken) = take(&source);
    // The one that is there twice is read once.
    assert_eq!(taken.len(), 3);
    for (layer, bytes) in stored.layers.iter().zip(&layers) {
        assert_eq!(layer.diff_id, digest(bytes));
    }
    assert!(archive(&source).give_up_shortcut().is_some());
    let origin_text = archive(&source).origin_text();
    assert_eq!(origin_text.as_deref(), Some("the engine's export"));
    let (exported, _) = take(&source);
    assert_eq!(
        measured_layers(&stored.layers),
        measured_layers(&exported.layers)
    );
    assert_eq!(stored.config, exported.config);
    assert!(archive(&source).give_up_shortcut().is_none());
}

#[tokio::test]
async fn an_engine_elsewhere_is_asked_for_its_export() {
    let folder = tempfile::tempdir().unwrap();
    let image = load(folder.path(), "elsewhere", &[plain(&[("a", b"a")])]);
    let engine = Engine::Unix("/var/run/docker.sock".into());
    let inspected = engine.inspect(&image.0).unwrap();
    let (upper, known) = (inspected.upper.unwrap(), inspected.known.unwrap());
    assert!(Store::find(&upper, &known).is_ok());
    for path in [
        "/",
        "/nowhere/overlay2/abc/diff",
        "/nowhere/aufs/abc/diff",
        "overlay2/abc/diff",
        "",
    ] {
        assert!(Store::find(Path::new(path), &known).is_err());
    }
    // The layers that the engine names must be those of the image's configuration.
    for diff_ids in [vec![], vec![digest(b"another")]] {
        let known = Known {
            diff_ids,
            ..known.clone()
        };
        assert!(Store::find(&upper, &known).is_err());
    }
}

#[tokio::test]
async fn a_file_that_came_through_a_link_is_had_from_the_export() {
    use tar::EntryType as Is;
    let folder = tempfile::tempdir().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    member(&mut tar, Is::Directory, b"app/", "", b"");
    member(&mut tar, Is::Symlink, b"current", "app", b"");
    member(&mut tar, Is::Regular, b"current/file", "", b"through");
    let image = load(folder.path(), "link", &[tar.into_inner().unwrap()]);
    let source = Source::engine(&engine_env(), &image.0, None).await.unwrap();
    let Source::Archive(archive) = &source else {
        panic!("a layout");
    };
    let read = archive.read(crate::blob::Compression::Gzip, &mut |_| {
        Some(tokio::sync::mpsc::channel(64).0)
    });
    let error = read.err().unwrap();
    assert!(
        error.causes()[0].contains("current/file in the store cannot be opened"),
        "{error}"
    );
    assert!(archive.give_up_shortcut().is_some());
    assert_eq!(take(&source).1.len(), 1);
}

/// A copy of what the engine keeps of an image of two layers.
struct Copied {
    folder: tempfile::TempDir,
    upper: PathBuf,
    known: Known,
    image: Image,
}

impl Copied {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layers = [
            plain(&[
                ("dir/file", b"some bytes"),
                ("other", b"of the lower layer"),
            ]),
            plain(&[("top", name.as_bytes())]),
        ];
        let image = load(folder.path(), name, &layers);
        let engine = Engine::Unix("/var/run/docker.sock".into());
        let inspected = engine.inspect(&image.0).unwrap();
        let (upper, known) = (inspected.upper.unwrap(), inspected.known.unwrap());
        let store = Store::find(&upper, &known).unwrap();
        let copy = |path: &Path| {
            let to = folder
                .path()
                .join("root")
                .join(path.strip_prefix(store.root()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let copied = Command::new("cp").arg("-a").arg(path).arg(&to).status();
            assert!(copied.unwrap().success());
            to
        };
        for layer in &store.layers {
            copy(&layer.record);
            copy(&layer.folder);
        }
        copy(
            &store
                .root()
                .join("image/overlay2/imagedb/content/sha256")
                .join(known.config.hex()),
        );
        let upper = folder
            .path()
            .join("root")
            .join(upper.strip_prefix(store.root()).unwrap());
        Self {
            upper,
            known,
            image,
            folder,
        }
    }

    fn found(&self) -> io::Result<Store> {
        Store::find(&self.upper, &self.known)
    }

    /// Where a layer, the lower one first, is kept: its files, and what is said of it.
    fn layer(&self, number: usize) -> (PathBuf, PathBuf) {
        let store = self.found().unwrap();
        let layer = &store.layers[number];
        (layer.folder.clone(), layer.record.clone())
    }

    /// Why the store cannot be read.
    fn refused(&self) -> String {
        let store = self.found().unwrap();
        let mut sinks = Vec::new();
        let mut start = |_: &Entry| {
            let (sink, chunks) = tokio::sync::mpsc::channel(64);
            sinks.push(chunks);
            Some(sink)
        };
        let read = crate::compress::with_threads(crate::blob::Compression::Gzip, 2, |compressor| {
            store.read(Reading::new(compressor, &mut start))
        });
        let error = read.unwrap().err().unwrap();
        assert!(
            error.message.contains("the Docker Engine's store in"),
            "{error}"
        );
        error.causes().join(": ")
    }
}

fn packed(lines: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines).unwrap();
    gzip.finish().unwrap()
}

/// A folder that becomes a link to where it is then.
fn moved_behind_a_link(folder: &Path) {
    let away = folder.with_extension("moved");
    fs::rename(folder, &away).unwrap();
    symlink(&away, folder).unwrap();
}

#[test]
fn a_store_that_is_not_what_it_should_be_is_not_read() {
    type Damage = fn(&Copied);
    let damage: [(&str, Damage, &str); 8] = [
        (
            "config",
            |copied| {
                let root = copied.folder.path().join("root");
                let config = root.join("image/overlay2/imagedb/content/sha256");
                let config = config.join(copied.known.config.hex());
                let before = fs::read_to_string(&config).unwrap();
                fs::write(config, before + " ").unwrap();
            },
            "has another configuration",
        ),
        (
            "outside",
            |copied| fs::write(copied.layer(0).1.join("cache-id"), "../../x").unwrap(),
            "the folder of sha256:",
        ),
        (
            "without-record",
            |copied| fs::remove_file(copied.layer(1).1.join("tar-split.json.gz")).unwrap(),
            "No such file",
        ),
        (
            "without-files",
            |copied| fs::remove_dir_all(copied.layer(0).0).unwrap(),
            "No such file",
        ),
        (
            "another",
            |copied| fs::write(copied.layer(0).1.join("diff"), digest(b"x").as_str()).unwrap(),
            "the digest of sha256:",
        ),
        (
            "huge",
            |copied| fs::write(copied.layer(0).1.join("size"), "many").unwrap(),
            "the size of sha256:",
        ),
        // Somebody else's store, under a name of one's own.
        (
            "folders-elsewhere",
            |copied| moved_behind_a_link(&copied.folder.path().join("root/overlay2")),
            "Not a directory",
        ),
        (
            "records-elsewhere",
            |copied| moved_behind_a_link(&copied.folder.path().join("root/image")),
            "Not a directory",
        ),
    ];
    for (name, damage, wanted) in damage {
        let copied = Copied::new(name);
        assert!(copied.found().is_ok(), "{name}");
        damage(&copied);
        let why = copied.found().err().unwrap().to_string();
        assert!(why.contains(wanted), "{name}: {why}");
    }
}

#[test]
fn bytes_that_are_not_the_images_are_refused() {
    let copied = Copied::new("bytes");
    let refused = |wanted: &str| {
        let refused = copied.refused();
        assert!(refused.contains(wanted), "{wanted}: {refused}");
    };
    let (files, record) = copied.layer(0);
    let record = record.join("tar-split.json.gz");
    let (file, whole) = (files.join("dir/file"), fs::read(&record).unwrap());
    fs::write(&file, "some byteS").unwrap();
    refused("is listed");
    fs::write(&file, "some").unwrap();
    refused("dir/file in the store has 4 bytes, and had 10");
    fs::remove_file(&file).unwrap();
    refused("dir/file in the store cannot be opened: No such file");
    // Whatever else stands there is not read, and not opened either.
    symlink("/etc/hostname", &file).unwrap();
    refused("it is not a file, but a Symlink");
    for node in [&["p"][..], &["c", "1", "3"]] {
        fs::remove_file(&file).unwrap();
        let made = Command::new("mknod").arg(&file).args(node).status();
        assert!(made.unwrap().success());
        refused("it is not a file, but a ");
    }
    fs::remove_dir_all(files.join("dir")).unwrap();
    let outside = copied.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "some bytes").unwrap();
    symlink(&outside, files.join("dir")).unwrap();
    refused("dir/file in the store cannot be opened: Not a directory");
    for (lines, wanted) in [
        (&b""[..], "is listed"),
        (
            b"{\"type\":2,\"payload\":\"eA==\",\"position\":0}\n",
            "is listed",
        ),
        (b"{\"type\":9,\"position\":0}\n", "an entry of type 9"),
        (b"{\"type\":1,\"size\":3}\n", "a file without a name"),
        (b"{\"type\":2,\"payload\":\"!\"}\n", "Invalid"),
        (
            b"{\"type\":1,\"size\":10,\"name\":\"../../../../outside/file\"}\n",
            "leads out of its folder",
        ),
        (&vec![b' '; 9 << 20], "no end of line"),
        (b"rubbish\n", "expected value"),
    ] {
        fs::write(&record, packed(lines)).unwrap();
        refused(wanted);
    }
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    refused("");
    drop(copied.image);
}
