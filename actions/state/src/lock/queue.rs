//! The queue of those who wait: one item for each, numbered, and one that says where the queue
//! begins and ends. Everything with the permissions Terraform has: no scan, no query, no update.

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
    /// The item that says where the queue begins and ends; a ticket's ID is this, `/` and a number.
    pub(crate) id: String,
}

const ATTEMPTS: usize = 60;
/// How often the queue's beginning is worked out anew when others come meanwhile.
const SETTLES: u32 = 4;

impl Queue {
    /// Joins the queue at its end. Number and ticket are written together, so no number is given
    /// twice and none is left out.
    pub(crate) async fn join(&self, lease: Lease) -> Result<Ticket> {
        let mut seen = get(&self.client, &self.table, &self.id).await?;
        // Numbers at which somebody stands of whom the queue does not know: it was taken away and begun anew meanwhile.
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
                // A beginning that moved meanwhile must not move back.
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
                (Err(error), _) | (_, Err(error)) => return Err(self.cannot().because(error)),
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
                // Many come at once: each steps back for another time.
                Some(_) => {
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                    seen = get(&self.client, &self.table, &self.id).await?;
                }
                None => return Err(error).cannot(format!("join the queue at {}", self.id)),
            }
        }
        Err(self.cannot().cause("too many others join it at once"))
    }

    /// Learns from whoever left last where the queue begins: with one call, how many are in front of us
    /// at most.
    pub(crate) async fn begins(&self, ticket: &mut Ticket) -> Result<()> {
        let seen = get(&self.client, &self.table, &self.id).await?;
        if let Some(seen) = seen.as_ref().map(ends) {
            ticket.head = ticket.head.max(seen.head);
        }
        Ok(())
    }

    /// The nearest in front of us, or nobody: then it is our turn.
    pub(crate) async fn ahead(&self, ticket: &mut Ticket) -> Result<Option<Ahead>> {
        let mut asked = false;
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
            // Where the nearest has had its turn, so have those before it.
            if !asked {
                asked = true;
                self.begins(ticket).await?;
            }
        }
        ticket.head = ticket.number;
        Ok(None)
    }

    /// Those before `ahead` who stand in the queue, where it was not asked for them yet.
    pub(crate) async fn before(&self, ticket: &mut Ticket, ahead: &Ahead) -> Result<Vec<Ahead>> {
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

    /// Says that we are still there. `false`: somebody took us for dead, and our place is gone.
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

    /// Takes somebody out of the queue who was proven gone, on the condition of what was seen.
    pub(crate) async fn prune(&self, ahead: &Ahead) -> Result<()> {
        let id = format!("{}/{}", self.id, ahead.number);
        self.delete(&id, &ahead.lease.rvn).await
    }

    /// Leaves the queue, from wherever in it. The last to leave takes the queue away.
    pub(crate) async fn leave(&self, ticket: &Ticket) -> Result<()> {
        let settled = async {
            let mut ticket = ticket.clone();
            if ticket.head < ticket.number {
                self.begins(&mut ticket).await?;
            }
            // A waiter further ahead settles the queue when it leaves. If many leave at once, possibly none of them does;
            // then the next arrival does.
            if ticket.head < ticket.number {
                return Ok(());
            }
            self.settle(ticket.number + 1).await
        };
        // A waiter whose turn has come has work to do, so both calls run at once.
        let gone = self.delete(&ticket.id, &ticket.lease.rvn);
        let (gone, settled) = tokio::join!(gone, settled);
        gone.and(settled)
    }

    /// Moves the queue's beginning to the first who stands in it, of whom nobody has a number below
    /// `from`, and takes it away where nobody does. It only saves others from looking, so whoever
    /// comes in between has precedence.
    async fn settle(&self, from: u64) -> Result<()> {
        for _ in 0..SETTLES {
            let Some(seen) = get(&self.client, &self.table, &self.id).await? else {
                return Ok(());
            };
            let seen = ends(&seen);
            let mut first = None;
            for number in from.max(seen.head)..seen.next {
                if self.stands(number).await? {
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

    /// Whether anybody stands in the queue. A queue that all have left is taken away.
    pub(crate) async fn occupied(&self) -> Result<bool> {
        let Some(seen) = get(&self.client, &self.table, &self.id).await? else {
            return Ok(false);
        };
        let seen = ends(&seen);
        // The last to come is the likeliest to be there.
        for number in (seen.head..seen.next).rev() {
            if self.stands(number).await? {
                return Ok(true);
            }
        }
        self.settle(seen.head).await?;
        Ok(false)
    }

    /// Whether somebody stands in the queue under this number.
    async fn stands(&self, number: u64) -> Result<bool> {
        let id = format!("{}/{number}", self.id);
        let item = get(&self.client, &self.table, &id).await?;
        // Something else under that name is nobody who waits.
        Ok(item.as_ref().and_then(lease).is_some())
    }

    /// How many stand in the queue at most.
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

    /// Whether it was done; `false` where its condition was refused.
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

    fn cannot(&self) -> Error {
        Error::failed(format!("cannot join the queue at {}", self.id))
    }
}
