//! Where one checkout's sandbox lives: its folder under Cargo's target folder, its loopback address and its ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::fault::{Context, Fault, Result};

/// The fixed ports on a sandbox's address.
pub mod port {
    /// The AWS endpoint everybody sees.
    pub const GATEWAY: u16 = 4000;
    /// The GitHub stand-in.
    pub const GITHUB: u16 = 4001;
    /// ECR's `/v2` registry.
    pub const REGISTRY: u16 = 4002;
    /// CNCF distribution, behind [`REGISTRY`].
    pub const DISTRIBUTION: u16 = 4003;
    /// moto, behind [`GATEWAY`].
    pub const MOTO: u16 = 4004;
    /// The first of the load balancers' ports.
    pub const BALANCERS: u16 = 4100;
}

/// One checkout's sandbox on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The checkout's root.
    pub checkout: PathBuf,
    /// Cargo's target folder, which the running program was built into.
    pub target: PathBuf,
    /// The sandbox's own folder.
    pub dir: PathBuf,
    /// Twelve hexadecimal digits that name the sandbox in labels and marks.
    pub id: String,
    /// Its address, 127.64.0.1 to 127.191.255.1.
    pub ip: Ipv4Addr,
}

impl Instance {
    /// Finds the sandbox of the running program, which Cargo built.
    pub fn find() -> Result<Self> {
        let exe = std::env::current_exe().context("finding the running program")?;
        // Cargo tags the folder of a target triple too; its target folder is the outermost one that is tagged.
        let target = exe
            .ancestors()
            .take(6)
            .filter(|folder| folder.join("CACHEDIR.TAG").is_file())
            .last()
            .ok_or_else(|| {
                Fault::new(format!(
                    "{} is not in a target folder of Cargo",
                    exe.display()
                ))
                .hint("start the sandbox with `cargo sandbox up`")
            })?;
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| Fault::new("the sandbox's crate lies in no checkout"))?;
        Ok(Self::of(checkout, target))
    }

    /// The sandbox that belongs to a checkout and a target folder.
    pub fn of(checkout: &Path, target: &Path) -> Self {
        let dir = target.join("sandbox");
        let digest =
            ring::digest::digest(&ring::digest::SHA256, dir.as_os_str().as_encoded_bytes());
        let bytes = digest.as_ref();
        Self {
            checkout: checkout.to_owned(),
            target: target.to_owned(),
            id: hex(bytes.get(..6).unwrap_or_default()),
            ip: Ipv4Addr::new(127, 64 + bytes[0] % 128, bytes[1], 1),
            dir,
        }
    }

    /// An address on one of the sandbox's ports.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip), port)
    }

    /// An HTTP URL on one of the sandbox's ports, without a final slash.
    pub fn url(&self, port: u16) -> String {
        format!("http://{}", self.at(port))
    }

    /// The log of a part or an installation.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// The folder of the project's own programs, as a development build leaves them.
    pub fn built(&self) -> PathBuf {
        self.target.join(format!(
            "{}-unknown-linux-gnu/debug",
            std::env::consts::ARCH
        ))
    }

    /// The virtual environment's programs.
    pub fn venv_bin(&self) -> PathBuf {
        self.dir.join("venv/bin")
    }

    /// The programs that the steps are measured beside, and nothing else uses.
    pub fn peers_bin(&self) -> PathBuf {
        self.dir.join("peers/bin")
    }

    /// The newer of the two versions of Terraform.
    pub fn newer_terraform(&self) -> PathBuf {
        self.dir.join("terraform/bin/terraform")
    }

    /// Links to the programs a workflow finds on its PATH: act, docker, node, terraform.
    pub fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The unpacked files of an npm package of the manifest.
    pub fn npm(&self, package: &str) -> PathBuf {
        self.dir.join("npm").join(package)
    }

    /// The folder in which CDKTF's successor is installed, where a test asked for it.
    pub fn cdktn(&self) -> PathBuf {
        self.dir.join("cdktn")
    }

    /// The folder in which the dependencies of an example's infrastructure are installed, where a test asked for them.
    pub fn example(&self, example: &str) -> PathBuf {
        self.dir
            .join(format!("example-{}", example.replace('/', "-")))
    }

    /// The folder with a newer Docker Engine, where a test asked for it.
    pub fn newer_engine(&self) -> PathBuf {
        self.dir.join("newer-engine")
    }

    /// The Docker client's configuration folder, with the buildx plug-in and no credential.
    pub fn docker_config(&self) -> PathBuf {
        self.dir.join("docker-config")
    }

    /// The socket that DynamoDB Local answers on.
    pub fn dynamodb_socket(&self) -> PathBuf {
        self.dir.join("dynamodb/http.sock")
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of some bytes in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_target_folders_are_two_sandboxes_and_one_is_always_the_same() {
        let one = Instance::of(Path::new("/src/a"), Path::new("/src/a/target"));
        let two = Instance::of(Path::new("/src/b"), Path::new("/src/b/target"));
        assert_eq!(
            one,
            Instance::of(Path::new("/src/a"), Path::new("/src/a/target"))
        );
        assert_ne!(one.ip, two.ip);
        assert_ne!(one.id, two.id);
    }

    #[test]
    fn the_address_stays_away_from_localhost_and_ends_in_one() {
        for folder in 0..200 {
            let instance = Instance::of(Path::new("/"), &PathBuf::from(format!("/{folder}")));
            let [first, second, _, last] = instance.ip.octets();
            assert_eq!((first, last), (127, 1));
            assert!((64..192).contains(&second), "{}", instance.ip);
        }
    }
}
