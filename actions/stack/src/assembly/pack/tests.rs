use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A folder with a script, a file in a folder, and a link to it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let asset = folder.path().join("asset.1");
    std::fs::create_dir_all(asset.join("b/empty")).unwrap();
    std::fs::write(asset.join("run.sh"), "#!/bin/sh\n").unwrap();
    let mode = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(asset.join("run.sh"), mode).unwrap();
    std::fs::write(asset.join("b/é.txt"), "text ".repeat(100)).unwrap();
    symlink("b/é.txt", asset.join("a")).unwrap();
    folder
}

fn content(root: &Path, name: &str, is_packed: bool) -> Result<Content> {
    let root = root.canonicalize().unwrap();
    let asset = Asset {
        name: name.to_owned(),
        path: root.join(name),
        is_packed,
        bucket: "b".to_owned(),
        key: "k".to_owned(),
    };
    Content::of(&root, &asset)
}

/// What python makes of a zip file: each name, mode, time and length.
fn listed(zip: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), zip).unwrap();
    let program = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
        for i in z.infolist(): print(i.filename, oct(i.external_attr >> 16), i.date_time[0], len(z.read(i)))";
    let listed = std::process::Command::new("python3")
        .args(["-c", program])
        .arg(file.path())
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap()
}

/// The same files as python packs them, with the entries of folders.
fn packed_by_python(folder: &Path, stored: bool) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let program = "import os, sys, zipfile\nos.chdir(sys.argv[2])\n\
        z = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_STORED if sys.argv[3] == '1' else zipfile.ZIP_DEFLATED)\n\
        z.comment = b'packed by another program'\n\
        for d, _, names in os.walk('.'):\n  z.write(d)\n  for n in names: z.write(os.path.join(d, n))\nz.close()";
    let packed = std::process::Command::new("python3")
        .args(["-c", program])
        .arg(file.path())
        .arg(folder)
        .arg(if stored { "1" } else { "0" })
        .output()
        .unwrap();
    assert!(packed.status.success(), "{packed:?}");
    std::fs::read(file.path()).unwrap()
}

#[test]
fn a_folder_is_packed_the_same_every_time_and_others_can_read_it() {
    let folder = folder();
    let found = content(folder.path(), "asset.1", true).unwrap();
    assert_eq!(
        listed(&found.bytes),
        "a 0o100644 1980 500\nb/é.txt 0o100644 1980 500\nrun.sh 0o100755 1980 10\n"
    );
    let script = folder.path().join("asset.1/run.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o777)).unwrap();
    let again = content(folder.path(), "asset.1", true).unwrap();
    assert!(again.bytes == found.bytes);
}

#[test]
fn a_zip_file_of_another_program_is_the_same_only_with_the_same_files() {
    let folder = folder();
    let asset = folder.path().join("asset.1");
    let found = content(folder.path(), "asset.1", true).unwrap();
    for stored in [true, false] {
        let other = packed_by_python(&asset, stored);
        assert!(other != found.bytes && found.is(&other));
        assert!(other.len() <= found.longest());
    }
    let change = |change: &dyn Fn()| {
        change();
        let other = packed_by_python(&asset, false);
        assert!(!found.is(&other));
    };
    let script = asset.join("run.sh");
    change(&|| std::fs::write(&script, "#!/bin/sh\nexit 1\n").unwrap());
    change(&|| std::fs::write(&script, "#!/bin/zh\n").unwrap());
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    assert!(found.is(&packed_by_python(&asset, false)));
    change(&|| std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o640)).unwrap());
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o740)).unwrap();
    change(&|| std::fs::write(asset.join("more"), "").unwrap());
    std::fs::remove_file(asset.join("more")).unwrap();
    change(&|| std::fs::rename(&script, asset.join("other.sh")).unwrap());
}

#[test]
fn rubbish_is_not_the_same() {
    let folder = folder();
    let found = content(folder.path(), "asset.1", true).unwrap();
    assert!(!found.is(b""));
    for cut in 0..found.bytes.len() {
        assert!(!found.is(&found.bytes[..cut]), "{cut}");
    }
    // A byte that says nothing about the files may be another one; no byte makes it panic.
    for at in 0..found.bytes.len() {
        for byte in [0, 0xff] {
            let mut other = found.bytes.clone();
            other[at] = byte;
            found.is(&other);
        }
    }
    let file = content(folder.path(), "asset.1/run.sh", false).unwrap();
    assert!(file.is(b"#!/bin/sh\n") && !file.is(b"#!/bin/sh"));
}

#[test]
fn a_link_that_leads_out_of_the_assembly_is_refused() {
    let folder = folder();
    let outside = tempfile::NamedTempFile::new().unwrap();
    symlink(outside.path(), folder.path().join("asset.1/secret")).unwrap();
    let error = content(folder.path(), "asset.1", true).err().unwrap();
    assert!(
        error.message.ends_with("leads out of the cloud assembly"),
        "{error}"
    );
    std::fs::remove_file(folder.path().join("asset.1/secret")).unwrap();
    symlink("..", folder.path().join("asset.1/b/up")).unwrap();
    let error = content(folder.path(), "asset.1", true).err().unwrap();
    assert!(error.message.contains("nested deeper than"), "{error}");
}
