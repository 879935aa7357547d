//! The file that declares the streams: read strictly, and every complaint names its line.

use std::{ops::Range, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{Retention, Storage, StreamDefinition, StreamSource};
use crate::{Id, SubjectRoot, pattern};

/// What is wrong with a file of streams, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct StreamFileError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// JetStream counts in signed 64 and 32 bits.
const MOST_BYTES: u64 = i64::MAX as u64;
const MOST_MESSAGE: u64 = i32::MAX as u64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    duplicate_window: Option<Age>,
    #[serde(default)]
    stream: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Spanned<String>,
    description: Option<String>,
    #[serde(default)]
    subjects: Vec<Spanned<String>>,
    #[serde(default)]
    server: Vec<Spanned<String>>,
    source: Option<Source>,
    max_age: Option<Spanned<Age>>,
    max_bytes: Option<Size<MOST_BYTES>>,
    max_message: Option<Size<MOST_MESSAGE>>,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    storage: Storage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    stream: Spanned<String>,
    subjects: Vec<Spanned<String>>,
}

/// `7d`, `24h`.
#[derive(Clone, Copy)]
struct Age(Duration);

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let age =
            humantime::parse_duration(&text).map_err(|e| de::Error::custom(format!("{text:?} is no duration ({e}); write 7d or 24h")))?;
        // The server counts nanoseconds in 64 bits.
        if age.is_zero() || i64::try_from(age.as_nanos()).is_err() {
            return Err(de::Error::custom(format!("{text:?} is not between 1 ns and 290 years")));
        }
        Ok(Self(age))
    }
}

/// `1GiB`, at most `MOST` bytes.
#[derive(Clone, Copy)]
struct Size<const MOST: u64>(u64);

impl<'de, const MOST: u64> Deserialize<'de> for Size<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let size: ByteSize = text.parse().map_err(|_| de::Error::custom(format!("{text:?} is no size; write 1GiB or 512MiB")))?;
        let size = size.as_u64();
        if size == 0 || size > MOST {
            return Err(de::Error::custom(format!("{text:?} is not between 1 and {MOST} bytes")));
        }
        Ok(Self(size))
    }
}

struct Text<'a>(&'a str);

impl Text<'_> {
    fn complain<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T, StreamFileError> {
        let before = self.0.as_bytes().get(..span.start).unwrap_or_default();
        Err(StreamFileError { line: 1 + before.iter().filter(|b| **b == b'\n').count(), message: message.into() })
    }
}

pub(super) fn parse(text: &str) -> Result<Vec<StreamDefinition>, StreamFileError> {
    let place = Text(text);
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(e) => return place.complain(e.span().unwrap_or(0..0), e.message()),
    };
    if file.stream.is_empty() {
        return place.complain(0..0, "no [[stream]] is declared");
    }
    let window = file.duplicate_window.map_or(DUPLICATE_WINDOW, |w| w.0);
    check_names(&place, &file)?;
    check_subjects(&place, &file)?;
    for entry in &file.stream {
        check_source(&place, &file, entry)?;
        if let Some(age) = &entry.max_age
            && age.as_ref().0 < window
        {
            return place.complain(age.span(), "max_age is shorter than duplicate_window, which no server accepts");
        }
    }
    Ok(file.stream.into_iter().map(|entry| entry.definition(window)).collect())
}

impl Entry {
    fn definition(self, duplicate_window: Duration) -> StreamDefinition {
        let plain = |list: Vec<Spanned<String>>| list.into_iter().map(Spanned::into_inner).collect();
        StreamDefinition {
            name: self.name.into_inner(),
            description: self.description,
            subjects: plain(self.subjects),
            of_the_server: plain(self.server),
            source: self.source.map(|s| StreamSource { stream: s.stream.into_inner(), subjects: plain(s.subjects) }),
            max_age: self.max_age.map(|age| age.into_inner().0),
            max_bytes: self.max_bytes.map(|size| size.0),
            max_message: self.max_message.map(|size| size.0),
            retention: self.retention,
            storage: self.storage,
            duplicate_window,
        }
    }
}

fn check_names(place: &Text<'_>, file: &File) -> Result<(), StreamFileError> {
    for (i, entry) in file.stream.iter().enumerate() {
        let name = entry.name.as_ref();
        if let Err(e) = name.parse::<Id>() {
            return place.complain(entry.name.span(), format!("{name:?} is no stream name: {e}"));
        }
        if file.stream.iter().take(i).any(|other| other.name.as_ref() == name) {
            return place.complain(entry.name.span(), format!("stream {name} is declared a second time"));
        }
    }
    Ok(())
}

