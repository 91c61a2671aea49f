//! The queue of waiters: a numbered item for each of them, and one item that holds the queue's head and end. It
//! uses only the permissions that Terraform has: no scan, no query, no update.

use super::item::{Attributes, attributes, cancelled, get, lease, text};
use super::ticket::{Ahead, Ends, SAME, Ticket, ends, names, number_of};
use crate::lease::Lease;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use kit::backoff::doubling;
use kit::error::{Error, Result};
use net::AwsContext;
use std::time::Duration;

/// The queue of one lock.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) table: String,
    /// The ID of the item that holds the queue's head and end; a ticket's ID is this, `/` and a number.
    pub(crate) id: String,
}

const ATTEMPTS: usize = 60;
/// How often the queue's head is determined again if other waiters join meanwhile.
const HEAD_UPDATES: u32 = 4;

impl Queue {
    /// Joins the queue at its end. Number and ticket are written in one transaction, so no number is given twice and
    /// none is skipped.
    pub(crate) async fn join(&self, lease: Lease) -> Result<Ticket> {
        let mut seen = get(&self.client, &self.table, &self.id).await?;
        // Numbers that have a ticket although the queue's item does not count them: the item was deleted and created again.
        let mut taken = 0;
        let mut pauses = doubling(Duration::from_millis(25), Duration::from_secs(2), ATTEMPTS);
        for attempt in 0..ATTEMPTS {
            let ends = seen.as_ref().map(ends);
            let number = ends.map_or(0, |ends| ends.next) + taken;
            let head = ends.map_or(0, |ends| ends.head);
            let mut pointer = Put::builder()
                .table_name(&self.table)
                .set_item(Some(self.pointer(Ends {
                    head,
                    next: number + 1,
                })))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                );
            pointer = match ends {
                None => pointer.condition_expression("attribute_not_exists(LockID)"),
                // A head that advanced meanwhile must not move back.
                Some(ends) => pointer
                    .condition_expression(SAME)
                    .set_expression_attribute_names(Some(names()))
                    .set_expression_attribute_values(Some(ends.values())),
            };
            let id = format!("{}/{number}", self.id);
            let mut item = attributes(&lease);
            item.insert("LockID".to_owned(), text(&id));
            let ticket = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(LockID)")
                .build();
            let (pointer, ticket) = match (pointer.build(), ticket) {
                (Ok(pointer), Ok(ticket)) => (pointer, ticket),
                (Err(error), _) | (_, Err(error)) => return Err(self.join_error().because(error)),
            };
            let answer = self
                .client
                .transact_write_items()
                .transact_items(TransactWriteItem::builder().put(pointer).build())
                .transact_items(TransactWriteItem::builder().put(ticket).build())
                .send()
                .await;
            let error = match answer {
                Ok(_) => {
                    return Ok(Ticket {
                        id,
                        number,
                        lease,
                        head,
                        nearest: number.saturating_sub(1),
                        known: None,
                    });
                }
                Err(error) => error,
            };
            match cancelled(&error) {
                Some([None, Some(_)]) => taken += 1,
                Some([Some(item), _]) if attempt == 0 => {
                    seen = Some(item).filter(|item| !item.is_empty());
                }
                // Many waiters join at once: each of them retries later.
                Some(_) => {
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                    seen = get(&self.client, &self.table, &self.id).await?;
                }
                None => return Err(error).cannot(format!("join the queue at {}", self.id)),
            }
        }
        Err(self
            .join_error()
            .cause("too many runs join it at the same moment"))
    }

    /// Reads the queue's head, which the last waiter that left has advanced: one call bounds the number of waiters ahead.
    pub(crate) async fn refresh_head(&self, ticket: &mut Ticket) -> Result<()> {
        let seen = get(&self.client, &self.table, &self.id).await?;
        if let Some(seen) = seen.as_ref().map(ends) {
            ticket.head = ticket.head.max(seen.head);
        }
        Ok(())
    }

    /// The nearest waiter ahead of this ticket; `None` if it is this ticket's turn.
    pub(crate) async fn ahead(&self, ticket: &mut Ticket) -> Result<Option<Ahead>> {
        let mut refreshed = false;
        while ticket.nearest < ticket.number && ticket.head <= ticket.nearest {
            let id = format!("{}/{}", self.id, ticket.nearest);
            // Something else under that name is nobody who waits.
            let item = get(&self.client, &self.table, &id).await?;
            if let Some(lease) = item.as_ref().and_then(lease) {
                return Ok(Some(Ahead {
                    number: ticket.nearest,
                    lease,
                }));
            }
            if ticket.nearest <= ticket.head {
                break;
            }
            ticket.nearest -= 1;
            // If the nearest waiter has had its turn, so have those before it.
            if !refreshed {
                refreshed = true;
                self.refresh_head(ticket).await?;
            }
        }
        ticket.head = ticket.number;
        Ok(None)
    }

    /// The waiters before `ahead` whose tickets have not been read yet.
    pub(crate) async fn tickets_before(
        &self,
        ticket: &mut Ticket,
        ahead: &Ahead,
    ) -> Result<Vec<Ahead>> {
        let mut found = Vec::new();
        let from = ticket.known.unwrap_or(ahead.number);
        for number in ticket.head..from {
            let item = get(&self.client, &self.table, &format!("{}/{number}", self.id)).await?;
            if let Some(lease) = item.as_ref().and_then(lease) {
                found.push(Ahead { number, lease });
            }
        }
        ticket.known = Some(ticket.head.min(from));
        Ok(found)
    }

    /// Renews the ticket's lease. `false`: another waiter took this one for dead and removed the ticket.
    pub(crate) async fn refresh(&self, ticket: &mut Ticket) -> Result<bool> {
        let renewed = ticket.lease.renewed();
        let mut item = attributes(&renewed);
        item.insert("LockID".to_owned(), text(&ticket.id));
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("Rvn = :rvn OR Rvn = :new")
            .expression_attribute_values(":rvn", text(&ticket.lease.rvn))
            // The SDK may have sent it twice.
            .expression_attribute_values(":new", text(&renewed.rvn));
        let kept = self.unless_refused(request.send().await)?;
        if kept {
            ticket.lease = renewed;
        }
        Ok(kept)
    }

    /// Removes the ticket of a waiter that is proven to be gone, if it is still as it was read.
    pub(crate) async fn prune(&self, ahead: &Ahead) -> Result<()> {
        let id = format!("{}/{}", self.id, ahead.number);
        self.delete(&id, &ahead.lease.rvn).await
    }

    /// Leaves the queue from any place in it. The last waiter to leave deletes the queue's item.
    pub(crate) async fn leave(&self, ticket: &Ticket) -> Result<()> {
        let advanced = async {
            let mut ticket = ticket.clone();
            if ticket.head < ticket.number {
                self.refresh_head(&mut ticket).await?;
            }
            // A waiter further ahead settles the queue when it leaves. If many leave at once, possibly none of them does;
            // then the next arrival does.
            if ticket.head < ticket.number {
                return Ok(());
            }
            self.advance_head(ticket.number + 1).await
        };
        // A waiter whose turn has come has work to do, so both calls run at once.
        let deleted = self.delete(&ticket.id, &ticket.lease.rvn);
        let (deleted, advanced) = tokio::join!(deleted, advanced);
        deleted.and(advanced)
    }

    /// Moves the queue's head to the first ticket, which has no number below `from`, or deletes the queue's item if there
    /// is no ticket. This only saves other waiters reads, so a waiter that joins meanwhile has precedence.
    async fn advance_head(&self, from: u64) -> Result<()> {
        for _ in 0..HEAD_UPDATES {
            let Some(seen) = get(&self.client, &self.table, &self.id).await? else {
                return Ok(());
            };
            let seen = ends(&seen);
            let mut first = None;
            for number in from.max(seen.head)..seen.next {
                if self.has_ticket(number).await? {
                    first = Some(number);
                    break;
                }
            }
            let moved = match first {
                Some(head) if head <= seen.head => return Ok(()),
                Some(head) => {
                    let request = self
                        .client
                        .put_item()
                        .table_name(&self.table)
                        .set_item(Some(self.pointer(Ends {
                            head,
                            next: seen.next,
                        })))
                        .condition_expression(SAME)
                        .set_expression_attribute_names(Some(names()))
                        .set_expression_attribute_values(Some(seen.values()));
                    self.unless_refused(request.send().await)?
                }
                None => {
                    let request = self
                        .client
                        .delete_item()
                        .table_name(&self.table)
                        .key("LockID", text(&self.id))
                        .condition_expression(SAME)
                        .set_expression_attribute_names(Some(names()))
                        .set_expression_attribute_values(Some(seen.values()));
                    self.unless_refused(request.send().await)?
                }
            };
            if moved {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns true if the queue has any waiters. An abandoned queue is deleted.
    pub(crate) async fn occupied(&self) -> Result<bool> {
        let Some(seen) = get(&self.client, &self.table, &self.id).await? else {
            return Ok(false);
        };
        let seen = ends(&seen);
        // The waiter that joined last is the likeliest to be still there.
        for number in (seen.head..seen.next).rev() {
            if self.has_ticket(number).await? {
                return Ok(true);
            }
        }
        self.advance_head(seen.head).await?;
        Ok(false)
    }

    /// Returns true if a waiter has the ticket with this number.
    async fn has_ticket(&self, number: u64) -> Result<bool> {
        let id = format!("{}/{number}", self.id);
        let item = get(&self.client, &self.table, &id).await?;
        // Something else under that name is nobody who waits.
        Ok(item.as_ref().and_then(lease).is_some())
    }

    /// The number of waiters at most.
    pub(crate) async fn length(&self) -> Result<u64> {
        let item = get(&self.client, &self.table, &self.id).await?;
        Ok(item
            .as_ref()
            .map(ends)
            .map_or(0, |ends| ends.next.saturating_sub(ends.head)))
    }

    async fn delete(&self, id: &str, rvn: &str) -> Result<()> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("LockID", text(id))
            .condition_expression("Rvn = :rvn")
            .expression_attribute_values(":rvn", text(rvn));
        self.unless_refused(request.send().await).map(drop)
    }

    /// Returns true if the write was made; `false` if its condition failed.
    fn unless_refused<T, E>(
        &self,
        answer: std::result::Result<T, aws_sdk_dynamodb::error::SdkError<E>>,
    ) -> Result<bool>
    where
        E: aws_sdk_dynamodb::error::ProvideErrorMetadata
            + std::error::Error
            + Send
            + Sync
            + 'static,
    {
        match answer {
            Err(error) if net::code(&error) == Some("ConditionalCheckFailedException") => Ok(false),
            answer => answer
                .cannot(format!("change the queue at {}", self.id))
                .map(|_| true),
        }
    }

    fn pointer(&self, ends: Ends) -> Attributes {
        Attributes::from([
            ("LockID".to_owned(), text(&self.id)),
            ("Head".to_owned(), number_of(ends.head)),
            ("Next".to_owned(), number_of(ends.next)),
        ])
    }

    fn join_error(&self) -> Error {
        Error::failed(format!("cannot join the queue at {}", self.id))
    }
}
