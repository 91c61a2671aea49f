//! The scan gate: clean, findings and not performed are three results, and waiting too long is none of them.

use serde_json::{Value, json};

use crate::ecr::{Setting, THERE};
use crate::support::log;

struct Scans {
    setting: Setting,
    digest: String,
}

impl Scans {
    fn new(name: &str) -> Self {
        let setting = Setting::new(name);
        let (digest, _) = setting.first();
        Self { setting, digest }
    }

    /// Tells what the scan of an image finds.
    fn tell(&self, digest: &str, setting: &Value) {
        let mut script = json!({
            "account": self.setting.world.build.id, "region": self.setting.world.region, "repository": THERE, "digest": digest,
        });
        for (name, value) in setting.as_object().unwrap() {
            script[name] = value.clone();
        }
        self.setting.tell("scans", &script);
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let arguments = [
            "scan",
            "--environment",
            "dev",
            "--repository",
            THERE,
            "--digest",
            &self.digest,
        ];
        [&arguments[..], more].concat()
    }

    fn scan(&self, more: &[&str], exit: i32) -> Value {
        self.setting.json(&self.arguments(more), exit)
    }

    fn log(&self, more: &[&str], exit: i32) -> String {
        let output = self.setting.image(&self.arguments(more), exit);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            log(&output)
        )
    }
}

fn basic(id: &str, severity: &str) -> Value {
    json!({"name": id, "severity": severity, "uri": format!("https://example.org/{id}"),
           "attributes": [{"key": "package_name", "value": "zlib"}, {"key": "package_version", "value": "1.2.3"}]})
}

fn complete(findings: &[Value], ago: i64) -> Value {
    let mut counts = serde_json::Map::new();
    for finding in findings {
        let severity = finding["severity"].as_str().unwrap();
        let number = counts.get(severity).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(severity.to_owned(), json!(number + 1));
    }
    json!({"status": "COMPLETE", "seconds_ago": ago, "counts": counts, "findings": findings})
}

#[test]
fn clean_findings_and_not_performed_are_three_results() {
    let scans = Scans::new("scan");
    let digest = scans.digest.clone();

    scans.tell(
        &digest,
        &json!({"looks": [{"status": "PENDING"}, complete(&[], 600)]}),
    );
    let clean = scans.scan(&[], 0);
    assert_eq!(clean["verdict"], "clean", "{clean}");
    assert!(scans.setting.job.read("output").contains("clean"));

    // More than one page, and only some severe enough.
    let mut many: Vec<Value> = (0..1001)
        .map(|n| basic(&format!("CVE-2026-{n}"), "LOW"))
        .collect();
    many.push(basic("CVE-2026-9999", "CRITICAL"));
    scans.tell(&digest, &json!({"looks": [complete(&many, 600)]}));
    let found = scans.log(&[], 3);
    assert!(
        found.contains("has 1 finding of severity high or above"),
        "{found}"
    );
    assert!(found.contains("CVE-2026-9999") && found.contains("zlib") && found.contains("1.2.3"));
    assert!(
        found.contains("critical=1 high=0 medium=0 low=1001"),
        "{found}"
    );

    for (status, word) in [
        ("UNSUPPORTED_IMAGE", "cannot scan such an image"),
        ("FAILED", "scan failed"),
        ("SCAN_ELIGIBILITY_EXPIRED", "no longer watches"),
    ] {
        scans.tell(
            &digest,
            &json!({"looks": [{"status": status, "description": "as ECR says"}]}),
        );
        let log = scans.log(&[], 3);
        assert!(
            log.contains("was not scanned; it is not known whether it is clean"),
            "{log}"
        );
        assert!(log.contains(word) && log.contains("as ECR says"), "{log}");
    }

    scans.tell(&digest, &json!({"looks": [{"status": "IN_PROGRESS"}]}));
    let late = scans.log(&["--wait", "0"], 9);
    assert!(late.contains("the scan is not over after 0 s"), "{late}");
}

#[test]
fn a_scan_that_says_complete_before_its_findings_are_there_is_not_clean() {
    let scans = Scans::new("settle");
    let bad = complete(&[basic("CVE-2026-1", "HIGH")], 0);
    let looks = json!([{"status": "IN_PROGRESS"}, {"status": "COMPLETE"}, {"status": "COMPLETE", "counts": {}}, bad]);
    scans.tell(&scans.digest, &json!({ "looks": looks }));
    let log = scans.log(&[], 3);
    assert!(
        log.contains("looking again") && log.contains("CVE-2026-1"),
        "{log}"
    );
}

