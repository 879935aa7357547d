//! `doomctl replay`: the past once more, from a time or a sequence, as it happened or as fast as it comes.

use std::time::SystemTime;

use clap::Args;
use cli_common::{
    exit::{self, Failure},
    values,
};
use doom_bus::consume::{Replay, Speed, Start};
use doom_protocol::{EventKind, Reading, Timestamp};

use crate::{
    cli::Global,
    connection,
    events::{self, display::Display, writer::Chunk},
};

const AFTER: &str = "\
Without --since and --seq it begins with the oldest event that the stream holds. It ends with the last that there was when it began.
Scores and deaths alone are read from AGENT_RECORDS, where they stay for 30 days; together with telemetry they come from AGENT_EVENTS.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    display: Display,
    /// From this time on (2026-01-02T03:04:05Z), or so long ago (10m)
    #[arg(long, value_name = "TIME|DURATION", value_parser = since, conflicts_with = "seq")]
    since: Option<Timestamp>,
    /// From this sequence of the stream on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seq: Option<u64>,
    /// 1x as it happened, another factor such as 10x, or max
    #[arg(long, default_value = "max", value_name = "SPEED")]
    speed: Speed,
}

/// A time, or how long ago it was.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = values::duration(text) {
        return Ok(Timestamp::from_system(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)));
    }
    let time: Timestamp =
        text.trim().parse().map_err(|_| "is neither a time such as 2026-01-02T03:04:05Z nor a duration such as 10m".to_owned())?;
    if time > Timestamp::now() { Err(format!("lies in the future; it is {}", Timestamp::now())) } else { Ok(time) }
}

/// Shows what happened.
///
/// # Errors
/// As `watch`.
pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<i32, Failure> {
    let Arguments { display, since, seq, speed } = arguments;
    let selection = &display.selection;
    let default = [EventKind::Action, EventKind::Observe, EventKind::Score, EventKind::Death];
    let results = selection.kinds_or(&default).iter().all(|kind| matches!(kind, EventKind::Score | EventKind::Death));
    let reading = if results { Reading::Kept } else { Reading::AsItHappened };
    let source = selection.source(&global.subject_root, &default, reading)?;
    let start = match (since, seq) {
        (Some(time), _) => Start::Time(time),
        (None, Some(sequence)) => Start::Sequence(sequence),
        (None, None) => Start::All,
    };
    let link = connection::open(global).await?;
    let consumer = source.consumer.start(start);
    let mut replay = Replay::open(&link, consumer, source.condition.clone(), speed).await.map_err(events::failure)?;
    let writer = display.start(global, vec![source.condition], false)?;
    let chunks = writer.chunks();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let ended = loop {
        let next = async {
            match speed {
                Speed::Max => replay.chunk().await,
                Speed::Times(_) => Ok(replay.next().await?.map(|one| vec![one])),
            }
        };
        let next = tokio::select! {
            next = next => next,
            () = chunks.closed() => break Ok(exit::DONE),
            _ = &mut interrupt => break Ok(exit::KILLED),
        };
        match next {
            Ok(Some(events)) => {
                if chunks.send(Chunk::new(events, 0)).await.is_err() {
                    break Ok(exit::DONE);
                }
            }
            Ok(None) => break Ok(exit::DONE),
            Err(error) => break Err(error),
        }
    };
    drop(chunks);
    let written = writer.finish()?;
    replay.close().await;
    link.close().await;
    let code = ended.map_err(events::failure)?;
    written.say();
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        assert_eq!(since("2026-01-02T03:04:05Z").map(|t| t.to_string()), Ok("2026-01-02T03:04:05.000000Z".to_owned()));
        let ago = Timestamp::now().as_micros() - since("10m").unwrap().as_micros();
        assert!((599_000_000..=601_000_000).contains(&ago), "{ago}");
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "10", "9998-01-01T00:00:00Z"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
