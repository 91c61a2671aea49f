//! Certificate roots: a bundle the user named, else the host's, else the bundled ones, so that a
//! `FROM scratch` container works.

use base64::Engine;
use kit::env::Env;
use kit::error::{Context, Error, Result};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The roots to trust.
///
/// # Errors
/// A named bundle that cannot be read, has an entry that is not a certificate, or holds none (exit 2).
pub(crate) fn load(env: &Env) -> Result<Vec<CertificateDer<'static>>> {
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        if let Some(path) = env.get(variable) {
            // An entry that were passed over could be the root that is needed, and the failure would name the server.
            let found: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .context(format!("cannot read {path} ({variable})"))?;
            if found.is_empty() {
                return Err(Error::usage(format!(
                    "{path} ({variable}) holds no certificate"
                )));
            }
            return Ok(found);
        }
    }
    let native = rustls_native_certs::load_native_certs().certs;
    if native.is_empty() {
        return Ok(webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec());
    }
    Ok(native)
}

/// The roots as PEM, the only form the AWS SDK's TLS context takes.
pub(crate) fn pem(roots: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut out = String::new();
    for root in roots {
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = base64::engine::general_purpose::STANDARD.encode(root);
        for start in (0..text.len()).step_by(64) {
            out.push_str(&text[start..text.len().min(start + 64)]);
            out.push('\n');
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_roots_survive_the_round_trip_through_pem() {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        let back: Vec<_> = CertificateDer::pem_slice_iter(&pem(roots))
            .collect::<std::result::Result<_, _>>()
            .unwrap();
        assert_eq!(back, roots);
    }

    #[test]
    fn a_bundle_without_certificates_or_with_a_broken_one_is_refused() {
        let whole = pem(&webpki_root_certs::TLS_SERVER_ROOT_CERTS[..2]);
        let cut = &whole[..whole.len() - 40];
        for (bytes, why) in [(&b""[..], "holds no certificate"), (cut, "cannot read")] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let env = Env::from([("AWS_CA_BUNDLE", file.path().to_str().unwrap())]);
            let error = load(&env).unwrap_err();
            assert!(error.message.contains(why), "{}", error.line());
        }
    }
}
