//! One stand-in for all tests, each with a repository of its own; calls are made by `curl`, so that they have a process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use standin_github::{Config, Standin};
use tempfile::TempDir;

/// An answer as `curl` saw it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

/// Cargo's target folder: the outermost of the two that it tags, the inner being that of the target triple.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .ancestors()
        .take(4)
        .filter(|folder| folder.join("CACHEDIR.TAG").is_file())
        .last()
        .unwrap()
}

/// A file of an npm package at the version the sandbox pins: the sandbox's own copy, or one installed now.
pub(crate) fn npm_file(package: &str, file: &str) -> PathBuf {
    let kept = target().join("sandbox/npm").join(package).join(file);
    if kept.is_file() {
        return kept;
    }
    let parts: toml::Table = toml::from_str(include_str!("../../../parts.toml")).unwrap();
    let pinned = parts["npm"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["package"].as_str() == Some(package));
    let version =
        pinned.unwrap_or_else(|| panic!("tests/parts.toml does not name {package}"))["version"]
            .as_str()
            .unwrap()
            .to_owned();
    let prefix = target().join("sandbox/node");
    let installed = prefix.join("node_modules").join(package);
    let current = std::fs::read_to_string(installed.join("package.json"))
        .unwrap_or_default()
        .contains(&format!("\"version\": \"{version}\""));
    if !current {
        std::fs::create_dir_all(&prefix).unwrap();
        let output = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&prefix)
            .arg(format!("{package}@{version}"))
            .current_dir(&prefix)
            .output()
            .expect("npm is needed to fetch GitHub's description");
        assert!(
            output.status.success(),
            "npm cannot install {package}@{version}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    installed.join(file)
}

fn openapi() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED
        .get_or_init(|| npm_file("@octokit/openapi", "generated/api.github.com.json"))
        .clone()
}

/// GitHub's GraphQL schema.
pub(crate) fn graphql() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED
        .get_or_init(|| npm_file("@octokit/graphql-schema", "schema.json"))
        .clone()
}

/// A stand-in on its own thread, as long as the test program runs.
pub(crate) struct Server {
    pub(crate) standin: Standin,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config {
            openapi: openapi(),
            graphql: graphql(),
        };
        let standin = Standin::new(config, address).unwrap();
        let serving = standin.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                serving
                    .serve(tokio::net::TcpListener::from_std(listener).unwrap())
                    .await
                    .unwrap()
            });
        });
        Self {
            standin,
            url: format!("http://{address}"),
        }
    }

    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One call by a process with these variables and no other `GITHUB_*`.
    pub(crate) fn curl(
        &self,
        env: &[(&str, &str)],
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.url)
        };
        let mut curl = Command::new("curl");
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GITHUB_"))
        {
            curl.env_remove(name);
        }
        curl.envs(env.iter().copied()).args([
            "--silent",
            "--show-error",
            "--include",
            "--max-time",
            "60",
            "--request",
            method,
        ]);
        if let Some(token) = token {
            curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        if let Some(body) = body {
            curl.args(["--data", &body.to_string()]);
        }
        let output = curl.arg(&url).output().unwrap();
        assert!(
            output.status.success(),
            "curl {url}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Answer {
            status,
            headers,
            body: serde_json::from_str(body).unwrap_or_else(|_| json!(body)),
        }
    }

    #[track_caller]
    pub(crate) fn control(&self, path: &str, body: Value) -> Value {
        let answer = self.curl(&[], None, "POST", &format!("/_sandbox/{path}"), Some(&body));
        assert!(
            answer.status < 300,
            "{path}: {} {:#}",
            answer.status,
            answer.body
        );
        answer.body
    }
}

/// A repository of one test, with three people: ana and ben write, rita only reads.
pub(crate) struct World {
    pub(crate) server: &'static Server,
    pub(crate) repository: String,
    pub(crate) git: PathBuf,
    pub(crate) token: String,
    pub(crate) id: u64,
    _folder: TempDir,
}

