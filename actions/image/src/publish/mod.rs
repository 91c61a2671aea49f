//! Publishing a commit: observe, decide, act, verify, report.

mod act;
mod decide;
mod observe;
mod order;
mod report;
mod verify;

use crate::args::Publish;
use kit::step::Cx;
use kit::{Report, Result};
use net::Net;
use order::Order;

pub(crate) async fn run(args: Publish, cx: &Cx) -> Result<Report> {
    let mut order = Order::new(args, cx)?;
    let net = Net::new(cx)?;
    let seen = observe::observe(cx, &net, &order).await?;
    let work = decide::decide(cx, &order, &seen).await?;
    if order.dry_run {
        return report::plan(&order, seen, &work);
    }
    // The key is over the base images that the registry has now. A builder that took an older one from its own storage would
    // make another content than the one its image is tagged with.
    order.request.pull |= seen.key().is_some();
    let registry = seen.registry.clone();
    let (ecr, published) = act::act(cx, &net, &order, seen, work).await?;
    Ok(report::published(
        &ecr,
        &registry,
        &order.request,
        &published,
    ))
}
