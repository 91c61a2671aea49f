//! Web identity tokens: RS256 JWTs checked against the issuer's published keys.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Map, Value};

use crate::error::AwsError;
use crate::lock;

/// A token that was taken apart, not yet checked.
pub(crate) struct Token {
    algorithm: String,
    key: String,
    pub(crate) claims: Map<String, Value>,
    signed: String,
    signature: Vec<u8>,
}

impl Token {
    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    fn seconds(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(Value::as_i64)
    }

    /// The audience, one or several.
    pub(crate) fn audiences(&self) -> Vec<String> {
        self.claims
            .get("aud")
            .map(crate::text::strings)
            .unwrap_or_default()
    }
}

fn invalid(message: &str) -> AwsError {
    AwsError::new(400, "InvalidIdentityToken", message)
}

const NO_KEY: &str = "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements";

/// Takes a token apart.
pub(crate) fn read(text: &str) -> Result<Token, AwsError> {
    let broken = || {
        invalid(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
        )
    };
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err(broken());
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| broken());
    let object =
        |bytes: Vec<u8>| serde_json::from_slice::<Map<String, Value>>(&bytes).map_err(|_| broken());
    let head = object(decode(header)?)?;
    let field = |name: &str| {
        head.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(Token {
        algorithm: field("alg"),
        key: field("kid"),
        claims: object(decode(claims)?)?,
        signed: format!("{header}.{claims}"),
        signature: decode(signature)?,
    })
}

/// Checks times and the claims without which STS takes no token.
pub(crate) fn check_claims(token: &Token, now: i64) -> Result<(), AwsError> {
    for claim in ["iss", "sub", "aud", "exp", "iat"] {
        if !token.claims.contains_key(claim) {
            return Err(invalid(&format!("Missing a required claim: {claim}")));
        }
    }
    let Some(end) = token.seconds("exp") else {
        return Err(invalid("The exp claim is not a number"));
    };
    if now >= end {
        return Err(AwsError::new(
            400,
            "ExpiredTokenException",
            format!(
                "Token expired: current date/time {now} must be before the expiration date/time {end}"
            ),
        ));
    }
    // Clocks differ; STS grants some minutes for tokens from the future.
    const SKEW: i64 = 300;
    if ["nbf", "iat"]
        .iter()
        .any(|name| token.seconds(name).is_some_and(|start| start > now + SKEW))
    {
        return Err(invalid("The ID Token provided is not valid yet"));
    }
    Ok(())
}

/// Modulus and exponent of RSA keys, by key ID.
type RsaKeys = HashMap<String, (Vec<u8>, Vec<u8>)>;

/// The public keys of one issuer, by key ID, fetched again when an unknown ID appears.
pub(crate) struct Keys {
    url: String,
    known: Mutex<RsaKeys>,
}

impl Keys {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            known: Mutex::default(),
        }
    }

    /// Checks the signature; nothing but RS256 counts.
    pub(crate) async fn verify(
        &self,
        http: &reqwest::Client,
        token: &Token,
    ) -> Result<(), AwsError> {
        if token.algorithm != "RS256" {
            return Err(invalid(
                "The ID Token provided is not signed with a supported algorithm",
            ));
        }
        let known = lock(&self.known).get(&token.key).cloned();
        let (n, e) = match known {
            Some(key) => key,
            None => {
                let fetched = self.fetch(http).await?;
                *lock(&self.known) = fetched.clone();
                fetched
                    .get(&token.key)
                    .cloned()
                    .ok_or_else(|| invalid(NO_KEY))?
            }
        };
        RsaPublicKeyComponents { n: &n, e: &e }
            .verify(
                &RSA_PKCS1_2048_8192_SHA256,
                token.signed.as_bytes(),
                &token.signature,
            )
            .map_err(|_| {
                invalid("The ID Token provided has a signature that could not be verified")
            })
    }

    async fn fetch(&self, http: &reqwest::Client) -> Result<RsaKeys, AwsError> {
        let failed = |cause: String| {
            AwsError::new(
                400,
                "IDPCommunicationError",
                format!("the identity provider's keys could not be read: {cause}"),
            )
        };
        let response = http
            .get(&self.url)
            .send()
            .await
            .map_err(|cause| failed(cause.to_string()))?;
        let bytes = response
            .bytes()
            .await
            .map_err(|cause| failed(cause.to_string()))?;
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|cause| failed(cause.to_string()))?;
        let decode = |key: &Value, part: &str| URL_SAFE_NO_PAD.decode(key[part].as_str()?).ok();
        Ok(document["keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|key| key["kty"] == "RSA")
            .filter_map(|key| {
                Some((
                    key["kid"].as_str()?.to_owned(),
                    (decode(key, "n")?, decode(key, "e")?),
                ))
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(claims: &Value) -> Token {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        read(&format!(
            "{}.{}.{}",
            part(&json!({"alg": "RS256", "kid": "k"})),
            part(claims),
            "c2ln"
        ))
        .unwrap()
    }

    fn claims() -> Value {
        json!({"iss": "https://i", "sub": "s", "aud": "a", "exp": 2000, "iat": 1000, "nbf": 1000})
    }

    #[test]
    fn times_are_checked() {
        assert!(check_claims(&token(&claims()), 1500).is_ok());
        assert_eq!(
            check_claims(&token(&claims()), 2000).unwrap_err().code,
            "ExpiredTokenException"
        );
        assert_eq!(
            check_claims(&token(&claims()), 500).unwrap_err().code,
            "InvalidIdentityToken"
        );
    }

    #[test]
    fn each_required_claim_is_required() {
        for claim in ["iss", "sub", "aud", "exp", "iat"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(
                check_claims(&token(&claims), 1500).unwrap_err().code,
                "InvalidIdentityToken",
                "{claim}"
            );
        }
    }

    #[test]
    fn text_that_is_not_a_jwt_is_refused() {
        for text in ["", "a.b", "a.b.c", "e30.e30", "e30.W10.e30"] {
            assert_eq!(
                read(text).err().map(|error| error.code).as_deref(),
                Some("InvalidIdentityToken"),
                "{text}"
            );
        }
    }
}
