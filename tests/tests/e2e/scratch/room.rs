//! One binary's room: an image that holds the binary and nothing else, and a network in which this process is the name
//! server and every host. Whatever is made carries the sandbox's label and goes when the room is dropped.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use sandbox::dist::Binary;
use sandbox::instance::Instance;

const ENGINE: &str = "unix:///var/run/docker.sock";
/// The most seconds that one run of a binary may take; none needs a tenth of it.
const TIMEOUT: &str = "300";
/// The label that names the room a container runs in.
const ROOM: &str = "slipway.room";

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) struct Room {
    /// Network and containers are called this, and the image where the room made it.
    name: String,
    image: String,
    label: String,
    /// This process's address in the network.
    pub(crate) gateway: Ipv4Addr,
}

impl Room {
    pub(crate) fn of(binary: &Binary, instance: &Instance) -> Self {
        let room = Self::bare(&binary.name, None, instance);
        room.import(binary);
        room.joined()
    }

    /// A room in which an image runs that is there already, and stays.
    pub(crate) fn around(image: &str, name: &str, instance: &Instance) -> Self {
        Self::bare(name, Some(image), instance).joined()
    }

    fn bare(name: &str, image: Option<&str>, instance: &Instance) -> Self {
        let name = format!("{name}-scratch-{}", std::process::id());
        Self {
            image: image.map_or_else(|| name.clone(), str::to_owned),
            name,
            label: format!("slipway.sandbox={}", instance.id),
            gateway: Ipv4Addr::UNSPECIFIED,
        }
    }

    fn joined(mut self) -> Self {
        docker(&["network", "create", "--label", &self.label, &self.name]);
        let gateway = "{{(index .IPAM.Config 0).Gateway}}";
        self.gateway = docker(&["network", "inspect", "--format", gateway, &self.name])
            .trim()
            .parse()
            .unwrap();
        self
    }

    /// `docker import` is `FROM scratch` and one `COPY`, without a builder that differs from machine to machine.
    fn import(&self, binary: &Binary) {
        let mut tar = Command::new("tar")
            .args([
                "--create",
                "--owner=0",
                "--group=0",
                "--mode=0755",
                "--file=-",
            ])
            .arg("--directory")
            .arg(binary.file.parent().unwrap())
            .arg(&binary.name)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let import = client(["import"])
            .arg("--change")
            .arg(format!("ENTRYPOINT [\"/{}\"]", binary.name))
            .arg("--change")
            .arg(format!("LABEL {}", self.label))
            .args(["-", &self.name])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(import.status.success(), "{import:?}");
    }

    /// Runs the image with exactly these arguments and variables, and with these files and folders of this machine.
    pub(crate) fn run(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        volumes: &[(&Path, &str)],
    ) -> Ended {
        let gateway = self.gateway.to_string();
        // Killing the client leaves the container, which the room removes.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", TIMEOUT]).arg("docker");
        command.args(["run", "--rm", "--read-only", "--cap-drop=ALL"]);
        command.args(["--label", &self.label, "--network", &self.name]);
        command.args(["--label", &format!("{ROOM}={}", self.name)]);
        command.args(["--dns", &gateway, "--dns-search", "."]);
        for (name, value) in variables {
            command.args(["--env", &format!("{name}={value}")]);
        }
        for (here, there) in volumes {
            command.args(["--volume", &format!("{}:{there}", here.display())]);
        }
        command.arg(&self.image).args(arguments);
        let output = alone(&mut command).output().unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Where making the room failed half way, some of it is not there to remove.
        let mine = format!("label={ROOM}={}", self.name);
        let found = client(["ps", "--all", "--quiet", "--filter", &mine]).output();
        let found = found.map(|output| output.stdout).unwrap_or_default();
        for container in String::from_utf8_lossy(&found).lines() {
            let _ = client(["rm", "--force", container]).output();
        }
        let _ = client(["network", "rm", &self.name]).output();
        if self.image == self.name {
            let _ = client(["image", "rm", "--force", &self.image]).output();
        }
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = client(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {}: {}\n`cargo sandbox up` starts an engine",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn client<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new("docker");
    alone(&mut command).args(arguments);
    command
}

/// Takes the person's own Docker configuration away: a proxy set there would be put into every container.
fn alone(command: &mut Command) -> &mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("DOCKER_HOST", ENGINE)
        .stdin(Stdio::null())
}
