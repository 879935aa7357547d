//! The addresses of NATS servers, as a flag says them.

use std::{fmt, str::FromStr};

/// One URL, or several separated by commas. `Debug` and `Display` leave out what stands before an `@`.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers(String);

impl Servers {
    /// The URLs whole, for the one place that connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Servers {
    type Err = String;
    fn from_str(urls: &str) -> Result<Self, String> {
        for url in urls.split(',') {
            check_url(url.trim())?;
        }
        Ok(Self(urls.to_owned()))
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hide_secrets(&self.0))
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Refuses what cannot be the address of a server; a text without a scheme is taken as `nats://`. The URL itself is not repeated,
/// since it may hold a password.
fn check_url(url: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("the NATS URL {why}; write nats://HOST:PORT or tls://HOST:PORT"));
    if url.is_empty() {
        return bad("is empty");
    }
    let rest = match url.split_once("://") {
        Some(("nats" | "tls", rest)) => rest,
        Some(_) => return bad("has a scheme that is not spoken here"),
        None => url,
    };
    let address = rest.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
    let (host, port) = match address.strip_prefix('[') {
        // An IPv6 address.
        Some(v6) => match v6.split_once(']') {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => return bad("has a `[` without `]`"),
        },
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return bad("has no host");
    }
    if host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#')) {
        return bad("has a host that is no host name");
    }
    match port.map(str::parse::<u16>) {
        Some(Err(_) | Ok(0)) => bad("has a port that is no number from 1 to 65535"),
        _ => Ok(()),
    }
}

/// URLs without what stands before their `@`.
#[must_use]
pub fn hide_secrets(urls: &str) -> String {
    let hide = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => url.to_owned(),
    };
    urls.split(',').map(hide).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        assert_eq!(hide_secrets("nats://me:pw@h:1,nats://h:2,tok@h"), "nats://…@h:1,nats://h:2,…@h");
        let servers: Servers = "nats://me:hunter2@h".parse().unwrap();
        assert!(!format!("{servers:?} {servers}").contains("hunter2"));
    }

    #[test]
    fn addresses_of_servers_are_taken() {
        for url in ["nats://h:4222", "h", "h:1", "tls://me:p@h:65535/", "nats://[::1]:4222", "nats://a:1,nats://b:2", "tok@h"] {
            assert_eq!(url.parse(), Ok(Servers(url.to_owned())), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_a_server_is_refused_without_repeating_it() {
        for (url, why) in [
            ("", "is empty"),
            ("nats://a,", "is empty"),
            ("http://me:hunter2@h", "scheme"),
            ("ws://h", "scheme"),
            ("nats://", "no host"),
            ("nats://:4222", "no host"),
            ("nats://me:hunter2@h:0", "port"),
            ("nats://h:70000", "port"),
            ("nats://h:-1", "port"),
            ("nats://h:port", "port"),
            ("nats://[::1:4222", "without `]`"),
            ("two words", "no host name"),
            ("nats://h/a/b", "no host name"),
        ] {
            let error = url.parse::<Servers>().unwrap_err();
            assert!(error.contains(why) && error.contains("write nats://HOST:PORT"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
