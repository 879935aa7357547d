//! The connection of a command: made once, up or refused within seconds.

use std::time::{Duration, Instant};

use cli_common::exit::{self, Failure};
use doom_bus::{ApiError, ConnectSettings, Link};
use serde::Serialize;

use crate::{cli::Global, output};

/// How long a server may take to answer before there is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Connects, and waits until the server answers.
///
/// # Errors
/// Exit code 2 for contradictory flags, 65 for files, 69 where no server answers or the login is refused.
pub(crate) async fn open(global: &Global) -> Result<Link, Failure> {
    let mut settings = ConnectSettings {
        url: global.nats.expose().to_owned(),
        name: "doomctl".to_owned(),
        auth: global.login.auth()?,
        tls: global.login.tls()?,
        inbox_prefix: None,
    };
    settings.inbox_prefix = Some(inbox(settings.user().as_deref()));
    settings.check().map_err(|e| Failure::new(exit::DATA, e))?;
    let link = doom_bus::connect(&settings).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
    let up = link.connected_within(ANSWER_WITHIN).await;
    up.map_err(|why| Failure::new(exit::UNAVAILABLE, format!("{why} at {}; give --nats URL", global.nats)))?;
    Ok(link)
}

/// The exit code where the JetStream API does not answer as asked.
pub(crate) fn code_of(error: &ApiError) -> i32 {
    match error {
        ApiError::NoStream(_) => exit::DATA,
        ApiError::NoPermission { .. } => exit::NO_PERMISSION,
        _ => exit::UNAVAILABLE,
    }
}

/// Where answers go. A user has an inbox of his own, which nobody else reads where the server keeps roles apart.
fn inbox(user: Option<&str>) -> String {
    let is_token = |user: &&str| !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let user = user.filter(is_token).map_or(String::new(), |user| format!("{user}."));
    format!("_INBOX.{user}doomctl.{}", std::process::id())
}

/// What a server says of itself.
#[derive(Debug, Serialize)]
struct Answer {
    server: String,
    version: String,
    jetstream: bool,
    max_payload: usize,
    round_trip_ms: f64,
}

/// `doomctl ping`.
///
/// # Errors
/// As [`open`], and exit code 69 where the round trip breaks.
pub(crate) async fn ping(global: &Global) -> Result<i32, Failure> {
    let link = open(global).await?;
    let began = Instant::now();
    link.round_trip().await.map_err(|why| Failure::new(exit::UNAVAILABLE, format!("{}: {why}", global.nats)))?;
    let round_trip_ms = began.elapsed().as_secs_f64() * 1e3;
    let info = link.client().server_info();
    let answer =
        Answer { server: info.server_name, version: info.version, jetstream: info.jetstream, max_payload: info.max_payload, round_trip_ms };
    link.close().await;
    if global.json {
        output::say_json(&answer)?;
    } else {
        let Answer { server, version, jetstream, max_payload, .. } = answer;
        let jetstream = if jetstream { "with" } else { "without" };
        cli_common::output::say(&format!(
            "{}: nats-server {version} `{server}`, {jetstream} JetStream, messages up to {max_payload} bytes, {round_trip_ms:.2} ms",
            global.nats
        ));
    }
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::inbox;

    #[test]
    fn a_user_has_an_inbox_of_his_own() {
        let own = format!("doomctl.{}", std::process::id());
        assert_eq!(inbox(Some("dashboard")), format!("_INBOX.dashboard.{own}"));
        for user in [None, Some(""), Some("a.b"), Some("*"), Some(">"), Some("a b")] {
            assert_eq!(inbox(user), format!("_INBOX.{own}"), "{user:?}");
        }
    }
}
