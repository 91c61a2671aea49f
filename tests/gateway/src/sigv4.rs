//! AWS Signature Version 4: reading the credential scope and checking the signature.
//! Source: AWS General Reference, "Signature Version 4 signing process".

use http::{HeaderMap, Method};
use ring::{digest, hmac};
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use crate::text::{hex, pairs, percent_decode, percent_encode, value};

/// The signature in `Authorization` or a presigned query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) access_key: String,
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) token: Option<String>,
    signed_headers: Vec<String>,
    signature: String,
    timestamp: String,
    presigned: bool,
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads the signature's parameters; `None` for a request that is not signed with SigV4.
pub(crate) fn read(headers: &HeaderMap, query: &str) -> Option<Signed> {
    if let Some(rest) =
        header(headers, "authorization").and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256"))
    {
        let field = |name: &str| {
            rest.split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        return assemble(
            &field("Credential")?,
            &field("SignedHeaders")?,
            field("Signature")?,
            header(headers, "x-amz-date").unwrap_or_default().to_owned(),
            header(headers, "x-amz-security-token").map(str::to_owned),
            false,
        );
    }
    let query = pairs(query, false);
    assemble(
        value(&query, "X-Amz-Credential")?,
        value(&query, "X-Amz-SignedHeaders")?,
        value(&query, "X-Amz-Signature")?.to_owned(),
        value(&query, "X-Amz-Date")?.to_owned(),
        value(&query, "X-Amz-Security-Token").map(str::to_owned),
        true,
    )
}

fn assemble(
    credential: &str,
    signed_headers: &str,
    signature: String,
    timestamp: String,
    token: Option<String>,
    presigned: bool,
) -> Option<Signed> {
    let mut scope = credential.split('/');
    Some(Signed {
        access_key: scope.next()?.to_owned(),
        date: scope.next()?.to_owned(),
        region: scope.next()?.to_owned(),
        service: scope.next()?.to_ascii_lowercase(),
        token,
        signed_headers: signed_headers
            .split(';')
            .map(str::to_ascii_lowercase)
            .collect(),
        signature,
        timestamp,
        presigned,
    })
}

/// The parts of a request that the signature covers; `path` and `query` as they came on the wire.
pub(crate) struct SignedParts<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// `None` where the body streams: then the declared payload hash is taken at its word, as for
    /// `UNSIGNED-PAYLOAD` and `STREAMING-…` of S3.
    pub(crate) body: Option<&'a [u8]>,
}