#[test]
fn enhanced_findings_pass_only_as_long_as_their_waiver() {
    let scans = Scans::new("enhanced");
    let finding = json!({
        "severity": "HIGH", "status": "ACTIVE", "title": "CVE-2026-7 - openssl",
        "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2026-7", "vulnerablePackages": [
            {"name": "openssl", "version": "3.0.1", "fixedInVersion": "3.0.2"},
        ]},
    });
    let look = json!({"status": "ACTIVE", "seconds_ago": 600, "counts": {"HIGH": 1}, "enhanced": [finding]});
    scans.tell(&scans.digest, &json!({"looks": [look]}));
    let found = scans.log(&[], 3);
    for word in ["CVE-2026-7", "openssl", "3.0.1", "3.0.2"] {
        assert!(found.contains(word), "{found}");
    }
    let waived = scans.log(
        &["--waive", "CVE-2026-7=2999-12-31\nCVE-2026-8=2999-12-31"],
        0,
    );
    assert!(waived.contains("waived until 2999-12-31"), "{waived}");
    assert!(
        waived.contains("CVE-2026-8 until 2999-12-31 is not needed"),
        "{waived}"
    );
    let ended = scans.log(&["--waive", "CVE-2026-7=2020-01-01"], 3);
    assert!(
        ended.contains("the waiver of CVE-2026-7 ended on 2020-01-01"),
        "{ended}"
    );
    scans.log(&["--fail-on", "critical"], 0);
}

#[test]
fn a_scan_that_was_never_made_is_asked_for_where_it_can_be() {
    let scans = Scans::new("start");
    scans.tell(
        &scans.digest,
        &json!({"after_start": [{"status": "IN_PROGRESS"}, complete(&[], 600)]}),
    );
    let log = scans.log(&[], 0);
    assert!(
        log.contains("was never scanned; a scan is started"),
        "{log}"
    );
    for (code, word) in [
        ("LimitExceededException", "once in 24 hours"),
        ("UnsupportedImageTypeException", "cannot scan such an image"),
    ] {
        scans.tell(
            &scans.digest,
            &json!({"start": {"code": code, "message": "no"}}),
        );
        let log = scans.log(&[], 3);
        assert!(log.contains(word), "{log}");
    }
    // Enhanced scanning cannot be asked, only waited for.
    scans.tell(
        &scans.digest,
        &json!({"start": {"code": "ValidationException", "message": "This feature is disabled"}}),
    );
    let log = scans.log(&["--wait", "0"], 9);
    assert!(
        log.contains("enhanced scanning is on and has not begun with it"),
        "{log}"
    );
}

#[test]
fn each_platform_of_an_index_is_judged() {
    let mut scans = Scans::new("index");
    let arm = scans.setting.another("arm", None);
    let (amd, manifest) = (scans.digest.clone(), scans.setting.first().1);
    let size = |digest: &str| {
        let ids = json!({"repositoryName": THERE, "imageIds": [{"imageDigest": digest}]});
        let answer = scans.setting.ecr("BatchGetImage", &ids).unwrap();
        answer["images"][0]["imageManifest"].as_str().unwrap().len()
    };
    let child = |digest: &str, os: &str, architecture: &str| {
        json!({"mediaType": manifest["mediaType"], "digest": digest, "size": size(digest),
               "platform": {"os": os, "architecture": architecture}})
    };
    let attestation = scans.setting.another("attestation", None);
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [child(&amd, "linux", "amd64"), child(&arm, "linux", "arm64"), child(&attestation, "unknown", "unknown")],
    });
    let index = scans.setting.put(&index, Some("index"));
    scans.tell(&amd, &json!({"looks": [complete(&[], 600)]}));
    scans.tell(
        &arm,
        &json!({"looks": [complete(&[basic("CVE-2026-1", "HIGH")], 600)]}),
    );
    scans.digest = index;
    let found = scans.log(&[], 3);
    assert!(found.contains("CVE-2026-1 (linux/arm64)"), "{found}");
    scans.tell(&arm, &json!({"looks": [{"status": "UNSUPPORTED_IMAGE"}]}));
    let log = scans.log(&[], 3);
    assert!(
        log.contains("was not scanned") && log.contains("(linux/arm64)"),
        "{log}"
    );
    scans.tell(&arm, &json!({"looks": [complete(&[], 600)]}));
    assert_eq!(scans.scan(&[], 0)["verdict"], "clean");
}
