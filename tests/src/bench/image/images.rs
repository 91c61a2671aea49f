//! The images that are pushed, made from nothing but bytes of this machine: in a build context, in the Docker Engine and as
//! an OCI layout.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::{Context, Fault, Result};
use crate::world::runner::Variables;

const MIB: u64 = 1 << 20;

/// How well an image's layers compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Incompressible.
    Random,
    /// Compressible to a fraction of their size.
    Files,
}

/// The layers of an image.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// Layers of random bytes: how many, of how many MiB.
    Random(u64, u64),
    /// One layer of so many MiB of the system's own files.
    System(u64),
}

/// The images: name, what it is in words, and its content.
const IMAGES: [(&str, &str, Content); 3] = [
    ("a", "10 x 1 MiB random", Content::Random(10, 1)),
    ("b", "4 x 50 MiB random", Content::Random(4, 50)),
    ("c", "1 x 200 MiB of system files", Content::System(200)),
];

/// An image that each contender can push.
pub(super) struct BenchImage {
    pub(super) name: &'static str,
    /// In words.
    pub(super) description: &'static str,
    pub(super) kind: Kind,
    /// The build context, with a Dockerfile.
    pub(super) context: PathBuf,
    /// The commit that the context is a checkout of.
    pub(super) commit: String,
    /// The image's name in each engine.
    pub(super) reference: String,
    /// The OCI layout, with one image, tagged `latest`.
    pub(super) layout: PathBuf,
    environment: Variables,
}

impl BenchImage {
    /// Makes all of them in `folder`, in the machine's engine and as layouts. `mark` sets those of this sandbox apart there.
    pub(super) fn all(folder: &Path, mark: &str, environment: &Variables) -> Result<Vec<Self>> {
        IMAGES
            .iter()
            .map(|(name, description, content)| {
                let context = folder.join(name);
                fs::create_dir_all(&context).context(format!("creating {}", context.display()))?;
                content
                    .write(&context)
                    .context(format!("writing {}", context.display()))?;
                let image = Self {
                    name,
                    description,
                    commit: commit(&context)?,
                    kind: match content {
                        Content::System(_) => Kind::Files,
                        Content::Random(..) => Kind::Random,
                    },
                    layout: folder.join(format!("{name}-layout")),
                    context,
                    reference: format!("slipway-bench-{mark}:{name}"),
                    environment: environment.clone(),
                };
                image.build(None)?;
                let layout = format!("oci:{}:latest", image.layout.display());
                let source = format!("docker-daemon:{}", image.reference);
                image.run("skopeo", &["copy", "--quiet", &source, &layout], None)?;
                Ok(image)
            })
            .collect()
    }

    /// Makes it in the engine at `host`, or the machine's.
    pub(super) fn build(&self, host: Option<&str>) -> Result<()> {
        let context = self.context.display().to_string();
        let name = ["--tag", &self.reference, &context];
        let build = ["buildx", "build", "--quiet", "--load"];
        self.run("docker", &[&build[..], &name[..]].concat(), host)
    }

    /// Runs one of the clients to its end.
    pub(super) fn run(&self, program: &str, arguments: &[&str], host: Option<&str>) -> Result<()> {
        let program = match program {
            "docker" => self.docker(),
            other => PathBuf::from("/usr/bin").join(other),
        };
        let output = Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .envs(host.map(|host| ("DOCKER_HOST", host)))
            .output()
            .context(format!("running {}", program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Fault::new(format!(
            "{} {} ended with {}:\n{}",
            program.display(),
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )))
    }

    /// The client that steps find first on their PATH.
    pub(super) fn docker(&self) -> PathBuf {
        let path = self.environment.get("PATH").map_or("", String::as_str);
        path.split(':')
            .map(|folder| Path::new(folder).join("docker"))
            .find(|file| file.is_file())
            .unwrap_or_else(|| PathBuf::from("/usr/bin/docker"))
    }
}

/// Commits the Dockerfile; the rest is what an earlier step made.
fn commit(context: &Path) -> Result<String> {
    fs::write(context.join(".gitignore"), "/random-*\n/system\n").context("writing .gitignore")?;
    fs::write(context.join(".dockerignore"), ".git\n").context("writing .dockerignore")?;
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=bench",
                "-c",
                "user.email=bench@example.org",
            ])
            .args(arguments)
            .current_dir(context)
            .output()
            .context("running git")?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(Fault::new(format!(
                "git {} ended with {}:\n{}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "The image"])?;
    git(&["rev-parse", "HEAD"])
}

impl Drop for BenchImage {
    fn drop(&mut self) {
        // Other names of the image went with their registries; what the engine still needs it keeps.
        let _ = self.run("docker", &["image", "rm", "--force", &self.reference], None);
    }
}

impl Content {
    /// Writes a build context.
    fn write(self, context: &Path) -> io::Result<()> {
        let mut dockerfile = String::from("FROM scratch\n");
        match self {
            Self::Random(layers, mebibytes) => {
                for layer in 0..layers {
                    let mut file = File::create(context.join(format!("random-{layer}")))?;
                    io::copy(
                        &mut File::open("/dev/urandom")?.take(mebibytes * MIB),
                        &mut file,
                    )?;
                    dockerfile.push_str(&format!("COPY random-{layer} /\n"));
                }
            }
            Self::System(mebibytes) => {
                let mut file = File::create(context.join("system"))?;
                let mut left = mebibytes * MIB;
                for folder in ["/usr/lib", "/usr/bin", "/usr/share"] {
                    left -= gather(Path::new(folder), left, &mut file)?;
                }
                dockerfile.push_str("COPY system /\n");
            }
        }
        fs::write(context.join("Dockerfile"), dockerfile)
    }
}

/// Writes the files under `folder` one after another, by name, until `most` bytes are written.
fn gather(folder: &Path, most: u64, to: &mut impl Write) -> io::Result<u64> {
    let mut written = 0;
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if written == most {
            break;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            written += gather(&entry.path(), most - written, to)?;
        } else if kind.is_file() {
            written += io::copy(&mut File::open(entry.path())?.take(most - written), to)?;
        }
    }
    Ok(written)
}
