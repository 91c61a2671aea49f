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

    /// The form that a value should have, if it does not have it. The builder would refuse the value too, but only after the
    /// repository was changed.
    fn malformed(self, value: &str) -> Option<&'static str> {
        let pair = |at: &[char]| {
            let (name, value) = value.split_once(at)?;
            (!name.is_empty() && !value.is_empty()).then_some((name, value))
        };
        let (is_right, form) = match self {
            Self::BuildContext | Self::Annotation => (pair(&['=']).is_some(), "NAME=VALUE"),
            Self::AddHost => (
                pair(&[':', '=']).is_some_and(|(_, address)| is_address(address)),
                "HOST:IP",
            ),
            Self::Ulimit => (
                pair(&['=']).is_some_and(|(name, limits)| is_ulimit(name, limits)),
                "TYPE=SOFT:HARD, such as nofile=1024:2048",
            ),
            Self::ShmSize => (is_size(value), "a size such as 128m"),
            Self::Allow => (
                ["network.host", "security.insecure"].contains(&value)
                    || ["device", "fs", "ssh"].contains(&value.split(['.', '=']).next()?),
                "an entitlement such as network.host or security.insecure",
            ),
            Self::Ssh | Self::NoCacheFilter => (true, ""),
        };
        (!is_right).then_some(form)
    }

    /// Returns whether it can change what is in the image: what the cache has is what a build would make.
    fn is_content(self) -> bool {
        self != Self::NoCacheFilter
    }
}

/// The limits that Docker knows (github.com/docker/go-units, ulimit.go).
const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn is_ulimit(name: &str, limits: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().ok().filter(|limit| *limit >= -1);
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    LIMITS.contains(&name)
        && match (number(soft), number(hard)) {
            // -1 is without limit.
            (Some(soft), Some(hard)) => hard == -1 || (soft != -1 && soft <= hard),
            _ => false,
        }
}

/// An IP address, or the word by which BuildKit means the machine itself.
fn is_address(text: &str) -> bool {
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    text == "host-gateway" || text.parse::<std::net::IpAddr>().is_ok()
}

/// Digits with a unit, as Docker writes the sizes of memory: `64m`, `1.5GB`, `1024`.
fn is_size(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let number = text.trim_end_matches("ib").trim_end_matches('b');
    let number = number
        .strip_suffix(['k', 'm', 'g', 't', 'p'])
        .unwrap_or(number);
    number
        .trim_end()
        .parse::<f64>()
        .is_ok_and(|size| size > 0.0 && size.is_finite())
}

/// The flags with their values, in the order in which the builder gets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<(Flag, String)>);

impl Flags {
    /// # Errors
    /// A value that no builder accepts (exit 2).
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
            if let Some(form) = flag.malformed(value) {
                return Err(
                    Error::usage(format!("{} `{value}` is not {form}", flag.name()))
                        .hint("one value a line in an input"),
                );
            }
        }
        Ok(Self(flags))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Flag, &str)> {
        self.0.iter().map(|(flag, value)| (*flag, value.as_str()))
    }

    /// The flags that are part of the content key.
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

    /// The further build contexts, whose files are not hashed.
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
    fn refuses_a_value_that_no_builder_accepts() {
        for (flag, right, wrong) in [
            (
                Flag::Ulimit,
                &["nofile=1024:2048", "core=0", "memlock=-1:-1", "nproc=1:-1"][..],
                &[
                    "nofile",
                    "nofile=",
                    "nofile=x",
                    "files=1",
                    "nofile=2:1",
                    "nofile=-1:1",
                ][..],
            ),
            (
                Flag::ShmSize,
                &["128m", "1.5GB", "1024", "64MiB"],
                &["m", "-1", "128 mb of memory", "x"],
            ),
            (
                Flag::AddHost,
                &["db:10.0.0.1", "db=::1", "db:[::1]", "db:host-gateway"],
                &["db", ":10.0.0.1", "db:here"],
            ),
            (
                Flag::Allow,
                &[
                    "network.host",
                    "security.insecure",
                    "device=x",
                    "fs.read=/x",
                ],
                &["everything", "network"],
            ),
            (Flag::Annotation, &["a=b", "index:a=b"], &["a", "=b", "a="]),
        ] {
            for value in right {
                assert_eq!(flag.malformed(value), None, "{flag:?} {value}");
            }
            for value in wrong {
                assert!(flag.malformed(value).is_some(), "{flag:?} {value}");
            }
        }
    }

    #[test]
    fn local_build_contexts_are_distinguished_from_remote_ones() {
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
