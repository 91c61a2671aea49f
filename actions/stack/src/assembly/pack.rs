//! The content of an asset as it is published. A folder is packed as CDK does it (cdk-assets, `archive.ts`): its files by name, links
//! followed, no entries of folders, the first day of 1980 as the time of each. So the same folder is always the same file.

use super::assets::Asset;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use kit::error::{Error, Result};
use std::io::{Read, Write};
use std::path::Path;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_LENGTH: usize = 22;
/// The longest comment after the end of a zip file, before which its end is to be found.
const LONGEST_COMMENT: usize = 65_535;
const UTF_8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const FIRST_OF_1980: u16 = 0x21;
const UNIX: u16 = 3;

/// How deep folders are nested in an asset; a link to a folder above would go on for ever.
const DEPTH: usize = 64;

/// An asset's content.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// The files that are packed in it, unless it is a file itself.
    files: Option<Vec<File>>,
}

/// One file of a folder.
struct File {
    name: String,
    bytes: Vec<u8>,
    is_executable: bool,
}

impl Content {
    /// Reads an asset of the assembly at `root`.
    ///
    /// # Errors
    /// It cannot be read, or a link in it leads out of the assembly.
    pub(crate) fn of(root: &Path, asset: &Asset) -> Result<Self> {
        if !asset.is_packed {
            return Ok(Self {
                bytes: read(&asset.path)?,
                files: None,
            });
        }
        let mut files = Vec::new();
        walk(root, &asset.path, "", 0, &mut files)?;
        files.sort_by(|one, other| one.name.cmp(&other.name));
        let bytes = packed(&files).ok_or_else(|| {
            Error::usage(format!(
                "the folder {} has more files or bytes than a zip file can hold",
                asset.path.display()
            ))
        })?;
        Ok(Self {
            bytes,
            files: Some(files),
        })
    }

    /// Returns true if an object is the same: another program packs the same files into other bytes.
    pub(crate) fn is(&self, object: &[u8]) -> bool {
        object == self.bytes
            || self
                .files
                .as_ref()
                .is_some_and(|files| holds(object, files) == Some(true))
    }

    /// The longest object that is read to find out.
    pub(crate) fn longest(&self) -> usize {
        match &self.files {
            None => self.bytes.len(),
            Some(files) => files
                .iter()
                .map(|file| file.bytes.len() + file.name.len() * 2 + 256)
                .sum::<usize>()
                .saturating_add(LONGEST_COMMENT),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::usage(format!("cannot read {}", path.display())).because(error))
}

fn walk(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<File>,
) -> Result<()> {
    let cannot =
        |path: &Path, error| Error::usage(format!("cannot read {}", path.display())).because(error);
    if depth >= DEPTH {
        return Err(Error::usage(format!(
            "the folder {} is nested deeper than {DEPTH}",
            folder.display()
        )));
    }
    let entries = std::fs::read_dir(folder).map_err(|error| cannot(folder, error))?;
    for entry in entries {
        let path = entry.map_err(|error| cannot(folder, error))?.path();
        let whole = path.canonicalize().map_err(|error| cannot(&path, error))?;
        if !whole.starts_with(root) {
            return Err(Error::refused(format!(
                "{} is a link that leads out of the cloud assembly",
                path.display()
            ))
            .hint("let the app follow links where it stages the asset: `followSymlinks: SymlinkFollowMode.ALWAYS`"));
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::usage(format!(
                "the name of {} is not UTF-8",
                path.display()
            )));
        };
        let name = format!("{prefix}{name}");
        if whole.is_dir() {
            walk(root, &whole, &format!("{name}/"), depth + 1, files)?;
            continue;
        }
        files.push(File {
            bytes: read(&whole)?,
            is_executable: is_executable(&whole).map_err(|error| cannot(&whole, error))?,
            name,
        });
    }
    Ok(())
}

/// Only this of a mode says something about the app: the rest is the umask of whoever checked it out.
fn is_executable(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o100 != 0)
}

