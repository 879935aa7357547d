//! What was put aside for its size, tried again: one of it with each new connection and now and then, and where that one is taken, the rest.
//!
//! It goes behind all that waits, as if it were made now, under a new order: what a stream's last message says of how far the spool is stored
//! stays true. One transaction of the spool writes it anew and takes it from where it was put aside; while it is in doubt whether the disk has done
//! that, nothing is sent. Without a spool nothing is tried again: by its id alone a record that comes late would be taken for stored.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{Backlog, Disk, WINDOW_BYTES};
use crate::spool::{ASIDE, Record, Request, StoreError};

/// A stream's bound can be raised without a new connection; a try costs a message.
const AGAIN_EVERY: Duration = Duration::from_secs(15);
/// So many go together once one was taken; those that are newer wait for them.
const AT_ONCE: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// When the next one is tried; none where nothing is aside.
    at: Option<Instant>,
    /// So many are to be read from the disk.
    wanted: usize,
    /// Whose turn it was last.
    last: Arc<str>,
    /// Of those that wait again, the new order; and where the disk has them aside, until it has them anew.
    under_way: BTreeMap<u64, Option<(Arc<str>, u64)>>,
    /// One of them was stored.
    taken: bool,
}

impl Again {
    /// Old orders of those whose new order is one of these.
    pub(super) fn moved(&self, through: u64) -> Vec<u64> {
        self.under_way.range(..=through).filter_map(|(_, old)| old.as_ref().map(|(_, order)| *order)).collect()
    }

    /// The disk has those up to this order anew.
    pub(super) fn committed(&mut self, through: u64) {
        self.under_way.range_mut(..=through).for_each(|(_, old)| *old = None);
    }

    /// The disk may have some under both orders, or under either.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.under_way.values().any(Option::is_some)
    }
}

impl Backlog {
    /// A connection was made anew: the server may take more than it did.
    pub(crate) fn connected_anew(&mut self) {
        self.again.at = self.again.at.map(|_| Instant::now());
    }

    /// When [`Backlog::try_again`] has something to do.
    pub(crate) fn next_again(&self) -> Option<Instant> {
        self.again.at.filter(|_| self.again.under_way.is_empty() && self.again.wanted == 0)
    }

    /// Tries one again where it is time.
    pub(crate) fn try_again(&mut self) {
        let now = Instant::now();
        if self.next_again().is_some_and(|at| at <= now) {
            self.again.at = Some(now + AGAIN_EVERY);
            self.again.wanted = 1;
        }
    }

    /// What is to be read from the disk next, if anything.
    pub(super) fn ask_aside(&mut self) -> Option<Request> {
        if self.again.wanted == 0 || self.disk != Disk::Good || !self.again.under_way.is_empty() {
            return None;
        }
        let most = std::mem::take(&mut self.again.wanted);
        let last = Arc::clone(&self.again.last);
        let (group, most) = if most > 1 && self.aside_on_disk.contains_key(&last) {
            (last, most)
        } else {
            let next = self.aside_on_disk.range((Excluded(last), Unbounded)).next().or_else(|| self.aside_on_disk.first_key_value());
            (Arc::clone(next?.0), 1)
        };
        self.again.last = Arc::clone(&group);
        Some(Request::Read { group, from: 0, most, most_bytes: WINDOW_BYTES })
    }

    /// What was read waits again.
    pub(super) fn take_back(&mut self, key: &Arc<str>, result: Result<(Vec<Record>, bool), StoreError>) {
        let records = match result {
            Ok((records, _)) if self.disk == Disk::Good => records,
            // The disk keeps them.
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "what was put aside cannot be read; trying again"),
        };
        for record in records {
            self.again.under_way.insert(self.next_order, Some((Arc::clone(key), record.order)));
            self.count_aside(key, -1);
            let group = key.strip_prefix(ASIDE).unwrap_or(key).into();
            self.push(Record { group, ..record });
        }
    }

    /// A record was stored, or put aside; whether it had been put aside before.
    pub(super) fn was_tried_again(&mut self, order: u64, stored: bool) -> bool {
        if self.again.under_way.remove(&order).is_none() {
            return false;
        }
        self.again.taken |= stored;
        if self.again.under_way.is_empty() && std::mem::take(&mut self.again.taken) {
            self.again.wanted = AT_ONCE;
        }
        true
    }

    /// The disk does not have those beyond this order anew: it has them aside, as before.
    pub(super) fn leave_aside(&mut self, beyond: u64) {
        let orders: Vec<u64> = self.again.under_way.range((Excluded(beyond), Unbounded)).map(|(order, _)| *order).collect();
        for order in orders {
            let Some(Some((key, _))) = self.again.under_way.get(&order).cloned() else { continue };
            self.again.under_way.remove(&order);
            let waiting = self.pending.iter().position(|r| r.order == order).and_then(|at| self.pending.remove(at));
            let ready = || self.groups.values_mut().find_map(|g| g.position(order).and_then(|at| g.remove(at)));
            let Some(record) = waiting.or_else(ready) else { continue };
            self.total -= 1;
            self.memory_only -= 1;
            self.memory_only_bytes -= record.size();
            self.count_aside(&key, 1);
        }
        self.ledger.set_spooled(self.total);
    }

    /// So many more are aside on disk.
    pub(super) fn count_aside(&mut self, key: &Arc<str>, more: i64) {
        let count = self.aside_on_disk.entry(Arc::clone(key)).or_default();
        *count = count.saturating_add_signed(more);
        if *count == 0 {
            self.aside_on_disk.remove(key);
        }
        self.say_aside();
    }

    /// Tells the ledger how many are aside.
    pub(super) fn say_aside(&mut self) {
        let n = self.aside_on_disk.values().sum::<u64>() + self.aside.len() as u64;
        self.ledger.set_aside(n);
        self.again.at = self.again.at.filter(|_| n > 0).or_else(|| (n > 0).then(|| Instant::now() + AGAIN_EVERY));
    }
}
