//! Runs work on resources at the same time, each after those that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::Stop;

/// The resources whose work did not succeed, with why, in the order in which they ended.
pub(crate) async fn run<W>(
    ids: Vec<String>,
    needs: &BTreeMap<String, BTreeSet<String>>,
    stopped: impl Fn() -> bool,
    work: impl Fn(String) -> W,
) -> Vec<(String, Stop)>
where
    W: Future<Output = Result<(), Stop>>,
{
    let mut waiting = ids;
    let mut open: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut under_way = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if !stopped() {
            let ready = |id: &String| {
                let needed = needs.get(id);
                needed.is_none_or(|needed| needed.is_disjoint(&open))
            };
            let (begin, wait): (Vec<String>, Vec<String>) = waiting.into_iter().partition(ready);
            waiting = wait;
            for id in begin {
                let done = work(id.clone());
                under_way.push(async move { (id, done.await) });
            }
        }
        let Some((id, outcome)) = under_way.next().await else {
            return failed;
        };
        match outcome {
            Ok(()) => {
                open.remove(&id);
            }
            Err(stop) => failed.push((id, stop)),
        }
    }
}
