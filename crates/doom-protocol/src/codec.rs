//! JSON, or MessagePack with named fields; which one a message is in stands in its `Content-Type`.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Serialize};

/// How an event's bytes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// `application/json`.
    #[default]
    Json,
    /// `application/msgpack`: named fields, binary as `bin`, enums as strings.
    Msgpack,
}

impl Codec {
    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Msgpack => "application/msgpack",
        }
    }

    /// The codec of a `Content-Type`; JSON where there is none.
    #[must_use]
    pub fn of_content_type(value: Option<&str>) -> Self {
        match value {
            Some(v) if v.contains("msgpack") => Self::Msgpack,
            _ => Self::Json,
        }
    }

    /// Appends the encoding of `value` to `out`.
    ///
    /// # Errors
    /// Where a value cannot be represented, such as a map with keys that are no strings.
    pub fn encode(self, value: &impl Serialize, out: &mut impl io::Write) -> Result<(), CodecError> {
        match self {
            Self::Json => serde_json::to_writer(out, value).map_err(CodecError::json),
            Self::Msgpack => rmp_serde::encode::write_named(out, value).map_err(|e| CodecError(e.to_string())),
        }
    }

    /// Decodes one whole value, which may borrow from the bytes. Nesting is bounded (128 levels), lengths are never trusted for allocation.
    ///
    /// # Errors
    /// Where the bytes are not one value of this codec and type.
    pub fn decode<'a, T: Deserialize<'a>>(self, bytes: &'a [u8]) -> Result<T, CodecError> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(CodecError::json),
            Self::Msgpack => {
                let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
                decoder.set_max_depth(128);
                T::deserialize(&mut decoder).map_err(|e| CodecError(e.to_string()))
            }
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Msgpack => "msgpack",
        })
    }
}

impl FromStr for Codec {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "json" => Ok(Self::Json),
            "msgpack" => Ok(Self::Msgpack),
            other => Err(format!("unknown codec `{other}`; valid are json, msgpack")),
        }
    }
}

/// Bytes that could not be made or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    fn json(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}
