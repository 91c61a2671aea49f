//! The launcher and a release, where nothing else is: what it downloads and from whom, what it makes of a release that is not
//! what its commit pins, and of a host that fails. The binary is a real one, the names are GitHub's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sandbox::instance::sha256;

use super::hosts::{Answer, Authority, Event, Hosts, Request};
use super::names::NameServer;
use super::room::{Ended, Room};
use super::{BUNDLE, binaries};
use crate::support::instance;

/// GitHub sends whoever asks for a release's asset on to a second host.
const GITHUB: &str = "github.com";
const ASSETS: &str = "release-assets.githubusercontent.com";
const HOSTS: &[&str] = &[GITHUB, ASSETS];

/// The response of the assets' host to one request.
#[derive(Clone, Copy)]
enum Makes {
    Bytes,
    /// Announces the whole and closes half way.
    Half,
    Status(u16),
}

/// The launcher as an action has it, with a lock that pins the real contract step.
struct Launch {
    room: Room,
    _names: NameServer,
    hosts: Hosts,
    authority: Authority,
    folder: tempfile::TempDir,
    binary: Vec<u8>,
    asset: String,
}

impl Launch {
    /// `makes` is what comes of the requests, one after the other; then come bytes.
    fn new(name: &str, makes: &[Makes]) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let base = runtime
            .block_on(sandbox::runner::base::image(instance()))
            .unwrap();
        let room = Room::around(&base, name, instance());
        let built = binaries()
            .iter()
            .find(|binary| binary.name == "slipway-contract");
        let binary = fs::read(&built.unwrap().file).unwrap();
        let asset = format!("slipway-contract-{}-linux", std::env::consts::ARCH);
        let path = format!("/slipway-delivery/slipway/releases/download/v1.2.3/{asset}");
        let makes = Arc::new(Mutex::new(makes.to_vec()));
        let bytes = binary.clone();
        let answer = move |request: &Request| {
            if request.host == GITHUB {
                assert_eq!(request.line, format!("GET {path}"));
                return Answer {
                    status: 302,
                    head: format!("location: https://{ASSETS}/blob?of=this\r\n"),
                    ..Answer::default()
                };
            }
            assert_eq!(request.line, "GET /blob?of=this");
            let mut makes = makes.lock().unwrap();
            let next = if makes.is_empty() {
                Makes::Bytes
            } else {
                makes.remove(0)
            };
            let (status, kept) = match next {
                Makes::Bytes => (200, 0),
                Makes::Half => (200, bytes.len() / 2),
                Makes::Status(status) => return (status, "text/plain", "no".to_owned()).into(),
            };
            Answer {
                status,
                head: String::new(),
                body: bytes.clone(),
                kept,
            }
        };
        let authority = Authority::of(HOSTS);
        let folder = tempfile::tempdir().unwrap();
        for child in ["launch", "cache", "work"] {
            fs::create_dir(folder.path().join(child)).unwrap();
        }
        for script in ["launch.js", "main.js", "post.js"] {
            let from = instance().checkout.join("actions/launch").join(script);
            fs::copy(from, folder.path().join("launch").join(script)).unwrap();
        }
        let example = instance()
            .checkout
            .join("docs/examples/storefront/delivery.yaml");
        fs::copy(example, folder.path().join("work/delivery.yaml")).unwrap();
        let launch = Self {
            _names: NameServer::start(room.gateway, HOSTS),
            hosts: Hosts::start(room.gateway, &authority, answer),
            room,
            authority,
            folder,
            binary,
            asset,
        };
        launch.pin(&sha256(&launch.binary));
        launch
    }

    fn pin(&self, hash: &str) {
        let lock =
            serde_json::json!({"version": "1.2.3", "assets": {&self.asset: {"sha256": hash}}});
        fs::write(
            self.folder.path().join("launch/release.lock"),
            lock.to_string(),
        )
        .unwrap();
    }

    /// Runs one of the action's scripts, with a certificate to trust or without.
    fn run(&self, script: &str, trusts: bool) -> Ended {
        let (certificate, folder) = (self.authority.certificate(), self.folder.path());
        let (launch, cache, work) = (
            folder.join("launch"),
            folder.join("cache"),
            folder.join("work"),
        );
        let mut volumes: Vec<(&Path, &str)> =
            vec![(&launch, "/launch:ro"), (&cache, "/cache"), (&work, "/job")];
        let mut variables = vec![
            ("INPUT_STEP", "contract"),
            ("INPUT_COMMAND", "check"),
            ("RUNNER_TOOL_CACHE", "/cache"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_WORKSPACE", "/job"),
            ("GITHUB_OUTPUT", "/job/output"),
            ("GITHUB_STATE", "/job/state"),
            ("GITHUB_ENV", "/job/env"),
            ("GITHUB_STEP_SUMMARY", "/job/summary"),
        ];
        for file in ["output", "state", "env", "summary"] {
            fs::write(work.join(file), "").unwrap();
        }
        if trusts {
            volumes.push((&certificate, BUNDLE));
            variables.push(("NODE_EXTRA_CA_CERTS", BUNDLE));
        }
        let script = format!("/launch/{script}.js");
        // The contract is found from where the step runs, which GitHub sets to the workspace.
        let go = format!("process.chdir('/job'); require('{script}')");
        self.room
            .run(&["node", "--eval", &go], &variables, &volumes)
    }

    /// The hosts that were called since the last time, in order.
    fn connections(&self) -> Vec<String> {
        let events = self.hosts.events().into_iter();
        events
            .map(|event| match event {
                Event::Answered(host) => host,
                Event::Refused(host, alert) => format!("{host}: {alert:?}"),
            })
            .collect()
    }

    /// Every file of the tool cache.
    fn cached(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().join("cache")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }

    /// Expects a refusal that names this, and that nothing is left in the cache for the next run.
    fn refuses(&self, ended: &Ended, why: &str) {
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(why), "{ended:?}");
        assert!(ended.err.contains("::error title=slipway::"), "{ended:?}");
        assert_eq!(self.cached(), Vec::<PathBuf>::new());
    }
}

