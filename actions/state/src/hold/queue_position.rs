//! This run's position in the queue of waiters.

use super::wait::{ALIVE, Next, Watch};
use crate::lease::Lease;
use crate::lock::{Queue, Ticket};
use kit::clock::uptime;
use kit::error::Result;
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;

/// This run's position in the queue, once it has joined.
#[derive(Debug)]
pub(crate) struct QueuePosition {
    queue: Option<Queue>,
    ticket: Option<Ticket>,
    /// The lease in our ticket.
    lease: Lease,
    refreshed: Duration,
    /// When the nearest waiter ahead was last read.
    looked: Duration,
    /// The waiters ahead that are watched, by number.
    watches: HashMap<u64, Watch>,
}

impl QueuePosition {
    /// `queue` is `None` for a lock without a table, whose waiters have no queue.
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

    /// Returns true if the lock has a queue.
    pub(crate) fn has_queue(&self) -> bool {
        self.queue.is_some()
    }

    /// Returns true if the queue has any waiters.
    pub(crate) async fn has_waiters(&self) -> Result<bool> {
        match &self.queue {
            Some(queue) => queue.occupied().await,
            None => Ok(false),
        }
    }

    /// Joins the queue at its end, unless this run is in it already.
    pub(crate) async fn join(&mut self) -> Result<()> {
        if let (Some(queue), None) = (&self.queue, &self.ticket) {
            self.ticket = Some(queue.join(self.lease.renewed()).await?);
            self.refreshed = uptime();
            self.looked = uptime();
            self.watches.clear();
        }
        Ok(())
    }

    /// Counts the waiters ahead at most; 0 when it is this run's turn. Renews the own ticket, and removes the tickets of
    /// waiters ahead that were not renewed for a whole lease.
    pub(crate) async fn count_ahead(&mut self, wall: OffsetDateTime) -> Result<u64> {
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
        // Far from this run's turn the queue's head is enough to count the waiters ahead, but not to know whether they are
        // alive. So the nearest one is read often enough to take its place soon after its end.
        if ticket.max_ahead() > 1 {
            queue.refresh_head(ticket).await?;
            let rested = uptime().saturating_sub(self.looked) < self.lease.length() / 2;
            if ticket.max_ahead() > 1 && rested {
                return Ok(ticket.max_ahead());
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
                for earlier in queue.tickets_before(ticket, &ahead).await? {
                    seen(earlier.number, &earlier.lease);
                }
            }
            if !gone {
                return Ok(ticket.max_ahead());
            }
            queue.prune(&ahead).await?;
        }
        Ok(0)
    }

    /// Leaves the queue from any place in it. A ticket that cannot be removed expires with its lease.
    pub(crate) async fn leave(&mut self) {
        if let (Some(queue), Some(ticket)) = (&self.queue, self.ticket.take()) {
            let _ = queue.leave(&ticket).await;
        }
    }
}
