//! What clap refused, said without a secret and for whoever set it elsewhere than on the command line.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::{secret::HIDDEN, servers::hide_secrets};

/// The name of the flag that an error is about.
#[must_use]
pub fn invalid_argument(error: &Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(flag) => flag.strip_prefix("--")?.split([' ', '=', '[']).next().map(str::to_owned),
        _ => None,
    }
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(list) => Some(list.join(", ")),
        _ => None,
    }
}

/// Why a value is refused, beginning with the value.
#[must_use]
pub fn reason(error: &Error, name: &str) -> String {
    let value = shown(name, &text(error, ContextKind::InvalidValue).unwrap_or_default());
    let why = match (std::error::Error::source(error), text(error, ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(valid)) if !valid.is_empty() => format!("valid are {valid}"),
        _ if error.kind() == ErrorKind::InvalidUtf8 => "the value is not UTF-8".to_owned(),
        _ => error.kind().to_string(),
    };
    format!("cannot be `{value}`: {why}")
}

/// A value as it may be seen.
#[must_use]
pub fn shown(name: &str, value: &str) -> String {
    match name {
        "nats" => hide_secrets(value),
        "nats-password" | "nats-token" => HIDDEN.to_owned(),
        _ => value.to_owned(),
    }
}

/// Clap repeats a value that it refuses; a URL may hold a password.
#[must_use]
pub fn without_secrets(mut error: Error) -> Error {
    if let (Some(name), Some(value)) = (invalid_argument(&error), text(&error, ContextKind::InvalidValue)) {
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown(&name, &value)));
    }
    error
}