const DELIVERS: &str = "delivery.yaml delivers storefront";

#[test]
fn a_release_is_downloaded_once_checked_and_kept() {
    let launch = Launch::new("launched", &[]);
    let ended = launch.run("main", true);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        format!("{}{}", ended.out, ended.err).contains(DELIVERS),
        "{ended:?}"
    );
    assert_eq!(launch.connections(), HOSTS);
    let [file] = &launch.cached()[..] else {
        panic!("{:?}", launch.cached());
    };
    assert_eq!(fs::read(file).unwrap(), launch.binary);
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o755
    );

    // The post step, and the next job on this runner, ask nobody.
    for script in ["post", "main"] {
        let ended = launch.run(script, true);
        assert_eq!(ended.code, Some(0), "{script}: {ended:?}");
        assert_eq!(launch.connections(), [""; 0], "{script}");
    }
}

#[test]
fn a_release_that_is_not_the_pinned_one_never_runs() {
    let launch = Launch::new("launched-other", &[]);
    let pinned = sha256(b"what was reviewed");
    launch.pin(&pinned);
    let ended = launch.run("main", true);
    let found = sha256(&launch.binary);
    launch.refuses(
        &ended,
        &format!("has SHA-256 {found}, but this commit pins {pinned}"),
    );
}

#[test]
fn a_host_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let launch = Launch::new("launched-late", &[Makes::Status(503), Makes::Half]);
    let ended = launch.run("main", true);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(launch.connections(), [HOSTS, HOSTS, HOSTS].concat());

    let launch = Launch::new("launched-gone", &[Makes::Status(404)]);
    let ended = launch.run("main", true);
    launch.refuses(
        &ended,
        &format!("/releases/download/v1.2.3/{}: HTTP 404", launch.asset),
    );
    assert_eq!(launch.connections(), HOSTS);
}

#[test]
fn a_download_host_with_an_untrusted_certificate_is_refused() {
    let launch = Launch::new("launched-stranger", &[]);
    let ended = launch.run("main", false);
    launch.refuses(&ended, "cannot download https://github.com/");
    assert!(
        launch
            .connections()
            .iter()
            .all(|event| event.starts_with("github.com: "))
    );
}
