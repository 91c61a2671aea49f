//! `verify`: walks a whole chain, at the source or in an export, and names each record that is not
//! what was written.

mod mirrors;
mod report;

use crate::args::Verify;
use crate::chains::open;
use crate::decisions::{Beside, Decided, Decisions};
use crate::setting::Setting;
use attest::PublicKey;
use kit::error::{Context, Error, Result};
use kit::hex::is_hex;
use kit::{Cx, Report};
use ledger::{Chain, Fault, LARGEST_EVIDENCE, Ledger, Walked, export};
use mirrors::Uncompared;
use net::Net;
use report::{Verified, report};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(crate) async fn run(args: Verify, cx: &Cx) -> Result<Report> {
    if let Some(head) = &args.head
        && !is_hex(head, 64)
    {
        return Err(
            Error::usage(format!("`{head}` is not the hash of a record"))
                .hint("give the 64 digits that `grant`, `request` or `record` printed as `hash` of the newest record"),
        );
    }
    if args.export.is_some() && args.github.github_repository.is_some() {
        return Err(Error::usage(
            "--github-repository is given with --export, and an export is not compared with GitHub",
        )
        .cause("records that came after it have GitHub Deployments too")
        .hint("omit one of them; the ledger itself is compared"));
    }
    let verified = match &args.export {
        Some(file) => offline(file, &args, cx).await?,
        None => online(&args, cx).await?,
    };
    report(&verified)
}

async fn offline(file: &Path, args: &Verify, cx: &Cx) -> Result<Verified> {
    let head = args.head.as_deref();
    let unread = |path: &Path, error: std::io::Error| {
        Error::usage(format!("cannot read {}", path.display())).because(error)
    };
    let public = match &args.key {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unread(path, error))?;
            let public = PublicKey::from_pem(&text)
                .map_err(|error| error.under(format!("{} is not a key", path.display())))?;
            Some(public)
        }
        None => None,
    };
    let opened = File::open(file).map_err(|error| unread(file, error))?;
    let opened = BufReader::with_capacity(1 << 20, opened);
    let mut decisions = Decisions::at(cx.clock.now());
    let mut found = export::verify(opened, public.as_ref(), head, |chain, entry| {
        if args.evidence.is_some() {
            decisions.add(chain, entry);
        }
    })
    .map_err(|error| unread(file, error))?;
    let decisions = match (&args.evidence, &found.chain) {
        (Some(folder), Some(chain)) => {
            std::fs::read_dir(folder).map_err(|error| unread(folder, error))?;
            let read = async |hash: &str| kept(folder, hash);
            let beside = Beside {
                key: public.as_ref(),
                accepted: args.undecided_up_to.unwrap_or_default(),
                ..Beside::default()
            };
            let (decided, faults) = decisions.judge(chain, beside, read).await;
            found.walked.find(faults);
            Ok(decided)
        }
        _ => Err("no --evidence was given for the export"),
    };
    let shown = file.display();
    Ok(Verified {
        subject: match &found.chain {
            Some(chain) => format!("the export {shown} of chain {chain}"),
            None => format!("the export {shown}"),
        },
        walked: found.walked,
        key: public
            .map(|key| key.id())
            .ok_or("no --key was given for the export"),
        anchor: Err("an export does not show it"),
        decisions,
        before: Err("an export does not show it"),
        github: Err(Uncompared::Export),
        end: head.is_some(),
    })
}

/// The evidence of this hash in a folder that `export` wrote.
fn kept(folder: &Path, hash: &str) -> Result<Option<Vec<u8>>> {
    let path = folder.join(format!("{hash}.json"));
    let cannot_read = || format!("cannot read {}", path.display());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::usage(cannot_read()).because(error)),
    };
    let most = LARGEST_EVIDENCE as u64;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .context(cannot_read())?;
    match bytes.len() > LARGEST_EVIDENCE {
        true => Err(Error::refused(format!(
            "{} has more than {most} bytes",
            path.display()
        ))),
        false => Ok(Some(bytes)),
    }
}

