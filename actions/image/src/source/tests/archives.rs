//! Docker's archives, as files and as the engine's stream.

use super::*;

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
fn an_image_without_layers_is_its_configuration() {
    let bench = Bench::new();
    let bytes = tar(&borrowed(&legacy(&[])));
    hold(stream(&bytes, Some(&known(&[]))), &[]);
    let path = bench.path("image.tar");
    std::fs::write(&path, bytes).unwrap();
    hold(read(&path), &[]);
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
    let Source::Layout(_) = Source::open(&path, &Env::default()).unwrap() else {
        panic!("it is taken for an archive");
    };
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
            let error = Source::open(&path, &Env::default())
                .err()
                .unwrap_or_else(|| panic!("whole at {end}"));
            assert_eq!(error.exit(), kit::Exit::Usage);
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
        error.causes()[0].starts_with("its bytes are sha256:"),
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
    let name = format!("{}.json", digest(&config).hex());
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
        let error = Source::open(&path, &Env::default()).err().unwrap();
        assert_eq!(error.exit(), kit::Exit::Usage, "{error}");
        let error = stream(&std::fs::read(&path).unwrap(), None)
            .0
            .err()
            .unwrap();
        assert!(!error.to_string().contains("not yours"), "{error}");
    }
}

#[test]
fn refuses_what_is_not_an_archive_with_a_hint() {
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
    let name = format!("{}.json", digest(&config).hex());
    let short = serde_json::json!([{"Config": name, "Layers": []}]);
    let with = |manifest: serde_json::Value| {
        tar(&[
            (&name, file(config.as_slice())),
            ("manifest.json", file(manifest.to_string())),
        ])
    };
    for (bytes, message, hint) in [
        (
            gzip(&good)[..60].to_vec(),
            "cannot be unpacked",
            "gzip --test",
        ),
        (
            b"BZh91AY".to_vec(),
            "is a bzip2 file",
            "bzip2 --decompress --stdout",
        ),
        (
            b"no tar at all, but longer than nothing".repeat(40),
            "is not a tar",
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
            "does not have the expected content",
            "docker save",
        ),
    ] {
        let error = Source::open(&write("file", &bytes), &Env::default())
            .err()
            .unwrap();
        assert_eq!(error.exit(), kit::Exit::Usage, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(error.hints.join("\n").contains(hint), "{error}");
    }
    let error = Source::open(&bench.path("none"), &Env::default())
        .err()
        .unwrap();
    assert!(error.message.contains("there is no"), "{error}");
}

#[test]
fn an_archive_that_is_compressed_as_a_whole_is_unpacked_also_through_a_link() {
    let bench = Bench::new();
    let layers: [&[u8]; 1] = [b"layer"];
    std::fs::write(
        bench.path("image.tar.gz"),
        gzip(&tar(&borrowed(&legacy(&layers)))),
    )
    .unwrap();
    let link = bench.path("result");
    std::os::unix::fs::symlink("image.tar.gz", &link).unwrap();
    let env = Env::from([("RUNNER_TEMP", bench.path("").to_str().unwrap())]);
    let Source::Archive(archive) = Source::open(&link, &env).unwrap() else {
        panic!("it is a docker archive");
    };
    assert_eq!(archive.known().unwrap().diff_ids, [digest(layers[0])]);
    let entries = std::fs::read_dir(bench.path("")).unwrap();
    assert_eq!(entries.count(), 2, "nothing stays in the folder");
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

#[test]
fn a_zstd_layer_whose_name_is_its_digest_goes_on_as_it_is() {
    let layers: [&[u8]; 1] = [b"layer"];
    let frame = rusty_zstd::compress(layers[0], 1).unwrap();
    let bytes = tar(&borrowed(&modern(&layers, std::slice::from_ref(&frame))));
    let (contents, got) = stream(&bytes, Some(&known(&layers)));
    let contents = contents.unwrap();
    let measured = contents.layers[0].measured.as_ref().unwrap();
    assert_eq!(measured.digest, digest(&frame));
    assert_eq!(measured.media_type, Compression::Zstd.media_type());
    assert_eq!(contents.layers[0].diff_id, digest(layers[0]));
    assert_eq!(got[0].1.as_deref(), Some(&frame[..]));

    // Under another's name it is not the layer.
    let other = rusty_zstd::compress(b"other", 1).unwrap();
    let mut members = modern(&layers, std::slice::from_ref(&frame));
    let member = members.iter_mut().find(|(name, _)| *name == blob(&frame));
    member.unwrap().1 = file(other.as_slice());
    let (contents, _) = stream(&tar(&borrowed(&members)), Some(&known(&layers)));
    let error = contents.err().unwrap();
    assert!(error.to_string().contains("its bytes are"), "{error}");
}
