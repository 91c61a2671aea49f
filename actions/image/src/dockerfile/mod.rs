//! The Dockerfile and its `.dockerignore`, as far as the step has to read them.

mod ignore;
mod images;
mod syntax;

pub(crate) use ignore::Ignore;
pub(crate) use images::images;

use kit::{Context, Error, Result};
use std::path::{Path, PathBuf};
use syntax::{directives, instructions, split, words};

/// A longer file is not a Dockerfile.
const LONGEST: u64 = 4 << 20;

/// The bytes of a file that is small if it is the right one. `kind` is its name in messages.
///
/// # Errors
/// It cannot be read, or is too long (exit 2).
pub(crate) fn read(path: &Path, kind: &str) -> Result<Vec<u8>> {
    let cannot = format!("cannot read the {kind} {}", path.display());
    let length = std::fs::metadata(path).context(&cannot)?.len();
    if length > LONGEST {
        return Err(Error::usage(format!(
            "{} is not a {kind}: it has {length} bytes",
            path.display()
        ))
        .hint("give --file FILE"));
    }
    std::fs::read(path).context(cannot)
}

/// The file with the patterns of what the build leaves out of its context: `DOCKERFILE.dockerignore` beside the Dockerfile,
/// else `.dockerignore` in the context (docs.docker.com, "Build context", Filename and location).
pub(crate) fn ignore_file(context: &Path, dockerfile: &Path) -> Option<PathBuf> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    [PathBuf::from(own), context.join(".dockerignore")]
        .into_iter()
        .find(|path| path.is_file())
}

/// The patterns of that file. Buildah may go by a `.containerignore`, which Docker does not know. If there is one, everything
/// counts as part of the context.
///
/// # Errors
/// The file cannot be read, or the builder would refuse it too (exit 2).
pub(crate) fn ignore(context: &Path, ignore_file: Option<&Path>) -> Result<Ignore> {
    match ignore_file {
        Some(_) if context.join(".containerignore").exists() => Ok(Ignore::default()),
        Some(file) => Ignore::parse(&String::from_utf8_lossy(&read(file, ".dockerignore")?)),
        None => Ok(Ignore::default()),
    }
}

/// The build arguments that builders know without an `ARG` (docs.docker.com, "Build variables"). Those that begin with
/// `BUILDKIT_` are known, too.
const PREDEFINED: [&str; 20] = [
    "ALL_PROXY",
    "BUILDARCH",
    "BUILDOS",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SOURCE_DATE_EPOCH",
    "TARGETARCH",
    "TARGETOS",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The names of those build arguments that no `ARG` of any stage declares, so that they have no effect. A file of another
/// syntax than Docker's is not read.
///
/// # Errors
/// The Dockerfile cannot be read.
pub(crate) fn undeclared(dockerfile: &Path, build_args: &[String]) -> Result<Vec<String>> {
    let text = read(dockerfile, "Dockerfile")?;
    let names: Vec<&str> = build_args
        .iter()
        .filter_map(|argument| argument.split('=').next())
        .collect();
    let undeclared = undeclared_in(&String::from_utf8_lossy(&text), &names);
    Ok(undeclared.into_iter().map(str::to_owned).collect())
}

fn undeclared_in<'a>(text: &str, given: &[&'a str]) -> Vec<&'a str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (directives, escape) = directives(text);
    if let Some(syntax) = directives.get("syntax")
        && !syntax.contains("docker/dockerfile")
    {
        return Vec::new();
    }
    let declared: Vec<String> = instructions(text, escape)
        .iter()
        .map(|instruction| split(instruction))
        .filter(|(name, _)| name.eq_ignore_ascii_case("ARG"))
        .flat_map(|(_, rest)| words(rest))
        .map(|word| word.split('=').next().unwrap_or_default().to_owned())
        .collect();
    given
        .iter()
        .copied()
        .filter(|name| {
            !declared.iter().any(|declared| declared == name)
                && !PREDEFINED.contains(name)
                && !name.starts_with("BUILDKIT_")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dockerfile_s_own_ignore_file_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let found = || ignore_file(dir.path(), &file("app.Dockerfile"));
        assert_eq!(found(), None);
        std::fs::write(file(".dockerignore"), "").unwrap();
        assert_eq!(found(), Some(file(".dockerignore")));
        std::fs::write(file("app.Dockerfile.dockerignore"), "").unwrap();
        assert_eq!(found(), Some(file("app.Dockerfile.dockerignore")));
    }

    #[test]
    fn a_build_argument_that_no_stage_declares_is_named() {
        let text = "ARG BASE=a\nFROM $BASE AS one\nARG A \\\n  B=2\nRUN <<END\nARG HIDDEN\nEND\nFROM one\narg C\n# ARG D\n";
        let given = [
            "BASE",
            "A",
            "B",
            "C",
            "D",
            "HIDDEN",
            "HTTP_PROXY",
            "no_proxy",
            "BUILDKIT_X",
            "TARGETARCH",
            "a",
        ];
        assert_eq!(undeclared_in(text, &given), ["D", "HIDDEN", "a"]);
        let other = format!("# syntax=example/frontend\n{text}");
        assert_eq!(undeclared_in(&other, &given), [""; 0]);
        let docker = format!("# syntax=docker/dockerfile:1\n{text}");
        assert_eq!(undeclared_in(&docker, &["D"]), ["D"]);
    }
}
