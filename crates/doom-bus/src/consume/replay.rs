//! The past once more, in order: as fast as it comes, or as it happened.

use std::{collections::VecDeque, fmt, str::FromStr, time::Duration};

use doom_protocol::Condition;
use tokio::time::Instant;

use super::{ConsumeError, Consumer, Delivered, Retention, pull::Pull};
use crate::{Link, api};

/// At most so many are handed over at once.
const CHUNK: usize = 4096;

/// How fast the past goes by.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Speed {
    /// As fast as it comes.
    #[default]
    Max,
    /// So many times as fast as it happened.
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let times = match s {
            "max" => return Ok(Self::Max),
            "original" => Some(1.0),
            other => other.strip_suffix('x').and_then(|number| number.parse::<f64>().ok()),
        };
        times
            .filter(|times| times.is_finite() && (0.001..=1000.0).contains(times))
            .map(Self::Times)
            .ok_or_else(|| format!("{s:?} is no speed; write 1x (as it happened), another factor from 0.001x to 1000x, or max"))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Times(times) => write!(f, "{times}x"),
        }
    }
}

/// A replay from the consumer's start to what was the stream's end when it began.
#[derive(Debug)]
pub struct Replay {
    pull: Pull,
    speed: Speed,
    condition: Condition,
    waiting: VecDeque<Delivered>,
    /// When we began, and when what came first had been stored (nanoseconds since 1970).
    began: Option<(Instant, i64)>,
    end: u64,
    finished: bool,
}

impl Replay {
    /// Begins. The consumer must have no durable name: a replay leaves no trace.
    ///
    /// # Errors
    /// [`ConsumeError`]; nothing was delivered then.
    pub async fn open(link: &Link, consumer: Consumer, condition: Condition, speed: Speed) -> Result<Self, ConsumeError> {
        api::connected(link).await?;
        let end = consumer.stream_end(link).await?;
        let pull = Pull::open(link, Consumer { durable: None, ..consumer }, Retention::None).await?;
        let finished = pull.position().pending == 0;
        Ok(Self { pull, speed, condition, waiting: VecDeque::new(), began: None, end, finished })
    }

    /// The next event that fulfils the condition, when its time has come; `None` at the end. Safe to cancel.
    ///
    /// # Errors
    /// [`ConsumeError`], where it cannot go on.
    pub async fn next(&mut self) -> Result<Option<Delivered>, ConsumeError> {
        loop {
            while let Some(delivered) = self.waiting.front() {
                let stored = delivered.info()?.stored_nanos;
                if let Speed::Times(times) = self.speed {
                    let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), stored));
                    let nanos = u64::try_from(stored - first).unwrap_or(0);
                    tokio::time::sleep_until(began + Duration::from_nanos(nanos).div_f64(times)).await;
                }
                let Some(delivered) = self.waiting.pop_front() else { break };
                if self.condition.admits(delivered.codec(), delivered.bytes()).unwrap_or(true) {
                    return Ok(Some(delivered));
                }
            }
            match self.chunk().await? {
                Some(chunk) => self.waiting.extend(chunk),
                None => return Ok(None),
            }
        }
    }

    /// Everything that has come, at once, whether it fulfils the condition or not; `None` at the end. Safe to cancel.
    ///
    /// # Errors
    /// [`ConsumeError`], where it cannot go on.
    pub async fn chunk(&mut self) -> Result<Option<Vec<Delivered>>, ConsumeError> {
        while !self.finished {
            let until = Instant::now() + Duration::from_secs(5);
            let chunk = self.pull.chunk(CHUNK, Some(until)).await?;
            if chunk.is_empty() {
                self.finished = !self.pull.anything_pending().await?;
                continue;
            }
            let position = self.pull.position();
            self.finished = position.pending == 0 || position.sequence >= self.end;
            return Ok(Some(chunk));
        }
        Ok(None)
    }

    /// What an event must fulfil.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Ends it.
    pub async fn close(self) {
        self.pull.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_factor_or_max() {
        assert_eq!("1x".parse(), Ok(Speed::Times(1.0)));
        assert_eq!("0.5x".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for bad in ["", "1", "x", "-1x", "0x", "infx", "NaNx", "fast"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }
}
