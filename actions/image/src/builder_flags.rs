//! Arguments that the builder gets as they are: which builder takes which, and what they mean for the content key.

use crate::args::BuilderFlags;
use crate::input::given;
use kit::{Error, Result};
use std::path::PathBuf;

/// A flag of the builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Ssh,
    BuildContext,
    AddHost,
    Annotation,
    NoCacheFilter,
    Ulimit,
    ShmSize,
    Allow,
}

impl Flag {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ssh => "--ssh",
            Self::BuildContext => "--build-context",
            Self::AddHost => "--add-host",
            Self::Annotation => "--annotation",
            Self::NoCacheFilter => "--no-cache-filter",
            Self::Ulimit => "--ulimit",
            Self::ShmSize => "--shm-size",
            Self::Allow => "--allow",
        }
    }

    /// Returns whether it can change what is in the image: what the cache has is what a build would make.
    fn is_content(self) -> bool {
        self != Self::NoCacheFilter
    }
}

/// The flags with their values, in the order in which the builder gets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<(Flag, String)>);

impl Flags {
    /// # Errors
    /// A build context that is not NAME=CONTEXT (exit 2).
    pub(crate) fn new(args: BuilderFlags) -> Result<Self> {
        let lists = [
            (Flag::Ssh, args.ssh),
            (Flag::BuildContext, args.build_context),
            (Flag::AddHost, args.add_host),
            (Flag::Annotation, args.annotation),
            (Flag::NoCacheFilter, args.no_cache_filter),
            (Flag::Ulimit, args.ulimit),
            (Flag::ShmSize, args.shm_size.into_iter().collect()),
            (Flag::Allow, args.allow),
        ];
        let flags: Vec<(Flag, String)> = lists
            .into_iter()
            .flat_map(|(flag, values)| given(values).into_iter().map(move |value| (flag, value)))
            .collect();
        for (flag, value) in &flags {
            let is_pair = value
                .split_once('=')
                .is_some_and(|(name, value)| !name.is_empty() && !value.is_empty());
            if matches!(flag, Flag::BuildContext | Flag::Annotation) && !is_pair {
                return Err(
                    Error::usage(format!("{} `{value}` is not NAME=VALUE", flag.name()))
                        .hint("one a line in an input"),
                );
            }
        }
        Ok(Self(flags))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Flag, &str)> {
        self.0.iter().map(|(flag, value)| (*flag, value.as_str()))
    }

    /// What the content key is over.
    pub(crate) fn content(&self) -> Vec<String> {
        self.iter()
            .filter(|(flag, _)| flag.is_content())
            .map(|(flag, value)| {
                let value = match flag {
                    // Where a key lies is not part of any image.
                    Flag::Ssh => value.split('=').next().unwrap_or(value),
                    _ => value,
                };
                format!("{}={value}", flag.name())
            })
            .collect()
    }

    /// The names of further build contexts: what is in them is not hashed.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .filter(|(flag, _)| *flag == Flag::BuildContext)
            .filter_map(|(_, value)| value.split_once('='))
    }

    /// The further build contexts that are folders of this machine.
    ///
    /// # Errors
    /// An OCI layout, which is not a commit's content (exit 3).
    pub(crate) fn folders(&self) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for (name, context) in self.contexts() {
            if context.starts_with("oci-layout:") {
                return Err(Error::refused(format!(
                    "build context {name} is an OCI layout, so nothing shows that it is the commit's"
                ))
                .hint("give it by its digest: NAME=docker-image://IMAGE@sha256:…, or --allow-unverified REASON --tag TAG"));
            }
            let is_remote = context.contains("://")
                || context.starts_with("git@")
                || context.starts_with("target:");
            if !is_remote {
                folders.push(PathBuf::from(context));
            }
        }
        Ok(folders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_over_what_can_change_the_image() {
        let flags = Flags::new(BuilderFlags {
            ssh: vec!["default=/run/key".to_owned()],
            no_cache_filter: vec!["one".to_owned()],
            shm_size: Some("1m".to_owned()),
            ..BuilderFlags::default()
        })
        .unwrap();
        assert_eq!(flags.content(), ["--ssh=default", "--shm-size=1m"]);
    }

    #[test]
    fn folders_are_told_from_what_is_elsewhere() {
        let flags = |context: &str| {
            Flags::new(BuilderFlags {
                build_context: vec![context.to_owned()],
                ..BuilderFlags::default()
            })
        };
        assert_eq!(
            flags("a=../b").unwrap().folders().unwrap(),
            [PathBuf::from("../b")]
        );
        for remote in ["a=docker-image://b", "a=https://b", "a=git@b:c"] {
            assert_eq!(
                flags(remote).unwrap().folders().unwrap(),
                [""; 0].map(PathBuf::from)
            );
        }
        assert!(flags("a=oci-layout://b").unwrap().folders().is_err());
        assert!(flags("a").is_err());
    }
}
