//! The identity behind an access key: the gateway is the sandbox's only issuer of temporary credentials, and it
//! learns long-lived keys when IAM hands them out.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::error::{AwsError, Protocol};
use crate::lock;
use crate::sigv4::Skewed;

/// The caller of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) account: String,
    /// `arn:aws:sts::…:assumed-role/ROLE/SESSION` or `arn:aws:iam::…:user/NAME`.
    pub(crate) arn: String,
    /// The role behind a session.
    pub(crate) role: Option<String>,
    pub(crate) session: Option<String>,
    /// `AROA…:session` or `AIDA…`.
    pub(crate) user_id: String,
    /// Tags of the role or user and of the session, as `aws:PrincipalTag` sees them.
    pub(crate) tags: Vec<(String, String)>,
    /// The keys of the session tags that a session opened from this one inherits.
    pub(crate) transitive: Vec<String>,
    /// The policies the session was opened with.
    pub(crate) policies: Vec<String>,
}

/// A principal with its key. Debug shows neither secret nor token.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) expires: Option<OffsetDateTime>,
    pub(crate) principal: Principal,
}

/// Credentials as the control interface hands them out.
#[derive(Serialize)]
pub(crate) struct IssuedCredentials<'a> {
    account: &'a str,
    arn: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: Option<&'a str>,
    expiration: Option<String>,
}

impl Credentials {
    pub(crate) fn handout(&self) -> IssuedCredentials<'_> {
        IssuedCredentials {
            account: &self.principal.account,
            arn: &self.principal.arn,
            access_key_id: &self.access_key,
            secret_access_key: &self.secret,
            session_token: self.token.as_deref(),
            expiration: self.expires.map(crate::rfc3339),
        }
    }
}

/// Why an access key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Unknown,
    Expired,
    Signature,
    /// The signature is right, and its time is not.
    Skewed(Skewed),
}

/// A time as a signature has it.
fn stamp(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    time.format(format).unwrap_or_default()
}

impl Skewed {
    /// The message of every service but S3, as AWS writes it.
    fn message(&self) -> String {
        let Self {
            signed,
            now,
            allowed,
        } = *self;
        let Some(signed) = signed else {
            return "Date must be in ISO-8601 'basic format'.".to_owned();
        };
        let (time, now_text, minutes) = (stamp(signed), stamp(now), allowed.whole_minutes());
        match signed < now {
            true => format!(
                "Signature expired: {time} is now earlier than {} ({now_text} - {minutes} min.)",
                stamp(now - allowed)
            ),
            false => format!(
                "Signature not yet current: {time} is still later than {} ({now_text} + {minutes} min.)",
                stamp(now + allowed)
            ),
        }
    }
}

impl Refusal {
    /// The refusal in the words of the protocol: STS and IAM, S3 and the JSON services each have their own.
    pub(crate) fn error(self, protocol: Protocol) -> AwsError {
        const TOKEN: &str = "The security token included in the request is invalid.";
        const EXPIRED: &str = "The security token included in the request is expired";
        const SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. \
                                 Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
        let xml = matches!(protocol, Protocol::Query | Protocol::Ec2);
        match (self, protocol) {
            (Self::Missing, Protocol::S3) => AwsError::new(403, "AccessDenied", "Access Denied"),
            (Self::Missing, _) if xml => AwsError::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ),
            (Self::Missing, _) => AwsError::new(
                400,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            (Self::Unknown, Protocol::S3) => AwsError::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            ),
            (Self::Unknown, _) if xml => AwsError::new(403, "InvalidClientTokenId", TOKEN),
            (Self::Unknown, _) => AwsError::new(400, "UnrecognizedClientException", TOKEN),
            (Self::Expired, Protocol::S3) => {
                AwsError::new(400, "ExpiredToken", "The provided token has expired.")
            }
            (Self::Expired, _) if xml => AwsError::new(403, "ExpiredToken", EXPIRED),
            (Self::Expired, _) => AwsError::new(400, "ExpiredTokenException", EXPIRED),
            (Self::Signature, Protocol::S3) => AwsError::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            ),
            (Self::Signature, _) if xml => AwsError::new(403, "SignatureDoesNotMatch", SIGNATURE),
            (Self::Signature, _) => AwsError::new(400, "InvalidSignatureException", SIGNATURE),
            (Self::Skewed(_), Protocol::S3) => AwsError::new(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            (Self::Skewed(skewed), _) if xml => {
                AwsError::new(403, "SignatureDoesNotMatch", skewed.message())
            }
            (Self::Skewed(skewed), _) => {
                AwsError::new(400, "InvalidSignatureException", skewed.message())
            }
        }
    }
}

