//! ECR's calls for scans, and its words in this program's.

use super::follow::{Look, Scan, Started, not_performed};
use super::scanned::{Finding, NotPerformed, Part, Severities};
use crate::ecr::{Ecr, lacking};
use crate::registry::MANIFESTS;
use crate::scan::Severity;
use aws_sdk_ecr::primitives::DateTime;
use aws_sdk_ecr::types::{
    EnhancedImageScanFinding, ImageIdentifier, ImageScanFinding, ImageScanFindings,
};
use kit::id::Digest;
use kit::{Error, Result};
use net::{AwsContext, code};
use serde_json::Value;
use time::OffsetDateTime;

/// The images to judge. ECR scans the images of an index, never the index.
///
/// # Errors
/// The repository has no such image.
pub(crate) async fn parts(ecr: &Ecr, digest: &Digest) -> Result<Vec<Part>> {
    let operation = format!("read {digest} from repository {}", ecr.repository);
    let answer = ecr
        .client
        .batch_get_image()
        .repository_name(&ecr.repository)
        .image_ids(id(digest))
        .set_accepted_media_types(Some(
            MANIFESTS.iter().map(|name| (*name).to_owned()).collect(),
        ))
        .send()
        .await
        .cannot(&operation)
        .map_err(|error| lacking(error, "ecr:BatchGetImage"))?;
    let Some(manifest) = answer
        .images()
        .first()
        .and_then(|image| image.image_manifest())
    else {
        let reason = answer
            .failures()
            .first()
            .and_then(|failure| failure.failure_reason())
            .unwrap_or("ECR answered no image");
        return Err(Error::failed(format!("cannot {operation}"))
            .cause(reason)
            .hint("take the `digest` output of the step that published the image"));
    };
    let parts = of(digest, manifest).ok_or_else(|| {
        Error::failed(format!("cannot {operation}"))
            .cause("an entry of the index has no SHA-256 digest")
            .hint("publish the image again; ECR names images by SHA-256 digests")
    })?;
    if parts.is_empty() {
        return Err(Error::refused(format!(
            "{digest} is an index without an image of any platform; there is nothing to scan"
        ))
        .hint("give the digest of an image"));
    }
    Ok(parts)
}

/// The images in a manifest; `None` if one of them has no digest. An attestation that buildx puts beside an image has the
/// platform `unknown` (BuildKit, "Image attestation storage") and no packages of its own.
fn of(digest: &Digest, manifest: &str) -> Option<Vec<Part>> {
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    let Some(children) = manifest["manifests"].as_array() else {
        return Some(vec![Part {
            digest: digest.clone(),
            platform: None,
        }]);
    };
    children
        .iter()
        .filter_map(|child| {
            let platform = &child["platform"];
            let word = |name: &str| platform[name].as_str().unwrap_or("unknown");
            if word("os") == "unknown" && word("architecture") == "unknown" && platform.is_object()
            {
                return None;
            }
            let variant = platform["variant"]
                .as_str()
                .map(|variant| format!("/{variant}"))
                .unwrap_or_default();
            // An image that cannot be named must not count as scanned.
            let digest = child["digest"]
                .as_str()
                .and_then(|text| Digest::parse(text).ok());
            Some(digest.map(|digest| Part {
                digest,
                platform: Some(format!("{}/{}{variant}", word("os"), word("architecture"))),
            }))
        })
        .collect()
}

/// Looks at an image's scan.
pub(crate) async fn look(ecr: &Ecr, digest: &Digest) -> Result<Look> {
    let (mut scan, mut next) = (Scan::default(), None);
    loop {
        let answer = ecr
            .client
            .describe_image_scan_findings()
            .repository_name(&ecr.repository)
            .image_id(id(digest))
            .max_results(1000)
            .set_next_token(next)
            .send()
            .await;
        let page = match answer {
            Err(error) if code(&error) == Some("ScanNotFoundException") => return Ok(Look::None),
            answer => answer
                .cannot(format!("read the scan findings of {digest}"))
                .map_err(|error| {
                    lacking(error, "ecr:DescribeImageScanFindings, and with enhanced scanning inspector2:ListFindings and inspector2:ListCoverage")
                })?,
        };
        if let Some(status) = page.image_scan_status() {
            scan.status = status
                .status()
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default();
            scan.description = status.description().map(str::to_owned);
        }
        if let Some(found) = page.image_scan_findings() {
            add(&mut scan, found);
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(Look::Scan(scan));
        }
    }
}

fn add(scan: &mut Scan, page: &ImageScanFindings) {
    let at = |at: Option<&DateTime>| {
        at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok())
    };
    scan.completed = at(page.image_scan_completed_at()).or(scan.completed);
    // Each page has the counts of the whole scan.
    let mut counts = Severities::default();
    for (severity, number) in page.finding_severity_counts().into_iter().flatten() {
        counts.add(
            severity_of(severity.as_str()),
            u32::try_from(*number).unwrap_or_default(),
        );
    }
    scan.counts = counts;
    scan.findings.extend(page.findings().iter().map(basic));
    scan.findings.extend(
        page.enhanced_findings()
            .iter()
            .filter(|one| one.status() != Some("CLOSED"))
            .map(enhanced),
    );
}

fn basic(finding: &ImageScanFinding) -> Finding {
    let attribute = |key: &str| {
        finding
            .attributes()
            .iter()
            .find(|one| one.key() == key)
            .and_then(|one| one.value())
            .map(str::to_owned)
    };
    Finding {
        id: finding.name().unwrap_or("unnamed").to_owned(),
        severity: finding.severity().map_or(Severity::Undefined, |severity| {
            severity_of(severity.as_str())
        }),
        package: attribute("package_name"),
        version: attribute("package_version"),
        fixed: None,
        uri: finding.uri().map(str::to_owned),
    }
}

