//! The order: what is to be published and where, from arguments, contract and run, before any call is made.

use crate::args::Publish;
use crate::blob::Compression;
use crate::destinations;
use crate::input::{self, given};
use crate::primary::Primary;
use crate::push;
use crate::repository::Wanted;
use crate::request::Request;
use crate::source::Source;
use kit::aws::KmsKey;
use kit::step::Cx;
use kit::{Error, Result};
use std::sync::Arc;

/// Everything that a publication is asked for.
pub(super) struct Order {
    pub(super) primary: Primary,
    /// Where the replicas go.
    pub(super) destinations: Vec<net::Target>,
    pub(super) request: Request,
    /// The image that `--layout` names.
    pub(super) layout: Option<Arc<Source>>,
    /// The key that signs provenance, if one is named.
    pub(super) provenance_key: Option<KmsKey>,
    /// The settings of the repositories.
    pub(super) wanted: Wanted,
    pub(super) dry_run: bool,
}

impl Order {
    /// Reads and checks the arguments.
    ///
    /// # Errors
    /// An argument is missing or malformed (exit 2), or the checkout is not the commit (exit 3).
    pub(super) fn new(mut args: Publish, cx: &Cx) -> Result<Self> {
        let primary = Primary::new(&args.repository, cx)?;
        let dry_run = args.dry_run;
        let settings = std::mem::take(&mut args.settings);
        let to = given(std::mem::take(&mut args.destinations.to));
        let destinations = destinations::targets(&to, &primary.target)?;
        let wanted = Wanted::new(settings, &primary, input::source(cx))?;
        wanted.has_key_for(&destinations)?;
        let provenance_key = key(args.provenance_key.take(), &primary)?;
        let layout = args.layout.take();
        let image = primary.image.as_ref();
        let request = Request::new(args, cx, &primary.repository, image, layout.is_some())?;
        let layout = match layout {
            Some(path) => {
                let source = Arc::new(Source::open(&path, &cx.env)?);
                push::check(&source)?;
                Some(source)
            }
            None => None,
        };
        if let (Some(Source::Layout(_)), Compression::Zstd) =
            (layout.as_deref(), request.compression)
        {
            return Err(Error::usage(
                "--compression zstd does not apply to an OCI layout, whose layers are pushed as they are",
            )
            .hint("compress the layers where the layout is written, and leave out --compression; or give a docker archive"));
        }
        Ok(Self {
            primary,
            destinations,
            request,
            layout,
            provenance_key,
            wanted,
            dry_run,
        })
    }
}

/// The key that signs provenance: the contract's, or without a contract the given one.
///
/// # Errors
/// Both are named and differ (exit 2).
fn key(given: Option<KmsKey>, primary: &Primary) -> Result<Option<KmsKey>> {
    let Some(given) = given else {
        return Ok(primary.provenance_key.clone());
    };
    match &primary.provenance_key {
        Some(declared) if *declared != given => Err(Error::usage(format!(
            "--provenance-key is `{given}`, but the contract says `{declared}`"
        ))
        .hint("omit --provenance-key, or change `build.keys.provenance` in the contract")),
        _ => Ok(Some(given)),
    }
}
