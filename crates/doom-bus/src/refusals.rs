//! What the server has refused on a connection. It says so beside the conversation (`-ERR`): whoever publishes or subscribes without permission
//! hears nothing else.

use std::collections::VecDeque;

/// So many are remembered.
const MOST: usize = 32;

/// The last refusals, as the server said them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    said: VecDeque<String>,
    total: u64,
}

impl Refusals {
    pub(crate) fn add(&mut self, said: String) {
        if self.said.len() == MOST {
            self.said.pop_front();
        }
        self.said.push_back(said);
        self.total += 1;
    }

    /// How many there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Those that came after there were so many in all, as far as they are remembered.
    pub fn since(&self, total: u64) -> impl Iterator<Item = &str> {
        let newer = usize::try_from(self.total.saturating_sub(total)).unwrap_or(usize::MAX).min(self.said.len());
        self.said.iter().skip(self.said.len() - newer).map(String::as_str)
    }

    /// What was said of a missing permission for this subject.
    #[must_use]
    pub fn of(&self, subject: &str) -> Option<&str> {
        let quoted = format!("\"{subject}\"");
        self.said
            .iter()
            .rev()
            .find(|said| said.to_ascii_lowercase().contains("permissions violation") && said.contains(&quoted))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_by_the_whole_subject() {
        let mut refusals = Refusals::default();
        refusals.add("Permissions Violation for Publish to \"a.b\"".to_owned());
        assert!(refusals.of("a.b").is_some());
        assert_eq!((refusals.of("a"), refusals.of("a.b.c")), (None, None));
        (0..MOST).for_each(|n| refusals.add(format!("Permissions Violation for Subscription to \"s{n}\"")));
        assert_eq!(refusals.of("a.b"), None, "bounded");
        assert!(refusals.of("s0").is_some());
        assert_eq!(refusals.since(refusals.total()).count(), 0);
        assert_eq!(refusals.since(refusals.total() - 2).count(), 2);
        assert_eq!(refusals.since(0).count(), MOST);
    }
}
