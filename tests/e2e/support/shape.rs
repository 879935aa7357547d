//! What a JSON object must look like: every key with its kind, and no other key.

use std::collections::BTreeSet;

use serde_json::Value;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A whole number from 0 on, written without a point.
    Count,
    /// A whole number.
    Integer,
    /// A number that is written as a float (`1.0`, never `1`).
    Float,
    Text,
    Flag,
    /// RFC 3339 in UTC with six digits.
    Instant,
    /// Text of 64 hex digits.
    Sha256,
    /// A map from names to floats, not empty.
    Floats,
    /// Any object.
    Object,
    /// An array of flags.
    Flags,
    /// An array of pairs of counts.
    Ranges,
    /// [`Shape::Count`] or null.
    CountOrNull,
    /// [`Shape::Float`] or null.
    FloatOrNull,
    /// [`Shape::Text`] or null.
    TextOrNull,
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Count => value.is_u64(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Float => value.is_f64(),
            Self::Text => value.as_str().is_some_and(|s| !s.is_empty()),
            Self::Flag => value.is_boolean(),
            Self::Instant => value.as_str().is_some_and(is_timestamp),
            Self::Sha256 => value.as_str().is_some_and(|s| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit())),
            Self::Floats => value.as_object().is_some_and(|m| !m.is_empty() && m.values().all(Value::is_f64)),
            Self::Object => value.is_object(),
            Self::Flags => value.as_array().is_some_and(|l| !l.is_empty() && l.iter().all(Value::is_boolean)),
            Self::Ranges => {
                let pair = |p: &Value| p.as_array().is_some_and(|p| p.len() == 2 && p.iter().all(Value::is_u64));
                value.as_array().is_some_and(|l| l.iter().all(pair))
            }
            Self::CountOrNull => value.is_null() || value.is_u64(),
            Self::FloatOrNull => value.is_null() || value.is_f64(),
            Self::TextOrNull => value.is_null() || Self::Text.fits(value),
        }
    }
}

/// The object has exactly these keys, each of its kind.
#[track_caller]
pub(crate) fn assert_shape(value: &Value, shape: &[(&str, Shape)]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
    let has: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let wants: BTreeSet<&str> = shape.iter().map(|(key, _)| *key).collect();
    let missing: Vec<_> = wants.difference(&has).collect();
    let strange: Vec<_> = has.difference(&wants).collect();
    assert!(missing.is_empty() && strange.is_empty(), "missing {missing:?}, not expected {strange:?} in {value}");
    for (key, kind) in shape {
        assert!(kind.fits(&object[*key]), "{key} is no {kind:?}: {} in {value}", object[*key]);
    }
}

/// `2026-01-02T03:04:05.123456Z`
pub(crate) fn is_timestamp(text: &str) -> bool {
    let pattern = b"0000-00-00T00:00:00.000000Z";
    text.len() == pattern.len() && text.bytes().zip(pattern).all(|(b, p)| if *p == b'0' { b.is_ascii_digit() } else { b == *p })
}

/// Microseconds since 1970 of a timestamp.
#[track_caller]
pub(crate) fn instant(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no timestamp"));
    assert!(is_timestamp(text), "{text}");
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}