/// Well formed, no requests among them, and no two that take the same.
fn check_subjects(place: &Text<'_>, file: &File) -> Result<(), StreamFileError> {
    let root = SubjectRoot::default();
    let mut taken: Vec<(String, &str)> = Vec::new();
    for entry in &file.stream {
        let name = entry.name.as_ref().as_str();
        let own = entry.subjects.iter().map(|s| (s, true)).chain(entry.server.iter().map(|s| (s, false)));
        for (subject, below) in own {
            let span = subject.span();
            if let Err(e) = pattern::check(subject.as_ref()) {
                return place.complain(span, e);
            }
            let whole = if below { format!("{root}.{}", subject.as_ref()) } else { subject.as_ref().clone() };
            if let Some(request) = root.requests().iter().find(|r| pattern::overlaps(r, &whole)) {
                let why = "a stream that takes requests answers them before the agent can";
                return place.complain(span, format!("{:?} takes {request}; {why}", subject.as_ref()));
            }
            if let Some((other, by)) = taken.iter().find(|(other, _)| pattern::overlaps(other, &whole)) {
                return place.complain(span, format!("{whole} is taken already, by {other} of stream {by}"));
            }
            taken.push((whole, name));
        }
    }
    Ok(())
}

fn check_source(place: &Text<'_>, file: &File, entry: &Entry) -> Result<(), StreamFileError> {
    let name = entry.name.as_ref();
    let subjects = !entry.subjects.is_empty() || !entry.server.is_empty();
    let Some(source) = &entry.source else {
        return if subjects {
            Ok(())
        } else {
            place.complain(entry.name.span(), format!("stream {name} has neither subjects nor a source"))
        };
    };
    let of = source.stream.as_ref();
    if subjects {
        return place.complain(source.stream.span(), format!("stream {name} has both subjects and a source"));
    }
    let Some(origin) = file.stream.iter().find(|s| s.name.as_ref() == of).filter(|_| of != name) else {
        return place.complain(source.stream.span(), format!("stream {name} sources {of:?}, which this file does not declare"));
    };
    if source.subjects.is_empty() {
        return place.complain(source.stream.span(), "a source names its subjects");
    }
    for subject in &source.subjects {
        if let Err(e) = pattern::check(subject.as_ref()) {
            return place.complain(subject.span(), e);
        }
        if !origin.subjects.iter().any(|s| pattern::covers(s.as_ref(), subject.as_ref())) {
            return place.complain(subject.span(), format!("{of} does not have {:?}", subject.as_ref()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::stream::{DEAD_LETTERS, Retention, STANDARD, StreamSet};

    #[test]
    fn the_compiled_in_file_has_the_streams_of_the_design() {
        let set = StreamSet::parse(STANDARD).unwrap();
        assert_eq!(&set, StreamSet::standard());
        let events = set.get("AGENT_EVENTS").unwrap();
        assert_eq!(events.max_age.unwrap().as_secs(), 7 * 86_400);
        assert_eq!((events.max_bytes, events.max_message), (Some(1 << 30), Some(1 << 20)));
        assert_eq!(events.duplicate_window.as_secs(), 120);
        assert_eq!(events.all_subjects("r")[0], "r.agent.*.action");
        let records = set.get("AGENT_RECORDS").unwrap();
        assert_eq!(records.source.as_ref().unwrap().stream, "AGENT_EVENTS");
        assert!(records.subjects.is_empty() && records.max_bytes.is_none());
        assert_eq!(set.get("METRICS").unwrap().max_bytes, Some(512 << 20));
        assert_eq!(set.get("EVALUATIONS").unwrap().retention, Retention::WorkQueue);
        assert!(set.get(DEAD_LETTERS).unwrap().all_subjects("r").contains(&"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, says) in [
            ("", 1, "no [[stream]]"),
            ("[[stream]]\nname = \"A B\"\nsubjects = [\"a\"]", 2, "no stream name"),
            ("[[stream]]\nname = \"A\"\n", 2, "neither subjects nor a source"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_agee = \"1d\"", 4, "max_agee"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_age = \"soon\"", 4, "no duration"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_age = \"1s\"", 4, "shorter than duplicate_window"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_bytes = \"much\"", 4, "no size"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\nmax_message = \"3GiB\"", 4, "not between"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\nretention = \"ever\"", 4, "ever"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\n  \"a..b\",\n]", 4, "empty token"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"agent.>\"]", 3, "takes clau-doom.agent.*.health"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"system.>\"]", 3, "takes clau-doom.system.control.>"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\n[[stream]]\nname = \"A\"\nsubjects = [\"b\"]", 5, "second time"),
            ("[[stream]]\nname = \"A\"\nsubjects = [\"a.*\"]\n[[stream]]\nname = \"B\"\nsubjects = [\"a.b\"]", 6, "taken already"),
            ("[[stream]]\nname = \"A\"\nsource = { stream = \"B\", subjects = [\"a\"] }", 3, "does not declare"),
            (
                "[[stream]]\nname = \"A\"\nsubjects = [\"a\"]\n[[stream]]\nname = \"B\"\nsource = { stream = \"A\", subjects = [\"b\"] }",
                6,
                "does not have",
            ),
            ("[[stream]\n", 1, ""),
        ] {
            let e = StreamSet::parse(text).unwrap_err();
            assert!(e.line == line && e.message.contains(says), "{text}\n→ {e}");
        }
    }

    #[test]
    fn a_choice_of_streams_keeps_the_order_and_knows_its_names() {
        let set = StreamSet::standard();
        assert_eq!(set.only(&["METRICS".into(), "AGENT_EVENTS".into()]).unwrap().to_string(), "AGENT_EVENTS, METRICS");
        assert!(set.only(&["NONE".into()]).unwrap_err().contains("there are AGENT_EVENTS"));
    }
}
