//! The caller of a call, by its signature.

use time::OffsetDateTime;

use crate::Gateway;
use crate::call::Call;
use crate::identity::{Credentials, Refusal};
use crate::sigv4::{self, SignedParts};

/// The caller's credentials; `None` only for the one call that needs none.
pub(crate) fn caller(
    gateway: &Gateway,
    call: &Call,
    path: &str,
    streams: bool,
) -> Result<Option<Credentials>, Refusal> {
    let Some(signed) = &call.signed else {
        let open = call.service == "sts" && call.operation == "AssumeRoleWithWebIdentity";
        return if open {
            Ok(None)
        } else {
            Err(Refusal::Missing)
        };
    };
    let found = gateway
        .identities
        .find(&signed.access_key, signed.token.as_deref())?;
    let covered = SignedParts {
        method: &call.method,
        path,
        query: &call.query,
        headers: &call.headers,
        body: (!streams).then_some(&*call.body),
    };
    if !sigv4::verify(signed, &found.secret, &covered) {
        return Err(Refusal::Signature);
    }
    match signed.skewed(OffsetDateTime::now_utc()) {
        Some(skewed) => Err(Refusal::Skewed(skewed)),
        None => Ok(Some(found)),
    }
}
