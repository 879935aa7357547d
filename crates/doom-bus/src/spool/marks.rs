//! How far a spool's records are stored, as the stream says it.
//!
//! The records of a group are stored in order, so the last message on a subject tells how far whoever sent it had got with all that his spool
//! held on that subject. He writes it there: his instance, and the record's order. The next process to open that spool finds the instance among
//! those that have opened it and so knows what was stored, also of records that were never erased, and whatever was stored from memory meanwhile.

use std::fmt;

use async_nats::HeaderMap;
use doom_protocol::header;

/// Marks of other spools that a message hands on: of an id that is at home on several hosts, or plays without a disk in between.
const MOST_OTHERS: usize = 3;

/// Characters of an instance, a hyphenated UUID.
const MOST_INSTANCE: usize = 36;

/// What one message says of one spool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// The process that sent it.
    instance: String,
    /// What that process knew on this subject is stored up to this order.
    order: u64,
}

/// What one message says of spools, the last sender's first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks(Vec<Mark>);

impl Marks {
    /// Those of a message; what is not of our making is none.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(header::STORED_THROUGH).map_or("", |v| v.as_str());
        let mark = |part: &str| {
            let (instance, order) = part.trim().split_once(':')?;
            (instance.len() <= MOST_INSTANCE).then_some(Mark { instance: instance.to_owned(), order: order.parse().ok()? })
        };
        Self(text.split(',').filter_map(mark).take(MOST_OTHERS + 1).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mark) in self.0.iter().enumerate() {
            write!(f, "{}{}:{}", if n == 0 { "" } else { "," }, mark.instance, mark.order)?;
        }
        Ok(())
    }
}

/// The processes that have opened a spool, oldest first, each with the first order that had not been given then. Empty for a process without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Starts(pub(crate) Vec<(String, u64)>);

impl Starts {
    /// Up to which order the spool's records on a subject are stored, as the last message there says; `None` where it knows nothing of this spool.
    pub(crate) fn stored_through(&self, said: &Marks) -> Option<u64> {
        let through = |mark: &Mark| {
            let at = self.0.iter().position(|(instance, _)| *instance == mark.instance)?;
            // What he stored from memory alone has orders that were given again after him: to records of which he knew nothing.
            Some(self.0.get(at + 1).map_or(mark.order, |(_, first)| mark.order.min(first.saturating_sub(1))))
        };
        said.0.iter().filter_map(through).max()
    }

    /// Whether a process has stored something on a subject of which its disk never knew, as the last message there says.
    pub(crate) fn outran_its_disk(&self, instance: &str, said: &Marks) -> bool {
        let next = self.0.iter().position(|(i, _)| i == instance).and_then(|at| self.0.get(at + 1));
        next.is_some_and(|(_, first)| said.0.iter().any(|mark| mark.instance == instance && mark.order >= *first))
    }

    /// What a record of this order bears, sent on a subject whose last message said this.
    pub(crate) fn mark(&self, order: u64, said: &Marks) -> Marks {
        let own = self.0.last().map(|(instance, _)| Mark { instance: instance.clone(), order });
        let others = said.0.iter().filter(|mark| !self.0.iter().any(|(instance, _)| *instance == mark.instance));
        let most = MOST_OTHERS + usize::from(own.is_some());
        Marks(own.into_iter().chain(others.cloned()).take(most).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(of: &[(&str, u64)]) -> Starts {
        Starts(of.iter().map(|(instance, first)| ((*instance).to_owned(), *first)).collect())
    }

    fn marks(text: &str) -> Marks {
        let mut headers = HeaderMap::new();
        headers.insert(header::STORED_THROUGH, text);
        Marks::of(&headers)
    }

    #[test]
    fn a_sender_speaks_of_what_he_knew_and_of_nothing_that_came_after_him() {
        let spool = starts(&[("a", 1), ("b", 8), ("c", 12)]);
        assert_eq!(spool.stored_through(&marks("a:5")), Some(5));
        assert_eq!(spool.stored_through(&marks("b:5")), Some(5), "sent by the second, made by the first");
        assert_eq!(spool.stored_through(&marks("b:40")), Some(11), "from 12 on, orders were given again");
        assert_eq!(spool.stored_through(&marks("c:40")), Some(40));
        assert_eq!(spool.stored_through(&marks("x:9,b:9")), Some(9), "handed on by another spool's");
        assert_eq!(spool.stored_through(&marks("x:9")), None);
        assert_eq!(Starts::default().stored_through(&marks("a:5")), None);
    }

    #[test]
    fn what_a_disk_never_knew_is_told_from_what_it_did() {
        let spool = starts(&[("a", 1), ("b", 8), ("c", 12)]);
        let outran = |who, said| spool.outran_its_disk(who, &marks(said));
        assert!(outran("a", "a:8") && outran("a", "x:3,a:9") && outran("b", "b:12"));
        assert!(!outran("a", "a:7") && !outran("b", "a:9") && !outran("c", "c:90") && !outran("x", "x:9"));
    }

    #[test]
    fn marks_of_other_spools_are_handed_on_within_a_bound() {
        let spool = starts(&[("a", 1), ("b", 8)]);
        assert_eq!(spool.mark(9, &marks("a:7,x:3")).to_string(), "b:9,x:3");
        assert_eq!(spool.mark(9, &marks("p:1,q:2,r:3,s:4")).to_string(), "b:9,p:1,q:2,r:3");
        assert_eq!(Starts::default().mark(1, &marks("b:9,x:3")).to_string(), "b:9,x:3", "without a spool");
        assert_eq!(spool.mark(9, &Marks::default()), marks("b:9"));
    }

    #[test]
    fn what_is_no_mark_is_none() {
        for text in ["", "a", "a:", "a:-1", "a:99999999999999999999999", ",,,", &format!("{}:1", "x".repeat(37))] {
            assert_eq!(marks(text), Marks::default(), "{text}");
        }
        assert_eq!(marks(" a:1 , b , c:2").to_string(), "a:1,c:2");
        assert_eq!(marks("a:1,b:2,c:3,d:4,e:5,f:6").to_string(), "a:1,b:2,c:3,d:4");
    }
}
