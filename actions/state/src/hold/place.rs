//! Our place in the queue of those who wait.

use super::wait::{ALIVE, Next, Watch};
use crate::lease::Lease;
use crate::lock::{Queue, Ticket};
use kit::clock::uptime;
use kit::error::Result;
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;

/// A place, once it was taken.
#[derive(Debug)]
pub(crate) struct QueuePlace {
    queue: Option<Queue>,
    ticket: Option<Ticket>,
    /// The lease in our ticket.
    lease: Lease,
    refreshed: Duration,
    /// When the nearest in front was looked at last.
    looked: Duration,
    /// Those in front whom we watch, by number.
    watches: HashMap<u64, Watch>,
}

impl QueuePlace {
    /// `None` for a lock without a table: those who wait for it have no queue.
    pub(crate) fn new(queue: Option<Queue>, lease: Lease) -> Self {
        let length = lease.length().min(ALIVE);
        Self {
            queue,
            ticket: None,
            lease: Lease {
                lease_secs: length.as_secs(),
                ..lease
            },
            refreshed: Duration::ZERO,
            looked: Duration::ZERO,
            watches: HashMap::new(),
        }
    }

    /// Whether those who wait have places.
    pub(crate) fn has_queue(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether others stand in the queue.
    pub(crate) async fn others(&self) -> Result<bool> {
        match &self.queue {
            Some(queue) => queue.occupied().await,
            None => Ok(false),
        }
    }

    /// Goes to the end of the queue, unless we stand in it.
    pub(crate) async fn join(&mut self) -> Result<()> {
        if let (Some(queue), None) = (&self.queue, &self.ticket) {
            self.ticket = Some(queue.join(self.lease.renewed()).await?);
            self.refreshed = uptime();
            self.looked = uptime();
            self.watches.clear();
        }
        Ok(())
    }

    /// How many are in front at most; 0 when it is our turn. Says that we are still there, and
    /// takes out whoever in front did not for a whole lease.
    pub(crate) async fn place(&mut self, wall: OffsetDateTime) -> Result<u64> {
        let Some(queue) = self.queue.clone() else {
            return Ok(0);
        };
        self.join().await?;
        if uptime().saturating_sub(self.refreshed) >= self.lease.length() / 4 {
            self.refreshed = uptime();
            if let Some(ticket) = &mut self.ticket
                && !queue.refresh(ticket).await?
            {
                self.ticket = None;
                self.join().await?;
            }
        }
        let Some(ticket) = &mut self.ticket else {
            return Ok(0);
        };
        // Far from our turn, where the queue begins says all there is to know, but whether those in
        // front live: the nearest is looked at often enough to be followed soon after its end.
        if ticket.place() > 1 {
            queue.begins(ticket).await?;
            let rested = uptime().saturating_sub(self.looked) < self.lease.length() / 2;
            if ticket.place() > 1 && rested {
                return Ok(ticket.place());
            }
        }
        self.looked = uptime();
        while let Some(ahead) = queue.ahead(ticket).await? {
            let watches = &mut self.watches;
            let mut seen = |number: u64, lease: &Lease| {
                let watch = watches.entry(number).or_default();
                let next = watch.seen(uptime(), wall, &number.to_string(), Some(lease));
                (next, watch.still(uptime()))
            };
            let (next, still) = seen(ahead.number, &ahead.lease);
            let gone = matches!(next, Next::Break(_));
            // If the nearest seems dead, those before it may be dead too. Their leases run at the
            // same time, so several dead tickets cost two leases at most, however late we look.
            if gone || still >= ahead.lease.length() / 2 {
                for before in queue.before(ticket, &ahead).await? {
                    seen(before.number, &before.lease);
                }
            }
            if !gone {
                return Ok(ticket.place());
            }
            queue.prune(&ahead).await?;
        }
        Ok(0)
    }

    /// Leaves the queue from wherever we stand. A ticket that cannot be taken back dies of its own
    /// lease, so nobody's work depends on it.
    pub(crate) async fn leave(&mut self) {
        if let (Some(queue), Some(ticket)) = (&self.queue, self.ticket.take()) {
            let _ = queue.leave(&ticket).await;
        }
    }
}
