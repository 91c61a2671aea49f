//! An export whose every record is signed, and what checking its signatures takes alone.

use std::fs;
use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::chains::SIGNED;
use crate::fault::{Context, Fault, Result};
use crate::instance::sha256;

/// The payload type that a signature covers (docs/ledger.md, "Signatures").
const TYPE: &str = "application/vnd.slipway.ledger.record.v1";
/// The bytes before the point of a P-256 public key in its SubjectPublicKeyInfo (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The signed export.
pub(super) struct Signed {
    /// The public half of its key, in PEM.
    pub(super) key: String,
    pub(super) export: String,
    point: Vec<u8>,
    /// Each signed message with its signature.
    signatures: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Signed {
    /// Signs an export's records anew with one key, without those that the product signed: they begin a signed part of their own.
    pub(super) fn of(export: &Path, folder: &Path) -> Result<Self> {
        let random = SystemRandom::new();
        let wrong = |_| Fault::new("a key cannot be made");
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(wrong)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|_| Fault::new("a key cannot be read"))?;
        let point = pair.public_key().as_ref().to_vec();
        let spki = [&SPKI[..], &point].concat();
        let keyid = sha256(&spki);

        let text = fs::read_to_string(export).context("reading an export")?;
        let lines: Vec<&str> = text.lines().collect();
        let parse = |line: &str| serde_json::from_str::<Value>(line).context("reading a line");
        let header = parse(lines.first().copied().unwrap_or_default())?;
        let chain = format!(
            "{}#{}",
            header["service"].as_str().unwrap_or_default(),
            header["environment"].as_str().unwrap_or_default()
        );
        let records = lines.len().saturating_sub(2 + SIGNED as usize);
        let mut out = format!("{}\n", lines.first().copied().unwrap_or_default());
        let mut signatures = Vec::with_capacity(records);
        let mut end = json!({"end": 0, "head": "0".repeat(64)});
        for line in lines.iter().skip(1).take(records) {
            let mut line = parse(line)?;
            let hash = line["hash"].as_str().unwrap_or_default();
            let payload = format!("{chain}\n{}\n{hash}\n", line["seq"]);
            let signed = format!("DSSEv1 {} {TYPE} {} {payload}", TYPE.len(), payload.len());
            let signature = pair
                .sign(&random, signed.as_bytes())
                .map_err(|_| Fault::new("a record cannot be signed"))?;
            end = json!({"end": line["seq"], "head": hash});
            line["key"] = json!(keyid);
            line["signature"] = json!(STANDARD.encode(signature.as_ref()));
            out.push_str(&format!("{line}\n"));
            signatures.push((signed.into_bytes(), signature.as_ref().to_vec()));
        }
        out.push_str(&format!("{end}\n"));
        let (file, key) = (folder.join("signed.jsonl"), folder.join("key.pem"));
        fs::write(&file, out).context("writing the signed export")?;
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(&spki)
        );
        fs::write(&key, pem).context("writing the key")?;
        Ok(Self {
            key: key.display().to_string(),
            export: file.display().to_string(),
            point,
            signatures,
        })
    }

    pub(super) fn records(&self) -> usize {
        self.signatures.len()
    }

    /// The time that verifying the signatures alone takes on all processors, in milliseconds.
    pub(super) fn floor(&self) -> Result<f64> {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        let share = self.signatures.len().div_ceil(threads).max(1);
        let check = |part: &[(Vec<u8>, Vec<u8>)]| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
            part.iter()
                .all(|(signed, signature)| key.verify(signed, signature).is_ok())
        };
        let began = Instant::now();
        let valid = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .signatures
                .chunks(share)
                .map(|part| scope.spawn(move || check(part)))
                .collect();
            running.into_iter().all(|it| it.join().unwrap_or(false))
        });
        match valid {
            true => Ok(began.elapsed().as_secs_f64() * 1000.0),
            false => Err(Fault::new("a signature is not valid")),
        }
    }
}