/// The zip file of these files; `None` if it would need the format for large ones.
fn packed(files: &[File]) -> Option<Vec<u8>> {
    let (mut zip, mut central) = (Vec::new(), Vec::new());
    for file in files {
        let offset = u32::try_from(zip.len()).ok()?;
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(&file.bytes).ok()?;
        let deflated = deflated.finish().ok()?;
        let mut crc = flate2::Crc::new();
        crc.update(&file.bytes);
        let mut entry = Vec::new();
        for word in [20, UTF_8, DEFLATED, 0, FIRST_OF_1980] {
            entry.extend(word.to_le_bytes());
        }
        entry.extend(crc.sum().to_le_bytes());
        entry.extend(u32::try_from(deflated.len()).ok()?.to_le_bytes());
        entry.extend(u32::try_from(file.bytes.len()).ok()?.to_le_bytes());
        entry.extend(u16::try_from(file.name.len()).ok()?.to_le_bytes());
        // The length of further fields.
        entry.extend(0_u16.to_le_bytes());
        zip.extend(LOCAL.to_le_bytes());
        zip.extend(&entry);
        zip.extend(file.name.as_bytes());
        zip.extend(deflated);
        central.extend(CENTRAL.to_le_bytes());
        central.extend(((UNIX << 8) | 20).to_le_bytes());
        central.extend(&entry);
        // The length of a comment, the disk, and whether it is text.
        central.extend([0_u8; 6]);
        let mode: u32 = if file.is_executable {
            0o100_755
        } else {
            0o100_644
        };
        central.extend((mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(file.name.as_bytes());
    }
    let count = u16::try_from(files.len()).ok()?.to_le_bytes();
    let start = u32::try_from(zip.len()).ok()?;
    let length = u32::try_from(central.len()).ok()?;
    zip.extend(central);
    zip.extend(END.to_le_bytes());
    zip.extend([0_u8; 4]);
    zip.extend(count);
    zip.extend(count);
    zip.extend(length.to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0_u8; 2]);
    Some(zip)
}

/// Returns true if a zip file holds exactly these files; `None` if it cannot be read.
fn holds(zip: &[u8], files: &[File]) -> Option<bool> {
    let last = zip.len().checked_sub(END_LENGTH)?;
    let first = last.saturating_sub(LONGEST_COMMENT);
    let end = (first..=last)
        .rev()
        .find(|at| long(zip, *at) == Some(END))?;
    let count = usize::from(short(zip, end + 10)?);
    let mut at = usize::try_from(long(zip, end + 16)?).ok()?;
    let mut wanted: Vec<&File> = files.iter().collect();
    for _ in 0..count {
        if long(zip, at)? != CENTRAL {
            return None;
        }
        let length = usize::from(short(zip, at + 28)?);
        let more = usize::from(short(zip, at + 30)?) + usize::from(short(zip, at + 32)?);
        let name = zip.get(at + 46..at + 46 + length)?;
        if name.last() != Some(&b'/') {
            let found = wanted.iter().position(|file| file.name.as_bytes() == name);
            let Some(found) = found else {
                return Some(false);
            };
            if !is_entry(zip, at, wanted.swap_remove(found))? {
                return Some(false);
            }
        }
        at += 46 + length + more;
    }
    Some(wanted.is_empty())
}

/// Returns true if the entry whose description begins at `at` is this file.
fn is_entry(zip: &[u8], at: usize, file: &File) -> Option<bool> {
    let mode = long(zip, at + 38)? >> 16;
    let is_unix = short(zip, at + 4)? >> 8 == UNIX;
    if is_unix && (mode & 0o100 != 0) != file.is_executable {
        return Some(false);
    }
    let length = usize::try_from(long(zip, at + 20)?).ok()?;
    let local = usize::try_from(long(zip, at + 42)?).ok()?;
    let names = usize::from(short(zip, local + 26)?) + usize::from(short(zip, local + 28)?);
    let start = local + 30 + names;
    let data = zip.get(start..start.checked_add(length)?)?;
    match short(zip, at + 10)? {
        STORED => Some(data == file.bytes),
        DEFLATED => {
            let mut bytes = Vec::new();
            // One byte more than the file has is enough to see that it is another one.
            let most = u64::try_from(file.bytes.len()).ok()?.checked_add(1)?;
            let mut inflated = DeflateDecoder::new(data).take(most);
            inflated.read_to_end(&mut bytes).ok()?;
            Some(bytes == file.bytes)
        }
        _ => None,
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let found = bytes.get(at..at.checked_add(2)?)?;
    found.try_into().ok().map(u16::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..at.checked_add(4)?)?;
    found.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests;
