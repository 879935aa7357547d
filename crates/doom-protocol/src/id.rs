//! Ids: what may stand as a token of a subject, the process's instance, episodes and traces.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest id, in characters.
pub(crate) const MAX_LEN: usize = 64;
/// An id longer than this earns a warning: subjects and tables become hard to read.
pub(crate) const WARN_LEN: usize = 20;

/// An id that is a subject token: 1 to 64 characters of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is long enough to warn about.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.0.len() > WARN_LEN
    }
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing between the quotes.
    #[error("an id must not be empty; use 1 to {MAX_LEN} characters of A-Z a-z 0-9 _ -")]
    Empty,
    /// Longer than 64 characters.
    #[error("the id has {0} characters; at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// A character that would be (or break) subject syntax.
    #[error(
        "the id {id:?} has {character:?} at position {position}; only A-Z a-z 0-9 _ - are allowed, since it becomes a part of a NATS subject"
    )]
    Character {
        /// The whole text.
        id: String,
        /// The first character that is not allowed.
        character: char,
        /// Its position, from 1.
        position: usize,
    },
}

impl FromStr for Id {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let length = s.chars().count();
        if length == 0 {
            return Err(IdError::Empty);
        }
        if let Some((i, character)) = s.chars().enumerate().find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
            let shown = s.chars().take(MAX_LEN).collect();
            return Err(IdError::Character { id: shown, character, position: i + 1 });
        }
        if length > MAX_LEN {
            return Err(IdError::TooLong(length));
        }
        Ok(Self(s.to_owned()))
    }
}

impl TryFrom<String> for Id {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run of one process: a UUID version 7, so that instances sort by their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instance(uuid::Uuid);

impl Instance {
    /// A new one, from the clock and the system's random numbers.
    #[must_use]
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The id of the episode with this number.
    #[must_use]
    pub fn episode(self, number: u64) -> EpisodeId {
        EpisodeId { instance: self, number }
    }

    /// The trace id of the episode with this number: unique, and the same wherever it is computed.
    #[must_use]
    pub fn trace(self, number: u64) -> TraceId {
        // The instance's own 128 bits, with the number mixed in by an odd multiplier (a bijection for each instance).
        TraceId(self.0.as_u128() ^ u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl TryFrom<String> for Instance {
    type Error = uuid::Error;
    fn try_from(s: String) -> Result<Self, uuid::Error> {
        uuid::Uuid::parse_str(&s).map(Self)
    }
}

impl From<Instance> for String {
    fn from(i: Instance) -> Self {
        i.to_string()
    }
}

/// `{instance}-{number:06}`; numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpisodeId {
    /// The process.
    pub instance: Instance,
    /// The episode's number within it, from 1.
    pub number: u64,
}

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}", self.instance, self.number)
    }
}

impl EpisodeId {
    /// Writes the text; by hand, since it stands in every event, and going through a formatter takes several times as long.
    fn write<'a>(&self, place: &'a mut [u8; 64]) -> &'a str {
        let (text, rest) = place.split_at_mut(uuid::fmt::Hyphenated::LENGTH);
        self.instance.0.as_hyphenated().encode_lower(text);
        // As many digits as a number of 64 bits can have, at least six.
        let (mut digits, mut length, mut left) = ([b'0'; 20], 0, self.number);
        while left > 0 || length < 6 {
            length += 1;
            digits[20 - length] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        rest[0] = b'-';
        rest[1..=length].copy_from_slice(&digits[20 - length..]);
        let whole = uuid::fmt::Hyphenated::LENGTH + 1 + length;
        std::str::from_utf8(&place[..whole]).unwrap_or_default()
    }
}

impl Serialize for EpisodeId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.write(&mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for EpisodeId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let parsed = text.rsplit_once('-').and_then(|(instance, number)| {
            Some(Self { instance: Instance::try_from(instance.to_owned()).ok()?, number: number.parse().ok()? })
        });
        parsed.ok_or_else(|| serde::de::Error::custom(format_args!("not an episode id: {text:?}")))
    }
}

/// 128 bits as 32 lower-case hex digits; one per episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    fn text(self) -> [u8; 32] {
        let mut text = [0; 32];
        for (i, place) in text.iter_mut().enumerate() {
            *place = b"0123456789abcdef"[(self.0 >> (124 - 4 * i) & 15) as usize];
        }
        text
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match u128::from_str_radix(&text, 16) {
            Ok(n) if text.len() == 32 => Ok(Self(n)),
            _ => Err(serde::de::Error::custom(format_args!("not a trace id of 32 hex digits: {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_to_sixty_four_subject_safe_characters() {
        for good in ["A", "agent-1_b", &"x".repeat(64)] {
            assert_eq!(good.parse::<Id>().map(|i| i.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a.b", "*", ">", "a b", "\u{e9}", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<Id>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn episode_and_trace_ids_survive_the_wire_and_differ_by_number() {
        let instance = Instance::new();
        let episode = instance.episode(7);
        assert!(episode.to_string().ends_with("-000007"));
        let back: EpisodeId = serde_json::from_str(&serde_json::to_string(&episode).unwrap()).unwrap();
        assert_eq!(back, episode);
        assert_ne!(instance.trace(1), instance.trace(2));
        assert_eq!(instance.trace(1).to_string().len(), 32);
    }

    #[test]
    fn ids_on_the_wire_are_their_texts() {
        let instance = Instance::new();
        for number in [0, 1, 999_999, 1_000_000, u64::MAX] {
            let episode = instance.episode(number);
            assert_eq!(serde_json::to_string(&episode).unwrap(), format!("\"{instance}-{number:06}\""));
            let trace = instance.trace(number);
            assert_eq!(trace.to_string(), format!("{:032x}", trace.0));
            assert_eq!(serde_json::to_string(&trace).unwrap(), format!("\"{trace}\""));
        }
    }
}
