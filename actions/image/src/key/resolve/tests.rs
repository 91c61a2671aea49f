//! Base images and how they are pinned to digests.

use super::*;

#[test]
fn references_are_read_as_docker_reads_them() {
    let hex = "0".repeat(64);
    for (text, endpoint, name, tag) in [
        (
            "alpine",
            "https://registry-1.docker.io",
            "library/alpine",
            "latest",
        ),
        (
            "acme/app:1",
            "https://registry-1.docker.io",
            "acme/app",
            "1",
        ),
        (
            "index.docker.io/acme/app",
            "https://registry-1.docker.io",
            "acme/app",
            "latest",
        ),
        ("ghcr.io/a/b/c:v1.2", "https://ghcr.io", "a/b/c", "v1.2"),
        ("localhost/a", "http://localhost", "a", "latest"),
        (
            "127.70.3.1:4002/acme/node:24",
            "http://127.70.3.1:4002",
            "acme/node",
            "24",
        ),
        ("reg:5000/a", "https://reg:5000", "a", "latest"),
        (
            &format!("a:1@sha256:{hex}"),
            "https://registry-1.docker.io",
            "library/a",
            "1",
        ),
    ] {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.endpoint(), endpoint, "{text}");
        assert_eq!(
            (reference.name.as_str(), reference.tag.as_str()),
            (name, tag)
        );
        assert_eq!(reference.digest.is_some(), text.contains('@'));
    }
    for text in ["", "a b", "a:", "a@sha256:0", "a/../b?x", "é"] {
        assert!(Reference::parse(text).is_none(), "{text}");
    }
}

/// CNCF distribution on a port of its own, ended with the test.
struct Distribution {
    host: String,
    child: std::process::Child,
    _dir: tempfile::TempDir,
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn distribution() -> Distribution {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let host = format!("127.0.0.1:{port}");
    let config = dir.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n",
        dir.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let child = std::process::Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    Distribution {
        host,
        child,
        _dir: dir,
    }
}

#[tokio::test]
async fn a_real_registry_tells_the_digest_a_tag_names_now() {
    let distribution = distribution();
    let env = Env::default();
    let cx = kit::step::Cx {
        host: kit::host::Host::detect(&env),
        env: env.clone(),
        clock: kit::clock::Clock::System,
        common: kit::step::Common {
            environment: None,
            contract: None,
            json: false,
            verbose: false,
        },
    };
    let net = Net::new(&cx).unwrap();
    let url = format!("http://{}/v2/acme/base/manifests/1", distribution.host);
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let mut stored = false;
    for _ in 0..6000 {
        let put = net
            .http()
            .put(&url)
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .body(index)
            .send()
            .await;
        stored = put.is_ok_and(|answer| answer.status().is_success());
        if stored {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stored, "the registry took no manifest");
    let ask = async |tag: &str| {
        let text = format!("{}/acme/base{tag}", distribution.host);
        let reference = Reference::parse(&text).unwrap();
        digest(&net, &env, &Logins::new(), &reference).await
    };
    let wanted = crate::digest::digest(index.as_bytes());
    assert_eq!(ask(":1").await.unwrap(), wanted);
    let why = ask("").await.unwrap_err();
    assert!(matches!(&why, Unresolved::Status { status, .. } if status.as_u16() == 404));
    let wanted = format!("{} answered 404 Not Found", distribution.host);
    assert_eq!(why.to_string(), wanted);
    // The registry is not asked about a pinned image.
    let pinned = format!(":1@sha256:{}", "0".repeat(64));
    assert!(ask(&pinned).await.unwrap().as_str().ends_with("0000"));
    let gone = Reference::parse("127.0.0.1:9/a").unwrap();
    let why = digest(&net, &env, &Logins::new(), &gone).await.unwrap_err();
    assert!(matches!(why, Unresolved::NoAnswer { .. }), "{why}");
    assert!(
        why.to_string().starts_with("127.0.0.1:9 does not answer: "),
        "{why}"
    );
}

#[test]
fn a_login_goes_to_no_place_in_clear() {
    for (realm, wanted) in [
        ("https://auth.docker.io/token", true),
        ("http://127.0.0.1:5001/auth?x=y", true),
        ("http://auth.example/token", false),
        ("http://127.0.0.1.evil.example/", false),
        ("ftp://x", false),
    ] {
        assert_eq!(safe(realm), wanted, "{realm}");
    }
    assert_eq!(encoded("a b&c:d/e"), "a%20b%26c:d/e");
}
