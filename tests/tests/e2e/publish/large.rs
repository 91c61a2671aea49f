//! Large layers: how much memory they take, and that what comes out does not depend on the machine.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use sandbox::instance::{hex, sha256};
use serde_json::{Value, json};

use super::checkout::Checkout;
use super::{DEADLINE, LIMIT, noise, seen};
use crate::support::{heavy, log};

#[test]
fn a_large_layer_needs_little_memory() {
    let _turn = heavy();
    let mut checkout = Checkout::new("memory");
    // Random, so that it is not gone once it is compressed.
    let mut content = vec![0; 300 << 20];
    let mut random = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut random, &mut content).unwrap();
    let made = checkout.layouts(&content);
    drop(content);
    let replica = ["--compression", "zstd", "--to", "eu-west-1"];
    for (path, more) in [
        (&made.docker, &[][..]),
        (&made.folder, &[]),
        (&made.docker, &replica),
    ] {
        checkout.commit(path);
        let started = checkout.start(&[&["--layout", path, "--json"], more].concat());
        let (peak, output) = seen::peak(started);
        assert_eq!(output.status.code(), Some(0), "{}", log(&output));
        let pushed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            pushed["to"][0]["bytes"]["pushed"].as_u64().unwrap() > 300 << 20,
            "{pushed}"
        );
        let places = pushed["to"].as_array().unwrap();
        assert_eq!(places.len(), 1 + usize::from(!more.is_empty()), "{pushed}");
        assert!(peak > 1 << 10, "{peak} KiB is not a process");
        assert!(peak < LIMIT, "{path}: {peak} KiB");
    }
}

/// Publishes what is at `path`, and looks at the memory.
fn frugal(checkout: &mut Checkout, path: &str) -> Value {
    checkout.commit(path);
    let (peak, output) = seen::peak(checkout.start(&["--layout", path, "--json"]));
    assert_eq!(output.status.code(), Some(0), "{}", log(&output));
    assert!(peak > 1 << 10, "{peak} KiB is not a process");
    assert!(peak < LIMIT, "{path}: {peak} KiB");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_layer_of_a_gibibyte_needs_no_more_memory() {
    let _turn = heavy();
    let mut checkout = Checkout::new("gibibyte");
    let (layout, archive) = hollow(&checkout);
    let pushed = frugal(&mut checkout, &layout);
    let bytes = |report: &Value| report["to"][0]["bytes"]["pushed"].as_u64().unwrap();
    assert!(bytes(&pushed) > HOLE, "{pushed}");
    let pushed = frugal(&mut checkout, &archive);
    // A hole shrinks to next to nothing, and is read to its end all the same.
    assert!((1..HOLE / 100).contains(&bytes(&pushed)), "{pushed}");
}

/// Bytes of the file in the image below.
const HOLE: u64 = 1 << 30;

/// An image of one layer with one file that is a hole on the disk, as OCI layout whose layer is not compressed, and as docker
/// archive.
fn hollow(checkout: &Checkout) -> (String, String) {
    let path = |name: &str| checkout.setting.job.file(name);
    let header = |name: &str, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let file = header("hole", HOLE);
    // A tar ends with two blocks of zeros.
    let length = file.len() as u64 + HOLE + 1024;
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    hash.update(&file);
    let zeros = vec![0; 1 << 20];
    for _ in 0..HOLE >> 20 {
        hash.update(&zeros);
    }
    hash.update(&zeros[..1024]);
    let layer = hex(hash.finish().as_ref());

    let blobs = path("hollow/blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let mut blob = File::create(blobs.join(&layer)).unwrap();
    blob.write_all(&file).unwrap();
    blob.set_len(length).unwrap();
    let small = |kind: &str, value: &Value| {
        let text = value.to_string();
        let name = sha256(text.as_bytes());
        std::fs::write(blobs.join(&name), &text).unwrap();
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": kind, "digest": format!("sha256:{name}"), "size": text.len()})
    };
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": small("config.v1+json", &config),
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{layer}"), "size": length,
        }],
    });
    let index = json!({"schemaVersion": 2, "manifests": [small("manifest.v1+json", &manifest)]});
    std::fs::write(path("hollow/index.json"), index.to_string()).unwrap();
    std::fs::write(
        path("hollow/oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();

    let mut archive = File::create(path("hollow.tar")).unwrap();
    archive.write_all(&header("layer.tar", length)).unwrap();
    archive.write_all(&file).unwrap();
    let rest = i64::try_from(length).unwrap() - i64::try_from(file.len()).unwrap();
    archive.seek(SeekFrom::Current(rest)).unwrap();
    let list =
        json!([{"Config": "config.json", "RepoTags": ["hollow:1"], "Layers": ["layer.tar"]}]);
    for (name, value) in [("config.json", &config), ("manifest.json", &list)] {
        let mut text = value.to_string().into_bytes();
        archive.write_all(&header(name, text.len() as u64)).unwrap();
        text.resize(text.len().next_multiple_of(512), 0);
        archive.write_all(&text).unwrap();
    }
    archive.write_all(&[0; 1024]).unwrap();
    let text = |name: &str| path(name).display().to_string();
    (text("hollow"), text("hollow.tar"))
}

#[test]
fn one_core_and_all_of_them_make_the_same_bytes() {
    let _turn = heavy();
    // Text that shrinks, and bytes that do not.
    let mut content: Vec<u8> = (0..400_000_u32)
        .flat_map(|line| format!("{line}\n").into_bytes())
        .collect();
    content.extend(noise(3 << 20));
    let digests = [&["taskset", "--cpu-list", "0"][..], &[]].map(|before| {
        let mut checkout = Checkout::new("cores");
        let made = checkout.layouts(&content);
        ["gzip", "zstd"].map(|compression| {
            checkout.commit(compression);
            let arguments = [
                "--layout",
                &made.docker,
                "--compression",
                compression,
                "--json",
            ];
            let output = checkout.start_under(before, &arguments).end(DEADLINE);
            assert_eq!(output.status.code(), Some(0), "{}", log(&output));
            let pushed: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_ne!(pushed["to"][0]["bytes"]["pushed"], 0, "{pushed}");
            pushed["digest"].as_str().unwrap().to_owned()
        })
    });
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0][0], digests[0][1]);
}
