//! `export`: writes a whole chain for others, as it is stored or as verification summaries.

mod evidence;
mod vsa;

use crate::args::{Export, Format};
use crate::decisions::Decisions;
use crate::setting::Setting;
use kit::error::{Context, Error, Result};
use kit::report::count;
use kit::{Cx, Report};
use ledger::{Chain, Fault, Ledger, export};
use net::Net;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(crate) async fn run(args: Export, cx: &Cx) -> Result<Report> {
    if cx.common.json && args.output.is_none() {
        return Err(Error::usage("--json is given without --output")
            .hint("the export itself is JSON lines: omit --json, or write it to a file"));
    }
    if args.evidence.is_some() && args.format != Format::Records {
        return Err(
            Error::usage("--evidence is given with another format than `records`")
                .hint("omit --format: the evidence is of the records as they are stored"),
        );
    }
    let setting = Setting::of(cx, &args.ledger)?;
    if args.evidence.is_some() && setting.trust.anchor.is_none() {
        return Err(Error::usage(
            "--evidence is given, and no bucket is named that would hold any",
        )
        .hint("omit --evidence, or name the bucket: `build.anchor` in the contract"));
    }
    let net = Net::new(cx)?;
    let chain = Chain::new(&setting.service, &setting.environment)?;
    let account = net.account(&setting.ledger_reader).await?;
    let ledger = setting.ledger(&net, &account);
    let mut sink = Sink::new(args.output.as_deref())?;
    let mut missing = Vec::new();
    let records = match args.format {
        Format::Records => {
            let mut decisions = args.evidence.as_ref().map(|_| Decisions::default());
            let records = records(&ledger, &chain, &mut sink, decisions.as_mut()).await?;
            if let Some((folder, decisions)) = args.evidence.as_ref().zip(decisions) {
                missing = evidence::write(&ledger, &chain, &decisions, folder).await?;
            }
            records
        }
        Format::Vsa => {
            // The role that appends to the chain is the one that may sign.
            let signer = match &setting.trust.key {
                Some(key) => {
                    let permit = net.account(&setting.permit).await?;
                    Some(attest::Signer::kms(&net, &permit, key).await?)
                }
                None => None,
            };
            if signer.is_none() {
                cx.host
                    .warn("the statements are not signed, because no key is named");
            }
            vsa::write(&ledger, &chain, signer.as_ref(), &mut sink).await?
        }
    };
    let text = sink.finish()?;
    let exported = count(usize::try_from(records).unwrap_or(usize::MAX), "record");
    let summary = format!("### Exported {exported} of chain `{chain}`\n");
    let json = json!({ "records": records, "output": args.output, "missing": missing });
    if !missing.is_empty() {
        let mut error = evidence::incomplete(&missing);
        error.json = Some(json);
        return Err(error);
    }
    Ok(Report {
        text: match &args.output {
            Some(path) => format!(
                "exported {exported} of chain {chain} to {}\n",
                path.display()
            ),
            None => text,
        },
        summary,
        json,
        ..Report::default()
    })
}

/// Where the lines go: a file, or the report.
pub(crate) enum Sink {
    File(BufWriter<File>),
    Text(String),
}

impl Sink {
    fn new(output: Option<&Path>) -> Result<Self> {
        let Some(path) = output else {
            return Ok(Self::Text(String::new()));
        };
        let file = File::create_new(path).map_err(|error| {
            Error::usage(format!("cannot create {}", path.display()))
                .because(error)
                .hint(
                    "if the file exists, give another --output: an export never overwrites a file",
                )
        })?;
        Ok(Self::File(BufWriter::new(file)))
    }

    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        match self {
            Self::Text(text) => {
                text.push_str(line);
                Ok(())
            }
            Self::File(file) => file
                .write_all(line.as_bytes())
                .context("cannot write the export"),
        }
    }

    fn finish(self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::File(mut file) => {
                file.flush().context("cannot write the export")?;
                Ok(String::new())
            }
        }
    }
}

/// Writes the chain as it is stored, even if it is broken: `verify` reports the faults.
async fn records(
    ledger: &Ledger,
    chain: &Chain,
    sink: &mut Sink,
    mut decisions: Option<&mut Decisions>,
) -> Result<u64> {
    sink.line(&export::header(chain))?;
    let mut head = None;
    let audit = ledger
        .audit(chain, |entry| {
            head = Some(entry.clone());
            if let Some(decisions) = &mut decisions {
                decisions.add(chain, entry);
            }
            sink.line(&export::record(entry))
        })
        .await?;
    sink.line(&export::end(head.as_ref()))?;
    Ok(audit.walked.records)
}

/// The refusal to vouch for a chain that is not sound.
fn unsound(chain: &Chain, faults: &[Fault]) -> Error {
    Error::refused(format!(
        "chain {chain} is not sound, so no statement about it is made"
    ))
    .with_causes(faults.iter().take(20).map(Fault::to_string))
    .hint(format!(
        "see all of it: slipway-promote verify --environment {}",
        chain.environment()
    ))
}