/// Returns true if the signature is the one this secret makes.
pub(crate) fn verify(signed: &Signed, secret: &str, request: &SignedParts<'_>) -> bool {
    let declared = header(request.headers, "x-amz-content-sha256");
    let payload = match request.body {
        Some(body) => sha256(body),
        None => match (declared, signed.presigned) {
            (Some(hash), _) => hash.to_owned(),
            (None, true) => "UNSIGNED-PAYLOAD".to_owned(),
            (None, false) => return false,
        },
    };
    if request.body.is_some() && declared.is_some_and(|hash| hash.len() == 64 && hash != payload) {
        return false;
    }
    let mut canonical_headers = String::new();
    for name in &signed.signed_headers {
        let values: Vec<String> = request
            .headers
            .get_all(name)
            .iter()
            .map(|value| {
                String::from_utf8_lossy(value.as_bytes())
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        canonical_headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    // S3 signs the path encoded once, every other service encodes the encoded path again.
    let path = if signed.service.starts_with("s3") {
        percent_encode(&percent_decode(request.path), true)
    } else {
        percent_encode(request.path, true)
    };
    let mut query: Vec<(String, String)> = pairs(request.query, false)
        .into_iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (percent_encode(&name, false), percent_encode(&value, false)))
        .collect();
    query.sort();
    let query = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let canonical = format!(
        "{}\n{path}\n{query}\n{canonical_headers}\n{}\n{payload}",
        request.method,
        signed.signed_headers.join(";")
    );
    let scope = format!(
        "{}/{}/{}/aws4_request",
        signed.date, signed.region, signed.service
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        signed.timestamp,
        sha256(canonical.as_bytes())
    );
    let mut key = sign(format!("AWS4{secret}").as_bytes(), &signed.date);
    for part in [
        signed.region.as_str(),
        signed.service.as_str(),
        "aws4_request",
    ] {
        key = sign(key.as_ref(), part);
    }
    hex(sign(key.as_ref(), &text).as_ref()) == signed.signature
}

fn sign(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

/// Why the time of a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skewed {
    /// The time that was signed; nothing if it cannot be read.
    pub(crate) signed: Option<OffsetDateTime>,
    pub(crate) now: OffsetDateTime,
    /// How far off it may be.
    pub(crate) allowed: Duration,
}

/// How far from the service's the time of a signature may be (IAM User Guide, "Elements of an AWS API request signature": five
/// minutes; S3 API Reference, "Error responses", RequestTimeTooSkewed: 15 minutes).
fn allowed(service: &str) -> Duration {
    match service.starts_with("s3") {
        true => Duration::minutes(15),
        false => Duration::minutes(5),
    }
}

impl Signed {
    /// Why the signature's time is refused now, if it is. A presigned request says itself for how long it counts.
    pub(crate) fn skewed(&self, now: OffsetDateTime) -> Option<Skewed> {
        if self.presigned {
            return None;
        }
        let allowed = allowed(&self.service);
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let signed = PrimitiveDateTime::parse(&self.timestamp, format).ok();
        let signed = signed.map(PrimitiveDateTime::assume_utc);
        let right = signed.is_some_and(|signed| (now - signed).abs() <= allowed);
        (!right).then_some(Skewed {
            signed,
            now,
            allowed,
        })
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The worked example of AWS's documentation (IAM, ListUsers, 2015-08-30).
    fn example() -> (Signed, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, text) in [
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ] {
            headers.insert(name, text.parse().unwrap());
        }
        (read(&headers, "").unwrap(), headers)
    }

    fn covered<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> SignedParts<'a> {
        SignedParts {
            method: &Method::GET,
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            headers,
            body: Some(body),
        }
    }

    #[test]
    fn the_documented_example_verifies() {
        let (signed, headers) = example();
        assert_eq!(
            (signed.region.as_str(), signed.service.as_str()),
            ("us-east-1", "iam")
        );
        assert!(verify(
            &signed,
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            &covered(&headers, b"")
        ));
    }

    #[test]
    fn a_signature_counts_for_five_minutes_and_for_s3_for_fifteen() {
        let (mut signed, _) = example();
        // It was signed at 12:36:00.
        let at = |minute: u8, second: u8| {
            time::macros::datetime!(2015-08-30 12:00 UTC)
                .replace_minute(minute)
                .unwrap()
                .replace_second(second)
                .unwrap()
        };
        for (service, now, refused) in [
            ("iam", at(41, 0), false),
            ("iam", at(41, 1), true),
            ("iam", at(31, 0), false),
            ("iam", at(30, 59), true),
            ("s3", at(51, 0), false),
            ("s3", at(51, 1), true),
            ("s3", at(20, 59), true),
        ] {
            signed.service = service.to_owned();
            assert_eq!(signed.skewed(now).is_some(), refused, "{service} {now}");
        }
        signed.presigned = true;
        assert_eq!(signed.skewed(at(59, 0)), None);
        signed.presigned = false;
        signed.timestamp = "yesterday".to_owned();
        assert_eq!(signed.skewed(at(36, 0)).unwrap().signed, None);
    }

    #[test]
    fn another_secret_body_or_header_is_refused() {
        let (signed, mut headers) = example();
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert!(!verify(&signed, "another", &covered(&headers, b"")));
        assert!(!verify(&signed, secret, &covered(&headers, b"x")));
        headers.insert("host", "sts.amazonaws.com".parse().unwrap());
        assert!(!verify(&signed, secret, &covered(&headers, b"")));
    }
}
