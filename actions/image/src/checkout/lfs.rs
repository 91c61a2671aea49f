//! Files in Git LFS (the pointer format of git-lfs, docs/spec.md). Its filter is a program that a configuration names, so
//! it is not run: the pointer in the commit has the file's hash.

use super::clean::Clean;
use crate::hash::Hash;
use kit::{Context, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No pointer is larger (docs/spec.md).
const LARGEST: u64 = 1024;
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// Those of the files that are what a pointer in the commit describes.
pub(super) fn described(
    clean: &Clean<'_>,
    files: &[PathBuf],
    tracked: &BTreeMap<PathBuf, (String, String)>,
) -> Result<Vec<PathBuf>> {
    let objects: Vec<(&PathBuf, &str)> = files
        .iter()
        .filter_map(|file| Some((file, tracked.get(file)?.1.as_str())))
        .collect();
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let input: String = objects
        .iter()
        .map(|(_, object)| format!("{object}\n"))
        .collect();
    let sizes = clean.feed(&["cat-file", "--batch-check"], input.as_bytes())?;
    let mut found = Vec::new();
    for ((file, object), line) in objects
        .into_iter()
        .zip(String::from_utf8_lossy(&sizes).lines())
    {
        // `OBJECT blob SIZE`, or `OBJECT missing` where a partial clone has not fetched it: it is the pointer of no file here.
        let size = line.rsplit(' ').next().and_then(|size| size.parse().ok());
        if size.is_none_or(|size: u64| size > LARGEST) {
            continue;
        }
        let text = clean.run(&["cat-file", "blob", object])?;
        if let Some((hash, size)) = pointer(&String::from_utf8_lossy(&text))
            && is(&clean.root().join(file), &hash, size)?
        {
            found.push(file.clone());
        }
    }
    Ok(found)
}

/// Hash and size of the file that a pointer describes.
fn pointer(text: &str) -> Option<(String, u64)> {
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return None;
    }
    let (mut hash, mut size) = (None, None);
    for line in lines {
        match line.split_once(' ')? {
            ("oid", oid) => hash = oid.strip_prefix("sha256:"),
            ("size", text) => size = text.parse().ok(),
            // An extension changed the content before it was hashed.
            (name, _) if name.starts_with("ext-") => return None,
            _ => {}
        }
    }
    Some((hash?.to_owned(), size?))
}

fn is(path: &Path, hash: &str, size: u64) -> Result<bool> {
    let unreadable = format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).context(&unreadable)?;
    if file.metadata().context(&unreadable)?.len() != size {
        return Ok(false);
    }
    let mut content = Hash::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer).context(&unreadable)?;
        if read == 0 {
            return Ok(content.end() == hash);
        }
        content.raw(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_and_nothing_else_is_taken_for_one() {
        let text = format!("{VERSION}\noid sha256:ab\nsize 12\n");
        assert_eq!(pointer(&text), Some(("ab".to_owned(), 12)));
        for wrong in [
            "",
            "oid sha256:ab\nsize 12\n",
            &format!("{VERSION}\noid md5:ab\nsize 12\n"),
            &format!("{VERSION}\next-0-foo sha256:cd\noid sha256:ab\nsize 12\n"),
        ] {
            assert_eq!(pointer(wrong), None, "{wrong:?}");
        }
    }
}
