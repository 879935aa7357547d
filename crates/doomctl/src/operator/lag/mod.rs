//! `doomctl lag`: how far behind readers are, how much is said, and how the server is.

mod monitor;

use std::time::Duration;

use clap::Args;
use cli_common::{
    exit::{self, Failure},
    output::say,
    values,
};
use doom_bus::operator::{self, Rates, StreamLag};
use doom_protocol::SubjectRoot;
use serde::Serialize;

use self::monitor::{Address, Server};
use super::{
    failure,
    figures::{NOTHING, bytes, count, number},
    table::{
        Side::{Left, Right},
        Table,
    },
};
use crate::{cli::Global, connection, output};

const NOTES: &str = "\
For each consumer of each stream: PENDING messages that it has still to be given, UNACKED ones that it was given and has not acknowledged, LAG the
sum of both, REDELIVERED of the unacknowledged, READERS the fetches that are open (for a push consumer: whether a subscriber is bound).

--rates listens to everything below the subject root for a while and says how many messages and bytes came on each subject; agents, experiments,
runs, generations and metrics count as one (`*`) unless --per-subject. It is one more subscriber: on a busy server keep it short.

--monitor reads the HTTP endpoint that nats-server opens with -m (/varz, /connz, /jsz): connections that do not keep up stand first.

With --json one object: {streams:[{stream, messages, bytes, last_sequence, consumers:[{consumer, durable, pull, pending, unacknowledged, lag,
redelivered, delivered, readers}]}], above:[{stream, consumer, lag}], rates?, server?}.

Exit codes: 0; 1 where a consumer's lag is above --threshold; 65 no such stream; 69 no server, no JetStream or no monitoring endpoint; 77 the
server does not permit it.";

#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub(crate) struct Arguments {
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Exit with 1 where the lag of any consumer is above this
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// Message rates by subject as well, over this long (2s where nothing is said)
    #[arg(long, value_name = "WINDOW", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = values::duration)]
    rates: Option<Duration>,
    /// Each subject by itself
    #[arg(long, requires = "rates")]
    per_subject: bool,
    /// The server's monitoring endpoint as well, such as http://127.0.0.1:8222
    #[arg(long, value_name = "URL")]
    monitor: Option<Address>,
}

/// A consumer that is too far behind.
#[derive(Debug, Serialize)]
struct Above {
    stream: String,
    consumer: String,
    lag: u64,
}

#[derive(Serialize)]
struct Report {
    streams: Vec<serde_json::Value>,
    above: Vec<Above>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<Rates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
}

/// Prints the tables.
///
/// # Errors
/// Those of the connection and of the monitoring endpoint; 65 where there is no such stream, 69 without JetStream, 77 where the server does not
/// permit to ask.
pub(crate) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    let link = connection::open(global).await?;
    let streams = operator::lag(&link, arguments.stream.as_deref()).await.map_err(failure)?;
    let root = &global.subject_root;
    let rates = match arguments.rates {
        Some(window) => {
            let fold = |subject: &str| if arguments.per_subject { subject.to_owned() } else { folded(root, subject) };
            Some(operator::rates(&link, root, window, fold).await.map_err(failure)?)
        }
        None => None,
    };
    link.close().await;
    let server = match &arguments.monitor {
        Some(address) => Some(monitor::read(address).await.map_err(|why| Failure::new(exit::UNAVAILABLE, why))?),
        None => None,
    };
    let above = above(&streams, arguments.threshold);
    let code = if above.is_empty() { exit::DONE } else { exit::NO };
    for Above { stream, consumer, lag } in &above {
        output::complain(format_args!("{stream}/{consumer} is {lag} messages behind, more than {}", arguments.threshold.unwrap_or(0)));
    }
    if global.json {
        output::say_json(&Report { streams: streams.iter().map(with_lag).collect(), above, rates, server })?;
    } else {
        say(&lag_table(&streams));
        if let Some(rates) = &rates {
            say(&format!("\n{}", rates_table(rates)));
        }
        if let Some(server) = &server {
            say(&format!("\n{}", server.text()));
        }
    }
    Ok(code)
}

