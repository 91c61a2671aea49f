//! The source of a module, and whether it pins the module's content. Pure.
//! Source: terraform `internal/addrs/module_source.go`, hashicorp/terraform-registry-address
//! `module.go`, hashicorp/go-getter `detect*.go` and `checksum.go`; OpenTofu `docs/…/oci`.

/// A module's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// A folder of the same code.
    Local(&'a str),
    /// A module of a registry, of which the call names the version.
    Registry,
    /// Content that the source itself fixes.
    Fixed,
    /// Content that may be another one tomorrow.
    Movable(Lack),
}

/// The part that a source lacks to be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// `ref` of git, or `rev` of Mercurial, with all digits of a commit.
    Commit(&'static str),
    /// `checksum` of an archive.
    Checksum,
    /// `digest` of an artifact in a registry of containers.
    Digest,
    /// It is a folder of the machine and not of the code.
    Machine,
    /// It is of no known kind.
    Kind,
}

impl<'a> Source<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if text.starts_with("./") || text.starts_with("../") {
            return Source::Local(text);
        }
        if text.starts_with(['/', '\\', '~', '.']) || text.starts_with("file:") {
            return Source::Movable(Lack::Machine);
        }
        if is_registry(text) {
            return Source::Registry;
        }
        let lack = lack(text);
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let fixed = match lack {
            Lack::Commit(name) => value(query, name).is_some_and(is_commit),
            Lack::Checksum => value(query, "checksum").is_some_and(is_checksum),
            Lack::Digest => value(query, "digest").is_some_and(is_checksum),
            Lack::Machine | Lack::Kind => false,
        };
        match fixed && !address.contains('#') {
            true => Source::Fixed,
            false => Source::Movable(lack),
        }
    }
}

impl Lack {
    /// The end of a sentence about the source.
    pub(super) fn words(self) -> &'static str {
        match self {
            Lack::Commit("rev") => "names no commit: append `?rev=` and its 40 digits",
            Lack::Commit(_) => "names no commit: append `?ref=` and its 40 digits",
            Lack::Checksum => {
                "is an archive without a checksum: append `?checksum=sha256:` and its 64 digits"
            }
            Lack::Digest => "names no digest: append `?digest=sha256:` and its 64 digits",
            Lack::Machine => "is a folder of this machine: a path begins with `./` or `../`",
            Lack::Kind => "is of a kind that this step does not know",
        }
    }
}

/// `NAMESPACE/NAME/PROVIDER`, with a host in front or a folder behind it.
fn is_registry(text: &str) -> bool {
    if text.contains("::") || text.contains("://") || text.contains(['?', '@', '#']) {
        return false;
    }
    let package = text.split("//").next().unwrap_or_default();
    let parts: Vec<&str> = package.split('/').collect();
    let name = |part: &&str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !part.is_empty() && part.chars().all(fine)
    };
    match parts.as_slice() {
        [_, _, _] => parts.iter().all(name),
        // These two were sources before there were registries, and stayed what they were.
        [host, rest @ ..] if rest.len() == 3 => {
            host.contains('.')
                && !matches!(*host, "github.com" | "bitbucket.org")
                && rest.iter().all(name)
        }
        _ => false,
    }
}

/// The part that a source of this kind needs to be pinned.
fn lack(text: &str) -> Lack {
    let (forced, rest) = match text.split_once("::") {
        Some((forced, rest)) => (Some(forced), rest),
        None => (None, text),
    };
    match forced {
        Some("git") => return Lack::Commit("ref"),
        Some("hg") => return Lack::Commit("rev"),
        Some("s3" | "gcs" | "http" | "https") => return Lack::Checksum,
        Some(_) => return Lack::Kind,
        None => {}
    }
    match rest.split_once("://") {
        Some(("oci", _)) => Lack::Digest,
        Some(("https" | "http", _)) => Lack::Checksum,
        Some(("git", _)) => Lack::Commit("ref"),
        Some(_) => Lack::Kind,
        None if rest.starts_with("github.com/") || rest.starts_with("bitbucket.org/") => {
            Lack::Commit("ref")
        }
        None if is_scp(rest) => Lack::Commit("ref"),
        None if rest.contains(".amazonaws.com/") || rest.contains(".googleapis.com/") => {
            Lack::Checksum
        }
        None => Lack::Kind,
    }
}

/// `USER@HOST:PATH`, which is git over SSH.
fn is_scp(text: &str) -> bool {
    let address = text.split('?').next().unwrap_or_default();
    address
        .split_once('@')
        .is_some_and(|(user, rest)| !user.contains('/') && rest.contains(':'))
}

/// The value of a name in a query, where it is there once and written plainly.
fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    if query.contains(['%', '+', ';', '#']) {
        return None;
    }
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(found, _)| *found == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

/// The tools take capital digits, too.
fn is_hex(text: &str, length: usize) -> bool {
    kit::hex::is_hex(&text.to_ascii_lowercase(), length)
}

/// Where commits have 40 digits, a tag may be named with 64.
fn is_commit(text: &str) -> bool {
    is_hex(text, 40)
}

fn is_checksum(text: &str) -> bool {
    match text.split_once(':') {
        Some(("sha256", digits)) => is_hex(digits, 64),
        Some(("sha512", digits)) => is_hex(digits, 128),
        _ => false,
    }
}

