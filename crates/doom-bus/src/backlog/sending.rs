//! The backlog and the streams: which record is tried next, and what an outcome means for its group.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Backlog, Disk, MOST_UNERASED, group::Group};
use crate::attempt::{Attempt, Outcome};

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(5);

impl Backlog {
    /// The groups whose first record may be tried now.
    pub(crate) fn due(&self, now: Instant) -> Vec<Arc<str>> {
        if self.is_held_up() {
            return Vec::new();
        }
        let may = |group: &Group| {
            let unerased = group.unerased < MOST_UNERASED || self.disk != Disk::Good;
            !group.in_flight && group.retry_at.is_none_or(|at| at <= now) && !group.queue.is_empty() && unerased
        };
        self.groups.iter().filter(|(_, group)| may(group)).map(|(key, _)| Arc::clone(key)).collect()
    }

    /// When a group that waits after a failure is due.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        let waiting = self.groups.values().filter(|g| !self.is_held_up() && !g.queue.is_empty() && !g.in_flight);
        waiting.filter_map(|g| g.retry_at).min()
    }

    /// A record that makes way is not on disk as such yet, or one that is tried again may not be. What is behind it would make the next start
    /// believe that it is stored.
    fn is_held_up(&self) -> bool {
        let unsure = self.disk != Disk::Good && self.again.is_in_doubt();
        (!self.aside.is_empty() || unsure) && self.disk != Disk::None
    }

    /// A group's first record is under way from now on, until [`Backlog::settle`].
    pub(crate) fn start(&mut self, key: &Arc<str>) -> Option<Attempt> {
        let group = self.groups.get_mut(key)?;
        let record = group.queue.front()?.record.clone();
        group.in_flight = true;
        let subject = record.subject.as_str();
        let place = group.places.get(subject).cloned();
        // Looked at where it must be found out how far the stream is, and the stream's last message is of a release that wrote no marks.
        let behind = group.queue.iter().take(if place.is_some() { 0 } else { MOST_UNERASED + 1 }).skip(1);
        let later = behind.filter(|k| k.record.subject.as_str() == subject).map(|k| k.record.message_id().to_owned()).collect();
        Some(Attempt { stream: group.streams.get(subject).cloned(), place, later, starts: Arc::clone(&self.starts), record })
    }

    /// Takes in what came of a try.
    pub(crate) fn settle(&mut self, key: &Arc<str>, outcome: Outcome) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.in_flight = false;
        match outcome {
            Outcome::Stored { stream, place } => {
                group.no_stream = false;
                group.failures = 0;
                group.retry_at = None;
                let Some(done) = self.acknowledge(key) else { return };
                self.was_tried_again(done.order, true);
                if done.is_counted() {
                    self.ledger.add_stored();
                }
                let Some(group) = self.groups.get_mut(key) else { return };
                let subject = done.subject.to_string();
                group.streams.insert(subject.clone(), stream);
                match place {
                    Some(place) => group.places.insert(subject, place),
                    None => group.places.remove(&subject),
                };
            }
            Outcome::NoStream => {
                group.forget();
                group.no_stream = true;
                group.retry_at = Some(Instant::now() + RETRY_MOST);
                if !std::mem::replace(&mut self.warned, true) {
                    let subject = group.queue.front().map_or(String::new(), |k| k.record.subject.to_string());
                    tracing::warn!(%subject, "no stream takes this record; it is published for live viewers and kept until one does (create the streams of clau-doom)");
                }
            }
            Outcome::TooLarge(why) => {
                group.failures = 0;
                group.retry_at = None;
                self.put_aside(key, why);
            }
            Outcome::Failed(error) => {
                group.forget();
                group.failures += 1;
                group.retry_at = Some(Instant::now() + RETRY_FIRST.saturating_mul(1 << group.failures.min(6)).min(RETRY_MOST));
                tracing::debug!(error, failures = group.failures, "a record is not stored yet; trying again");
            }
        }
    }
}