fn above(streams: &[StreamLag], threshold: Option<u64>) -> Vec<Above> {
    let Some(threshold) = threshold else { return Vec::new() };
    let of = |stream: &StreamLag| {
        let late = stream.consumers.iter().filter(|c| c.lag() > threshold);
        late.map(|c| Above { stream: stream.stream.clone(), consumer: c.consumer.clone(), lag: c.lag() }).collect::<Vec<_>>()
    };
    streams.iter().flat_map(of).collect()
}

/// A stream as JSON, with the sum that every reader of it would make.
fn with_lag(stream: &StreamLag) -> serde_json::Value {
    let mut value = serde_json::to_value(stream).unwrap_or_default();
    let consumers = value.get_mut("consumers").and_then(serde_json::Value::as_array_mut);
    for (consumer, lag) in consumers.into_iter().flatten().zip(&stream.consumers) {
        if let Some(object) = consumer.as_object_mut() {
            object.insert("lag".to_owned(), lag.lag().into());
        }
    }
    value
}

fn lag_table(streams: &[StreamLag]) -> String {
    let mut table = Table::new([
        ("STREAM", Left),
        ("MESSAGES", Right),
        ("BYTES", Right),
        ("CONSUMER", Left),
        ("KIND", Left),
        ("PENDING", Right),
        ("UNACKED", Right),
        ("LAG", Right),
        ("REDELIVERED", Right),
        ("READERS", Right),
    ]);
    for stream in streams {
        let head = [stream.stream.clone(), count(stream.messages), bytes(stream.bytes as f64)];
        if stream.consumers.is_empty() {
            let [name, messages, size] = head.clone();
            let nothing = || NOTHING.to_owned();
            table.push([name, messages, size, nothing(), nothing(), nothing(), nothing(), nothing(), nothing(), nothing()]);
        }
        for c in &stream.consumers {
            let [name, messages, size] = head.clone();
            let kind = format!("{} {}", if c.durable { "durable" } else { "passing" }, if c.pull { "pull" } else { "push" });
            let figures = [c.pending, c.unacknowledged, c.lag(), c.redelivered, c.readers].map(count);
            let [pending, unacknowledged, lag, redelivered, readers] = figures;
            table.push([name, messages, size, c.consumer.clone(), kind, pending, unacknowledged, lag, redelivered, readers]);
        }
    }
    if streams.is_empty() { "no streams".to_owned() } else { table.to_string() }
}

fn rates_table(rates: &Rates) -> String {
    let mut table = Table::new([("SUBJECT", Left), ("MESSAGES/S", Right), ("BYTES/S", Right)]);
    let mut sum = (0.0, 0.0);
    for subject in &rates.subjects {
        sum = (sum.0 + subject.messages_per_second, sum.1 + subject.bytes_per_second);
        table.push([subject.subject.clone(), number(subject.messages_per_second), bytes(subject.bytes_per_second)]);
    }
    table.push([format!("all, over {:.1} s", rates.seconds), number(sum.0), bytes(sum.1)]);
    match rates.missed {
        0 => table.to_string(),
        n => format!("{table}\n{} more came than could be counted", count(n)),
    }
}

/// A subject with `*` for what differs from agent to agent and from run to run.
fn folded(root: &SubjectRoot, subject: &str) -> String {
    let Some(below) = subject.strip_prefix(root.as_str()).and_then(|s| s.strip_prefix('.')) else { return subject.to_owned() };
    let mut tokens: Vec<&str> = below.split('.').collect();
    let dead = usize::from(tokens.first() == Some(&"deadletter"));
    let ids: &[usize] = match tokens.get(dead).copied() {
        Some("agent") => &[1],
        Some("generation") if tokens.get(dead + 2) == Some(&"agent") => &[1, 3],
        Some("generation") if tokens.get(dead + 2) == Some(&"evaluation") => &[1, 3, 5],
        Some("evaluation") => &[2, 3],
        Some("generation") => &[1],
        Some("experiment") => &[1, 3],
        Some("metrics") => &[2, 3],
        _ => &[],
    };
    for place in ids {
        if let Some(token) = tokens.get_mut(dead + place) {
            *token = "*";
        }
    }
    format!("{root}.{}", tokens.join("."))
}