/// Returns true if a constraint on a module's version admits one version only.
pub(super) fn is_exact(version: &str) -> bool {
    let version = version.trim();
    let version = version.strip_prefix('=').unwrap_or(version).trim_start();
    let version = version.strip_prefix('v').unwrap_or(version);
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(fine)
}

/// A source as it may be shown, and as a contract names it: without the query, and without what may be a
/// password in front of the host.
pub(super) fn shown(source: &str) -> String {
    let address = source.split('?').next().unwrap_or_default();
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or_default();
            match path.is_empty() {
                true => format!("{scheme}://{host}"),
                false => format!("{scheme}://{host}/{path}"),
            }
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "1111111111111111111111111111111111111111";

    #[test]
    fn only_a_source_that_says_its_content_is_fixed() {
        let sum = "a".repeat(64);
        let git = Source::Movable(Lack::Commit("ref"));
        let archive = Source::Movable(Lack::Checksum);
        let machine = Source::Movable(Lack::Machine);
        let unknown = Source::Movable(Lack::Kind);
        for (source, wanted) in [
            ("./vpc", Source::Local("./vpc")),
            ("../vpc", Source::Local("../vpc")),
            ("/srv/vpc", machine),
            ("~/vpc", machine),
            (".", machine),
            ("file:///srv/vpc", machine),
            ("terraform-aws-modules/vpc/aws", Source::Registry),
            (
                "terraform-aws-modules/iam/aws//modules/role",
                Source::Registry,
            ),
            ("app.terraform.io/acme/vpc/aws", Source::Registry),
            ("github.com/acme/vpc", git),
            ("github.com/acme/infra/vpc", git),
            ("github.com/acme/vpc?ref=v1.0.0", git),
            ("github.com/acme/vpc?ref=1111111", git),
            (
                "github.com/acme/vpc?ref=1111111111111111111111111111111111111111111111111111111111111111",
                git,
            ),
            ("github.com/acme/vpc?ref={C}", Source::Fixed),
            ("github.com/acme/vpc//sub?depth=1&ref={C}", Source::Fixed),
            ("github.com/acme/vpc?ref={C}&ref=main", git),
            ("github.com/acme/vpc?ref=main&ref={C}", git),
            ("github.com/acme/vpc?xref={C}", git),
            ("github.com/acme/vpc?ref=%31{C}", git),
            ("github.com/acme/vpc#?ref={C}", git),
            ("bitbucket.org/acme/vpc", git),
            ("git@github.com:acme/vpc.git", git),
            ("git@github.com:acme/vpc.git?ref={C}", Source::Fixed),
            ("git::https://git.acme.example/vpc.git", git),
            (
                "git::ssh://git@git.acme.example/vpc.git?ref={C}",
                Source::Fixed,
            ),
            ("hg::https://hg.acme.example/vpc?rev={C}", Source::Fixed),
            (
                "hg::https://hg.acme.example/vpc?ref={C}",
                Source::Movable(Lack::Commit("rev")),
            ),
            ("https://acme.example/vpc.zip", archive),
            (
                "https://acme.example/vpc.zip?checksum=sha256:{S}",
                Source::Fixed,
            ),
            ("https://acme.example/vpc.zip?checksum=md5:{S}", archive),
            ("https://acme.example/vpc.zip?checksum=file:./sums", archive),
            ("https://github.com/acme/vpc", archive),
            (
                "s3::https://s3.eu-west-1.amazonaws.com/acme/vpc.zip",
                archive,
            ),
            ("acme.s3.amazonaws.com/vpc.zip", archive),
            (
                "oci://acme.example/vpc?tag=1",
                Source::Movable(Lack::Digest),
            ),
            ("oci://acme.example/vpc?digest=sha256:{S}", Source::Fixed),
            ("ssh://acme.example/vpc", unknown),
            ("other::https://acme.example/vpc", unknown),
            ("vpc", unknown),
            ("", unknown),
        ] {
            let source = source.replace("{C}", COMMIT).replace("{S}", &sum);
            assert_eq!(Source::of(&source), wanted, "{source}");
        }
    }

    #[test]
    fn one_version_is_exact_and_a_range_is_not() {
        for exact in [
            "1.2.3",
            "= 1.2.3",
            "=1.2.3",
            " 1.2.3 ",
            "v1.2.3",
            "1.2.3-rc.1",
            "1.2",
        ] {
            assert!(is_exact(exact), "{exact}");
        }
        for range in [
            "",
            "~> 1.2",
            ">= 1.2.3",
            "1.2.3, 1.2.4",
            "!= 1.2.3",
            "> 1",
            "latest",
            "= ",
        ] {
            assert!(!is_exact(range), "{range}");
        }
    }

    #[test]
    fn nothing_that_may_be_a_password_is_shown() {
        for (source, wanted) in [
            (
                "git::https://x:token@git.acme.example/a.git//b?ref=1",
                "git::https://git.acme.example/a.git//b",
            ),
            ("https://a@b@acme.example?x=token", "https://acme.example"),
            (
                "git@github.com:acme/vpc.git?ref=1",
                "git@github.com:acme/vpc.git",
            ),
            ("acme/vpc/aws", "acme/vpc/aws"),
        ] {
            assert_eq!(shown(source), wanted);
        }
    }
}
