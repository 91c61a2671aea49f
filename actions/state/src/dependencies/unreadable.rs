//! Why infrastructure code cannot be read.

use kit::lockfile;
use std::path::PathBuf;

/// Why code, or what was installed for it, cannot be read for certain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// The file system's answer.
    #[error("cannot read {}: {source}", path.display())]
    Files {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Commit(#[from] NotInCommit),
    #[error(transparent)]
    Lock(#[from] lockfile::Unreadable),
    /// The tool's list of what it installed.
    #[error("{} cannot be read: {source}", path.display())]
    Installed {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{} cannot be read: it lists `{key}` twice", path.display())]
    InstalledTwice { path: PathBuf, key: String },
    #[error("{at} closes what was not opened")]
    Unopened { at: String },
    #[error("{at} is ambiguous HCL")]
    Ambiguous { at: String },
    #[error("{name} ends within a text, a comment or a block")]
    CutOff { name: String },
    #[error("{name} is not JSON: {source}")]
    NotJson {
        name: String,
        source: serde_json::Error,
    },
    #[error("{name} names `{member}` twice in one object")]
    MemberTwice { name: String, member: String },
    #[error("the source of the provider `{provider}` is an expression ({at})")]
    ProviderSource { provider: String, at: String },
    #[error("the modules nest too deeply, at {path}")]
    TooDeep { path: String },
    #[error("the code calls more than {most} modules")]
    TooMany { most: usize },
}

/// Why git shows no files of a commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotInCommit {
    #[error("git cannot be started: {0}")]
    NotStarted(#[from] std::io::Error),
    #[error("git says: {0}")]
    Refused(String),
    /// The commit's list of files, which is in a whole clone.
    #[error("{0} (`fetch-depth: 0` fetches all commits)")]
    NoList(#[source] Box<NotInCommit>),
    #[error("git shows something that is not text")]
    NotText(#[from] std::string::FromUtf8Error),
    #[error("{} is not in {}", path.display(), top.display())]
    Outside { path: PathBuf, top: PathBuf },
}
