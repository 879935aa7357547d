//! Where NATS is, as the command line says it.

use std::{fmt, str::FromStr};

use cli_common::servers::Servers;

/// Where NATS is. `Debug` and `Display` leave out what stands before an `@`.
#[derive(Clone, PartialEq, Eq)]
pub enum NatsChoice {
    /// At one URL, or several separated by commas.
    Url(Servers),
    /// A server of our own, on loopback, for as long as the agent runs.
    Embedded,
    /// Nowhere.
    Off,
}

impl FromStr for NatsChoice {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s.trim() {
            "off" => Ok(Self::Off),
            "embedded" => Ok(Self::Embedded),
            urls => urls.parse().map(Self::Url).map_err(|why: String| format!("{why}, or embedded, or off")),
        }
    }
}

impl fmt::Display for NatsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(servers) => servers.fmt(f),
            Self::Embedded => f.write_str("embedded"),
            Self::Off => f.write_str("off"),
        }
    }
}

impl fmt::Debug for NatsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_server_or_one_of_two_words() {
        assert_eq!("off".parse(), Ok(NatsChoice::Off));
        assert_eq!("embedded".parse(), Ok(NatsChoice::Embedded));
        assert_eq!("nats://h:1".parse::<NatsChoice>().unwrap().to_string(), "nats://h:1");
        assert!("http://h".parse::<NatsChoice>().unwrap_err().ends_with("tls://HOST:PORT, or embedded, or off"));
    }
}
