//! Content keys: what changes them and what does not.

use super::*;
use crate::request::{BuildSecret, SecretFrom};

fn parts() -> Parts {
    Parts {
        files: "f".to_owned(),
        dockerfile: "d".to_owned(),
        arguments: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
        bases: BTreeMap::from([("alpine".to_owned(), "sha256:0".to_owned())]),
    }
}

fn secret(id: &str, variable: &str) -> BuildSecret {
    BuildSecret {
        id: id.to_owned(),
        from: SecretFrom::Variable(variable.to_owned()),
    }
}

#[test]
fn everything_that_goes_in_counts() {
    let before = key(&Request::sample(), &parts());
    type Change = fn(&mut Request, &mut Parts);
    let changes: [(&str, Change); 12] = [
        ("files", |_, parts| parts.files.push('x')),
        ("dockerfile", |_, parts| parts.dockerfile.push('x')),
        ("argument", |_, parts| {
            parts.arguments.insert("A".to_owned(), "2".to_owned());
        }),
        ("base", |_, parts| {
            parts
                .bases
                .insert("alpine".to_owned(), "sha256:1".to_owned());
        }),
        ("target", |request, _| request.target = Some("t".to_owned())),
        ("platform", |request, _| {
            request.platforms = vec!["linux/s390x".to_owned()];
        }),
        ("label", |request, _| {
            request.labels.push(("team".to_owned(), "x".to_owned()));
        }),
        ("secret", |request, _| {
            request.secrets = vec![secret("npm", "A")]
        }),
        ("network", |request, _| {
            request.network = Some("none".to_owned())
        }),
        ("provenance", |request, _| {
            request.provenance = Some("mode=max".to_owned());
        }),
        ("sbom", |request, _| request.sbom = true),
        ("compression", |request, _| {
            request.compression = crate::blob::Compression::Zstd;
        }),
    ];
    for (name, change) in changes {
        let (mut request, mut parts) = (Request::sample(), parts());
        change(&mut request, &mut parts);
        assert_ne!(key(&request, &parts), before, "{name}");
    }
}

#[test]
fn inputs_that_only_name_the_commit_or_the_run_do_not_change_the_key() {
    let mut request = Request::sample();
    request.labels = vec![(
        "org.opencontainers.image.revision".to_owned(),
        "1".to_owned(),
    )];
    request.secrets = vec![secret("npm", "A")];
    let before = key(&request, &parts());
    request.commit = kit::id::CommitId::parse(&"2".repeat(40)).unwrap();
    request.extra_tags.names = vec!["v2".to_owned()];
    request.epoch = Some(9);
    request.labels = vec![(
        "org.opencontainers.image.revision".to_owned(),
        "2".to_owned(),
    )];
    request.secrets = vec![secret("npm", "B")];
    request.no_cache = true;
    request.pull = true;
    request.network = Some("default".to_owned());
    request.provenance = Some("false".to_owned());
    request.platforms = vec![own_platform()];
    assert_eq!(key(&request, &parts()), before);
    // A label of that name that somebody asked for is content.
    request.own_labels = vec!["org.opencontainers.image.revision".to_owned()];
    assert_ne!(key(&request, &parts()), before);
}

#[test]
fn repositories_that_a_build_reads_from_a_registry_are_listed_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let dockerfile = dir.path().join("Dockerfile");
    let text = "ARG BASE\nFROM $BASE AS base\nFROM h:1/tools@sha256:0 AS tools\nCOPY --from=h:1/a/b:1 / /\nFROM h:1x/other\nFROM base\n";
    std::fs::write(&dockerfile, text).unwrap();
    let request = Request {
        dockerfile,
        build_args: vec!["BASE=h:1/base:24".to_owned()],
        cache_from: vec![
            "type=registry,ref=h:1/cache:main".to_owned(),
            "h:1/base".to_owned(),
        ],
        cache_to: vec!["type=gha".to_owned()],
        ..Request::sample()
    };
    let found = sources(&request, &Env::from([]), "h:1");
    assert_eq!(found, ["base", "tools", "a/b", "cache"]);
}

#[test]
fn a_tag_takes_the_whole_key() {
    let content = ContentKey {
        hex: key(&Request::sample(), &parts()),
        note: None,
    };
    assert_eq!(content.tag().len(), 72);
}

#[test]
fn a_containerignore_makes_everything_count() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".dockerignore");
    let excludes = |file| {
        dockerfile::ignore(dir.path(), file)
            .unwrap()
            .leaves_out("a")
    };
    assert!(!excludes(None));
    std::fs::write(&file, "a").unwrap();
    assert!(excludes(Some(&file)));
    std::fs::write(dir.path().join(".containerignore"), "").unwrap();
    assert!(!excludes(Some(&file)));
}
