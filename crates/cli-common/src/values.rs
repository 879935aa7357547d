//! How the values of flags parse, with errors that say what would be right.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

use doom_protocol::{Id, IdError};

/// Deadlines and intervals beyond this are slips of the keyboard.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A whole number in a range.
pub fn whole<T>(valid: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |s| match s.trim().parse::<T>() {
        Ok(n) if valid.contains(&n) => Ok(n),
        _ => Err(format!("must be a whole number from {} to {}", valid.start(), valid.end())),
    }
}

/// A duration that is longer than nothing and that a clock can hold.
pub fn duration(s: &str) -> Result<Duration, String> {
    match humantime::parse_duration(s.trim()) {
        Ok(d) if d.is_zero() => Err("must be longer than nothing; write it like 500ms, 10s or 2h".to_owned()),
        Ok(d) if d > LONGEST => Err("must be at most a year; write it like 500ms, 10s or 2h".to_owned()),
        Ok(d) => Ok(d),
        Err(e) => Err(format!("is no duration ({e}); write it like 500ms, 10s or 2h")),
    }
}

/// What stands for the name of this host; no id can look like it.
const HOSTNAME: &str = "@hostname";

/// An id, or `@hostname` for the name of this host without its domain.
pub fn agent_id(s: &str) -> Result<Id, String> {
    if s == HOSTNAME {
        return id_of_host(&rustix::system::uname().nodename().to_string_lossy());
    }
    s.parse().map_err(|e: IdError| e.to_string())
}

/// A host's name without its domain: a container has its id for one, or the name that its orchestrator gives to it alone.
fn id_of_host(name: &str) -> Result<Id, String> {
    let first = name.split('.').next().unwrap_or_default();
    first.parse().map_err(|e| format!("stands for the name of this host, `{name}`, which is none for an agent: {e}"))
}

/// An address to listen at.
pub fn address(s: &str) -> Result<SocketAddr, String> {
    s.trim().parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

/// `KEY=VALUE`.
pub fn pair(s: &str) -> Result<(String, String), String> {
    match s.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("must have the form KEY=VALUE".to_owned()),
    }
}

/// `NAME=NUMBER`.
pub fn parameter(s: &str) -> Result<(String, f64), String> {
    let (name, value) = pair(s).map_err(|_| "must have the form NAME=NUMBER".to_owned())?;
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((name, number)),
        _ => Err(format!("`{value}` is not a finite number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_say_the_range() {
        let parse = whole::<u32>(1..=1000);
        assert_eq!(parse("4"), Ok(4));
        for bad in ["", "0", "-1", "1001", "99999999999999999999", "1.5", "four"] {
            assert_eq!(parse(bad), Err("must be a whole number from 1 to 1000".to_owned()), "{bad}");
        }
    }

    #[test]
    fn a_hosts_name_is_an_id_without_its_domain_where_its_characters_are_an_ids() {
        assert_eq!(id_of_host("f3a9c1d2e4b5").unwrap().as_str(), "f3a9c1d2e4b5");
        assert_eq!(id_of_host("agent-3.agents.default.svc").unwrap().as_str(), "agent-3");
        for bad in ["", ".local", "böse", "a b"] {
            assert!(id_of_host(bad).unwrap_err().contains(&format!("the name of this host, `{bad}`")), "{bad}");
        }
        assert_eq!(agent_id("A").unwrap().as_str(), "A");
        assert!(agent_id("@host").is_err());
    }

    #[test]
    fn durations_are_human_and_bounded() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for bad in ["", "0s", "-1s", "10", "5000y", "99999999999999999999s", "soon"] {
            assert!(duration(bad).unwrap_err().contains("write it like"), "{bad}");
        }
    }

    #[test]
    fn parameters_are_finite_numbers_with_a_name() {
        assert_eq!(parameter("x = 0.5"), Ok(("x".to_owned(), 0.5)));
        for bad in ["x", "=1", "x=", "x=nan", "x=inf", "x=much"] {
            assert!(parameter(bad).is_err(), "{bad}");
        }
    }
}