/// All access keys of the sandbox.
#[derive(Default)]
pub(crate) struct Identities {
    keys: Mutex<HashMap<String, Credentials>>,
}

impl Identities {
    /// Temporary credentials for a principal; without a duration they do not expire.
    pub(crate) fn issue(&self, principal: Principal, lasts: Option<Duration>) -> Credentials {
        let credentials = Credentials {
            access_key: format!("ASIA{}", letters(16)),
            secret: opaque(30),
            token: Some(format!("IQoJb3JpZ2luX2VjE{}", opaque(240))),
            expires: lasts.map(|lasts| OffsetDateTime::now_utc() + lasts),
            principal,
        };
        lock(&self.keys).insert(credentials.access_key.clone(), credentials.clone());
        credentials
    }

    /// A long-lived key that IAM's `CreateAccessKey` answered.
    pub(crate) fn learn_user(&self, account: &str, user: &str, access_key: &str, secret: &str) {
        let principal = Principal {
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:user/{user}"),
            role: None,
            session: None,
            user_id: format!("AIDA{}", letters(16)),
            tags: Vec::new(),
            transitive: Vec::new(),
            policies: Vec::new(),
        };
        let credentials = Credentials {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            token: None,
            expires: None,
            principal,
        };
        lock(&self.keys).insert(access_key.to_owned(), credentials);
    }

    /// IAM's `DeleteAccessKey`.
    pub(crate) fn forget(&self, access_key: &str) {
        lock(&self.keys).remove(access_key);
    }

    /// Makes a key expired, for tests that cannot wait 15 minutes.
    pub(crate) fn expire(&self, access_key: &str) -> bool {
        match lock(&self.keys).get_mut(access_key) {
            Some(credentials) => {
                credentials.expires = Some(OffsetDateTime::now_utc());
                true
            }
            None => false,
        }
    }

    pub(crate) fn account_of(&self, access_key: &str) -> Option<String> {
        lock(&self.keys)
            .get(access_key)
            .map(|found| found.principal.account.clone())
    }

    /// The credentials of a key that is known, has the right session token and has not expired.
    pub(crate) fn find(
        &self,
        access_key: &str,
        token: Option<&str>,
    ) -> Result<Credentials, Refusal> {
        let found = lock(&self.keys)
            .get(access_key)
            .cloned()
            .ok_or(Refusal::Unknown)?;
        if found.token.as_deref() != token {
            return Err(Refusal::Unknown);
        }
        match found.expires {
            Some(end) if end <= OffsetDateTime::now_utc() => Err(Refusal::Expired),
            _ => Ok(found),
        }
    }
}

/// Random upper-case letters and digits, as AWS's identifiers have them.
pub(crate) fn letters(count: usize) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    random(count)
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

/// Random bytes in Base64.
pub(crate) fn opaque(bytes: usize) -> String {
    STANDARD.encode(random(bytes))
}

fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    // The system's source fails only where there is no /dev/urandom; unique identifiers still hold then.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        bytes = uuid::Uuid::new_v4()
            .as_bytes()
            .iter()
            .copied()
            .cycle()
            .take(count)
            .collect();
    }
    bytes
}
