//! The programs that can build, and the text that they answer.

use std::path::PathBuf;

/// A program that can build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Builder {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
    pub(crate) kind: Kind,
}

/// How it builds, and what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `docker buildx build`.
    Buildx(Driver),
    /// `docker build` with the BuildKit that clients before version 23 carry.
    BuildKit,
    /// `buildah build`.
    Buildah(Sandbox),
}

/// Where a buildx builder puts what it built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Driver {
    /// The Docker Engine with its classic image store, which writes no OCI layout.
    Engine,
    /// The Docker Engine of this version with containerd's image store.
    Containerd(String),
    /// A BuildKit of its own: in a container, in Kubernetes, elsewhere.
    Other(String),
}

/// How buildah runs the steps of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sandbox {
    /// The storage driver it has to be told; `None` where its own choice works.
    pub(crate) storage: Option<String>,
    /// The isolation it has to be told; `None` where it can start containers.
    pub(crate) isolation: Option<String>,
}

impl Builder {
    /// How a report names it.
    pub(crate) fn name(&self) -> String {
        let version = &self.version;
        match &self.kind {
            Kind::Buildx(_) => format!("docker buildx {version}"),
            Kind::BuildKit => format!("docker {version} (BuildKit)"),
            Kind::Buildah(_) => format!("buildah {version}"),
        }
    }

    /// Returns whether one build can make images for several platforms.
    pub(crate) fn several_platforms(&self) -> bool {
        !matches!(self.kind, Kind::Buildx(Driver::Engine) | Kind::BuildKit)
    }

    /// The version's first two numbers; zeros if it has none.
    pub(crate) fn numbers(&self) -> (u32, u32) {
        numbers(&self.version)
    }
}

/// `v0.13.1`, `20.10.24+dfsg1` and `1.28.2` begin with two numbers.
pub(super) fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version
        .trim_start_matches('v')
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

pub(super) fn carries_buildkit(version: &str) -> bool {
    (18..23).contains(&numbers(version).0)
}

/// The value of the first line `NAME: VALUE` with one of `names`, in lower case.
pub(super) fn field(text: &str, names: &[&str]) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        names
            .contains(&name.trim().to_lowercase().as_str())
            .then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildkit_left_the_client_with_version_23() {
        for (version, carries) in [
            ("20.10.24+dfsg1", true),
            ("18.09.1", true),
            ("23.0.0", false),
            ("28.2.2", false),
            ("", false),
        ] {
            assert_eq!(carries_buildkit(version), carries, "{version}");
        }
        assert_eq!(numbers("v0.13.1-desktop"), (0, 13));
        assert_eq!(numbers("of unknown version"), (0, 0));
    }
}