/// A started run.
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) oidc_url: String,
    pub(crate) oidc_token: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Server::shared(), json!({}))
    }

    pub(crate) fn with(server: &'static Server, options: Value) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = TempDir::new().unwrap();
        let git = folder.path().join("repository.git");
        let made = Command::new("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&git)
            .status()
            .unwrap();
        assert!(made.success());
        for (login, id) in [("ana", 101), ("ben", 102), ("rita", 103)] {
            // Shared by all tests, so the second to ask is told that they are there.
            server.curl(
                &[],
                None,
                "POST",
                "/_sandbox/users",
                Some(&json!({"login": login, "id": id, "emails": [format!("{login}@acme.test")]})),
            );
        }
        let repository = format!("acme-t{number}/storefront");
        let mut body = json!({
            "repository": repository,
            "git": git,
            "created_at": "2025-01-01T00:00:00Z",
            "collaborators": {"ana": "write", "ben": "maintain", "rita": "read"},
        });
        body.as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let id = server.control("repos", body)["id"].as_u64().unwrap();
        let token = server.control("tokens", json!({"login": "ana"}))["token"]
            .as_str()
            .unwrap()
            .to_owned();
        let world = Self {
            server,
            repository,
            git,
            token,
            id,
            _folder: folder,
        };
        world.push("ana", "main", &[("README.md", "hello\n")]);
        world
    }

    #[track_caller]
    pub(crate) fn act(&self, action: &str, body: Value) -> Value {
        self.server
            .control(&format!("repos/{}/{action}", self.repository), body)
    }

    pub(crate) fn refused(&self, action: &str, body: Value) -> (u16, String) {
        let answer = self.server.curl(
            &[],
            None,
            "POST",
            &format!("/_sandbox/repos/{}/{action}", self.repository),
            Some(&body),
        );
        (
            answer.status,
            answer.body["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// Pushes files to a branch, which starts at main where it is new. Answers the new head.
    #[track_caller]
    pub(crate) fn push(&self, user: &str, branch: &str, files: &[(&str, &str)]) -> String {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let mut body = json!({"user": user, "branch": branch, "files": files});
        if branch != "main"
            && self
                .git(&[
                    "rev-parse",
                    "--verify",
                    "--quiet",
                    &format!("refs/heads/{branch}"),
                ])
                .is_none()
        {
            body["from"] = json!("main");
        }
        self.act("push", body)["after"].as_str().unwrap().to_owned()
    }

    /// Opens a pull request of `user` with one commit.
    #[track_caller]
    pub(crate) fn pull(&self, user: &str, branch: &str) -> u64 {
        self.push(user, branch, &[(&format!("{branch}.txt"), "x\n")]);
        self.act(
            "pulls",
            json!({"user": user, "head": branch, "title": format!("Add {branch}")}),
        )["number"]
            .as_u64()
            .unwrap()
    }

    pub(crate) fn git(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.git)
            .args(args)
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn path(&self, path: &str) -> String {
        if path.starts_with('/') || path.starts_with("http") {
            path.to_owned()
        } else {
            format!(
                "/repos/{}{}{path}",
                self.repository,
                if path.is_empty() { "" } else { "/" }
            )
        }
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.server.curl(
            &[],
            Some(&self.token),
            method,
            &self.path(path),
            body.as_ref(),
        )
    }

    /// A call with ana's token.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    /// All pages of a list, by following its links.
    pub(crate) fn pages(&self, path: &str) -> Vec<Answer> {
        let mut pages = Vec::new();
        let mut next = Some(self.path(path));
        while let Some(path) = next.take() {
            let answer = self.get(&path);
            next = answer.headers.get("link").and_then(|link| {
                let (url, _) = link.split(", ").find_map(|part| {
                    part.split_once("; ")
                        .filter(|(_, rel)| *rel == "rel=\"next\"")
                })?;
                Some(url.trim_matches(['<', '>']).to_owned())
            });
            pages.push(answer);
            assert!(pages.len() < 50, "endless pages");
        }
        pages
    }

    #[track_caller]
    pub(crate) fn start(&self, body: Value) -> Run {
        run(&self.act("runs", body))
    }

    /// A call by a process of this job of a run.
    pub(crate) fn by_job(
        &self,
        run: &Run,
        job: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let env = [("GITHUB_JOB", job), ("GITHUB_RUN_ID", run.id.as_str())];
        self.server.curl(
            &env,
            Some(&run.token),
            method,
            &self.path(path),
            body.as_ref(),
        )
    }

    /// An identity token as a job asks for it.
    pub(crate) fn identity(&self, run: &Run, job: &str) -> Answer {
        let env = [("GITHUB_JOB", job), ("GITHUB_RUN_ID", run.id.as_str())];
        self.server.curl(
            &env,
            Some(&run.oidc_token),
            "GET",
            &format!("{}&audience=sts.amazonaws.com", run.oidc_url),
            None,
        )
    }

    /// The stand-in's record of calls to this repository.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let path = format!("/_sandbox/calls?repository={}", self.repository);
        self.server
            .curl(&[], None, "GET", &path, None)
            .expect(200)
            .as_array()
            .unwrap()
            .clone()
    }
}

impl Drop for World {
    /// Whatever a test looks at, every answer it got must have fitted GitHub's description.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let path = format!("/_sandbox/violations?repository={}", self.repository);
            assert_eq!(
                self.server.curl(&[], None, "GET", &path, None).body,
                json!([])
            );
        }
    }
}

pub(crate) fn run(answer: &Value) -> Run {
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Run {
        id: answer["run_id"].to_string(),
        token: text("token"),
        oidc_url: text("oidc_request_url"),
        oidc_token: text("oidc_request_token"),
    }
}