async fn online(args: &Verify, cx: &Cx) -> Result<Verified> {
    let setting = Setting::of(cx, &args.ledger)?;
    let net = Net::new(cx)?;
    let (ledger, chain) = open(&net, &setting).await?;
    let mut github = mirrors::read(cx, &net, &setting, &args.github).await?;
    let mut decisions = Decisions::at(cx.clock.now());
    let keeps = ledger.keeps_evidence();
    let mut audit = ledger
        .audit(&chain, |entry| {
            if keeps {
                decisions.add(&chain, entry);
            }
            if let Ok(mirrors) = &mut github {
                mirrors.add(entry);
            }
            Ok(())
        })
        .await?;
    if let Ok(mirrors) = &github {
        audit.walked.find(mirrors.faults());
    }
    if let Some(wanted) = &args.head {
        let head = audit.walked.head.as_ref();
        if head.is_none_or(|(_, hash)| hash != wanted) {
            let seq = head.map_or(0, |(seq, _)| *seq);
            audit.walked.find([Fault::CutOff { seq }]);
        }
    }
    let source = Source {
        cx,
        setting: &setting,
        ledger: &ledger,
        chain: &chain,
    };
    let decided = match keeps {
        true => Some(source.decided(args, &decisions, &mut audit.walked).await?),
        false => None,
    };
    let before = decided.as_ref().is_some_and(|(_, before)| *before);
    let no_bucket = "no bucket is named (`build.anchor`)";
    Ok(Verified {
        subject: subject(&chain, &setting),
        decisions: decided.map(|(decided, _)| decided).ok_or(no_bucket),
        before: match (&setting.follows, before) {
            (Some(follows), true) => Ok(follows.clone()),
            (Some(_), false) => Err("its chain is not sound, or no decision was made again"),
            (None, _) => Err("no environment comes before"),
        },
        walked: audit.walked,
        key: audit.key.ok_or("no key is named (`build.keys.ledger`)"),
        end: args.head.is_some() || audit.anchor.is_some(),
        anchor: audit.anchor.ok_or(no_bucket),
        github,
    })
}

/// The chain at the table, and what is beside it.
struct Source<'a> {
    cx: &'a Cx,
    setting: &'a Setting,
    ledger: &'a Ledger,
    chain: &'a Chain,
}

impl Source<'_> {
    /// The results of replaying the permits' decisions, and whether they were held against the previous environment's chain.
    async fn decided(
        &self,
        args: &Verify,
        decisions: &Decisions,
        walked: &mut Walked,
    ) -> Result<(Decided, bool)> {
        let before = match &self.setting.follows {
            Some(follows) => before(self.ledger, self.setting, follows, self.cx).await?,
            None => None,
        };
        let follows = self.setting.follows.as_deref().zip(before.as_ref());
        let beside = Beside {
            key: self.ledger.public_key().await?,
            before: follows,
            contract: self.setting.declared.then_some(self.setting),
            accepted: args.undecided_up_to.unwrap_or_default(),
        };
        let read = async |hash: &str| self.ledger.evidence(self.chain, hash).await;
        let (decided, faults) = decisions.judge(self.chain, beside, read).await;
        walked.find(faults);
        Ok((decided, follows.is_some()))
    }
}

/// The chain of the previous environment, if it is sound.
async fn before(
    ledger: &Ledger,
    setting: &Setting,
    follows: &str,
    cx: &Cx,
) -> Result<Option<Decisions>> {
    let chain = Chain::new(&setting.service, follows)?;
    let mut known = Decisions::default();
    let audit = ledger
        .audit(&chain, |entry| {
            known.add(&chain, entry);
            Ok(())
        })
        .await?;
    let sound = audit.walked.faults.is_empty();
    if !sound {
        cx.host.warn(format!(
            "chain {chain} is not sound: verify it with --environment {follows}"
        ));
    }
    Ok(sound.then_some(known))
}

fn subject(chain: &Chain, setting: &Setting) -> String {
    format!("chain {chain} of the ledger table {}", setting.ledger)
}