#[cfg(test)]
mod tests {
    use doom_bus::operator::{ConsumerLag, SubjectRate};

    use super::*;

    fn consumer(name: &str, pending: u64, unacknowledged: u64) -> ConsumerLag {
        let consumer = name.to_owned();
        ConsumerLag { consumer, durable: true, pull: true, pending, unacknowledged, redelivered: 0, delivered: 0, readers: 1 }
    }

    fn stream(name: &str, consumers: Vec<ConsumerLag>) -> StreamLag {
        StreamLag { stream: name.to_owned(), messages: 1_234, bytes: 2048, last_sequence: 9, consumers }
    }

    #[test]
    fn above_the_threshold_is_more_than_it() {
        let streams = [stream("S", vec![consumer("a", 7, 3), consumer("b", 11, 0)]), stream("T", vec![])];
        let names = |threshold| above(&streams, threshold).into_iter().map(|a| a.consumer).collect::<Vec<_>>();
        assert_eq!(names(None), [""; 0]);
        assert_eq!(names(Some(10)), ["b"]);
        assert_eq!(names(Some(9)), ["a", "b"]);
        assert_eq!(with_lag(&streams[0])["consumers"][0]["lag"], 10);
        let text = lag_table(&streams);
        let row = text.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(row, "S 1,234 2.0 KiB a durable pull 7 3 10 0 1");
        assert!(text.lines().any(|l| l.starts_with("T ") && l.ends_with('-')), "{text}");
    }

    #[test]
    fn subjects_are_one_where_only_ids_differ() {
        let root = SubjectRoot::default();
        for (subject, expected) in [
            ("clau-doom.agent.A.action", "clau-doom.agent.*.action"),
            ("clau-doom.agent.A.control.pause", "clau-doom.agent.*.control.pause"),
            ("clau-doom.generation.g.agent.A.score", "clau-doom.generation.*.agent.*.score"),
            ("clau-doom.generation.g.evaluate", "clau-doom.generation.*.evaluate"),
            ("clau-doom.generation.g.evaluation.e.episode.2", "clau-doom.generation.*.evaluation.*.episode.*"),
            ("clau-doom.generation.g.evaluation.e.result", "clau-doom.generation.*.evaluation.*.result"),
            ("clau-doom.evaluation.queued.g.e", "clau-doom.evaluation.queued.*.*"),
            ("clau-doom.experiment.e.run.3", "clau-doom.experiment.*.run.*"),
            ("clau-doom.experiment.e.start", "clau-doom.experiment.*.start"),
            ("clau-doom.metrics.agent.A.kill_rate", "clau-doom.metrics.agent.*.*"),
            ("clau-doom.deadletter.agent.A.score", "clau-doom.deadletter.agent.*.score"),
            ("clau-doom.system.doom_agent.error", "clau-doom.system.doom_agent.error"),
            ("clau-doom.agent", "clau-doom.agent"),
            ("elsewhere.agent.A", "elsewhere.agent.A"),
        ] {
            assert_eq!(folded(&root, subject), expected);
        }
    }

    #[test]
    fn no_rate_is_minus_zero_and_what_was_missed_is_said() {
        let none = Rates { seconds: 2.0, subjects: Vec::new(), missed: 0 };
        assert!(!rates_table(&none).contains("-0"), "{}", rates_table(&none));
        let subject = SubjectRate { subject: "s".to_owned(), messages_per_second: 1.0, bytes_per_second: 2.0, messages: 2 };
        let some = rates_table(&Rates { seconds: 2.0, subjects: vec![subject], missed: 1_000 });
        assert!(some.ends_with("1,000 more came than could be counted"), "{some}");
    }
}