fn enhanced(finding: &EnhancedImageScanFinding) -> Finding {
    let details = finding.package_vulnerability_details();
    let packages = details.map(|details| details.vulnerable_packages());
    let join = |of: &dyn Fn(&aws_sdk_ecr::types::VulnerablePackage) -> Option<String>| {
        let mut all: Vec<String> = packages.into_iter().flatten().filter_map(of).collect();
        all.dedup();
        (!all.is_empty()).then(|| all.join(", "))
    };
    Finding {
        id: details
            .and_then(|details| details.vulnerability_id())
            .or(finding.title())
            .or(finding.finding_arn())
            .unwrap_or("unnamed")
            .to_owned(),
        severity: finding.severity().map_or(Severity::Undefined, severity_of),
        package: join(&|package| package.name().map(str::to_owned)),
        version: join(&|package| {
            let release = package.release().map(|release| format!("-{release}"));
            Some(format!(
                "{}{}",
                package.version()?,
                release.unwrap_or_default()
            ))
        }),
        fixed: join(&|package| package.fixed_in_version().map(str::to_owned)),
        uri: details
            .and_then(|details| details.source_url())
            .map(str::to_owned),
    }
}

/// ECR's severity, and Amazon Inspector's. A word this version does not know could mean anything, so it counts as the worst.
fn severity_of(word: &str) -> Severity {
    match word {
        "HIGH" => Severity::High,
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        "INFORMATIONAL" => Severity::Informational,
        "UNDEFINED" | "UNTRIAGED" => Severity::Undefined,
        _ => Severity::Critical,
    }
}

/// Asks for a basic scan.
///
/// # Errors
/// ECR does not answer.
pub(crate) async fn start(ecr: &Ecr, digest: &Digest) -> Result<Started> {
    let answer = ecr
        .client
        .start_image_scan()
        .repository_name(&ecr.repository)
        .image_id(id(digest))
        .send()
        .await;
    let Err(error) = answer else {
        return Ok(Started::Yes);
    };
    let words = error
        .as_service_error()
        .and_then(|error| error.meta().message())
        .map(str::to_owned);
    Ok(match code(&error) {
        // With enhanced scanning ECR refuses to scan on request.
        Some("ValidationException") => Started::ByItself,
        Some("LimitExceededException") => Started::No(NotPerformed {
            status: "LIMIT_EXCEEDED".to_owned(),
            why: "ECR scans an image once in 24 hours on request, and of that scan there is nothing to read".to_owned(),
            hint: "run the step again tomorrow, or turn scanning on push on for the registry".to_owned(),
        }),
        Some("UnsupportedImageTypeException") => {
            Started::No(not_performed("UNSUPPORTED_IMAGE", words))
        }
        Some("ImageArchivedException") => Started::No(not_performed("IMAGE_ARCHIVED", words)),
        Some("AccessDeniedException") => Started::No(NotPerformed {
            status: "NOT_SCANNED".to_owned(),
            why: format!(
                "it was never scanned, and asking for a scan is not allowed ({})",
                words.unwrap_or_default()
            ),
            hint: "the publish role needs ecr:StartImageScan, or the registry scanning on push"
                .to_owned(),
        }),
        _ => return Err(net::cannot(error, &format!("start a scan of {digest}"))),
    })
}

fn id(digest: &Digest) -> ImageIdentifier {
    ImageIdentifier::builder()
        .image_digest(digest.as_str())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ecr::types::{Attribute, FindingSeverity};

    #[test]
    fn an_index_is_its_platforms_images_without_attestations() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let root = Digest::parse(&digest("0")).unwrap();
        let child = |digit: &str, os: &str, architecture: &str, variant: Option<&str>| {
            serde_json::json!({"digest": digest(digit),
                "platform": {"os": os, "architecture": architecture, "variant": variant}})
        };
        let mut index = serde_json::json!({"manifests": [
            child("1", "linux", "amd64", None),
            child("2", "linux", "arm", Some("v7")),
            child("3", "unknown", "unknown", None),
            {"digest": digest("4")},
        ]});
        let parts = of(&root, &index.to_string()).unwrap();
        let names: Vec<String> = parts.iter().map(Part::name).collect();
        let name = |digit: &str, platform: &str| format!("{} ({platform})", digest(digit));
        assert_eq!(
            names,
            [
                name("1", "linux/amd64"),
                name("2", "linux/arm/v7"),
                name("4", "unknown/unknown")
            ]
        );
        index["manifests"][0]["digest"] = "sha512:1".into();
        assert_eq!(of(&root, &index.to_string()), None);
        let image = of(&root, r#"{"layers": []}"#).unwrap();
        assert_eq!(image[0].name(), digest("0"));
    }

    #[test]
    fn a_severity_this_version_does_not_know_is_the_worst() {
        for (word, severity) in [
            ("CRITICAL", Severity::Critical),
            ("MEDIUM", Severity::Medium),
            ("UNTRIAGED", Severity::Undefined),
            ("APOCALYPTIC", Severity::Critical),
        ] {
            assert_eq!(severity_of(word), severity);
        }
    }

    #[test]
    fn a_basic_finding_has_its_package_in_attributes() {
        let attribute =
            |key: &str, value: &str| Attribute::builder().key(key).value(value).build().unwrap();
        let finding = ImageScanFinding::builder()
            .name("CVE-2026-1")
            .severity(FindingSeverity::High)
            .attributes(attribute("package_version", "1.2"))
            .attributes(attribute("package_name", "zlib"))
            .build();
        let finding = basic(&finding);
        assert_eq!(
            (finding.package.as_deref(), finding.version.as_deref()),
            (Some("zlib"), Some("1.2"))
        );
        assert_eq!(finding.severity, Severity::High);
    }
}
