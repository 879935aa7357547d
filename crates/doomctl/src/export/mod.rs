//! `doomctl export`: what streams hold, into a file for DuckDB, pandas and their like.

mod burial;
mod columns;
mod csv;
mod fill;
mod parquet;
mod part;
mod sink;
mod worker;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use cli_common::{
    exit::{self, Failure},
    values,
};
use doom_bus::consume::{Batches, Start};
use doom_protocol::{EventKind, Reading};

use self::{
    burial::Burial,
    part::{Note, Place, Purpose},
    sink::Progress,
    worker::{Order, Worker},
};
use crate::{
    cli::Global,
    connection,
    events::{
        self,
        selection::{Selection, Source},
    },
    output,
};

const AFTER: &str = "\
Scores and deaths are read from AGENT_RECORDS, telemetry from AGENT_EVENTS, and so on; the export ends with the last event that there was when it
began. CSV and Parquet have one kind of event, one row each, in columns that stand in a fixed order, then a column for each variable; JSON
Lines may have several kinds, one stream after the other.

    doomctl export --experiment doe-7 --out scores.parquet
    duckdb -c \"select policy, avg(total_reward) from 'scores.parquet' group by policy\"

With --durable the server remembers what has been exported: an export that was interrupted goes on when it is started again with the same
arguments, and one with another --out begins behind the last. The unfinished file is FILE.part; without --durable it is removed.
Messages that are no events of this kind are left out and become dead letters (doomctl dlq), one each, however often they are exported; where a letter
has been dropped, an export without --durable makes it again. They are counted and named; the exit code is 65 then, and the file is complete
nonetheless.";

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line: subject, sequence, headers, event
    Jsonl,
    /// RFC 4180, names in the first line
    Csv,
    /// Columns, compressed
    Parquet,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How it is written; by default what the file's name ends in
    #[arg(long)]
    format: Option<Format>,
    /// Replace the file where there is one
    #[arg(long)]
    force: bool,
    /// Let the server remember under this name what has been exported
    #[arg(long, value_name = "NAME")]
    durable: Option<String>,
    /// Events that one pull asks for, up to 16384
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u16).range(1..=16384))]
    batch: u16,
    /// How long a batch may take to come together
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration)]
    max_wait: Duration,
}

/// How reading ended.
enum End {
    Whole,
    Interrupted,
}

/// Exports, and says what there is now.
///
/// # Errors
/// Exit code 2 for contradictory flags, 65 for files, for a stream that is not there and for messages that are no events, 69 without server or JetStream,
/// 77 without permission.
pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<i32, Failure> {
    let format = format(&arguments)?;
    let kinds = arguments.selection.kinds_or(&[EventKind::Score]);
    let kind = match (&*kinds, format) {
        (_, Format::Jsonl) => None,
        ([one], _) => Some(*one),
        _ => return Err(Failure::new(exit::USAGE, "a table has one kind of event; name one with --event, or take --format jsonl")),
    };
    let mut sources = arguments.selection.sources(&global.subject_root, &[EventKind::Score], Reading::Kept)?;
    for source in &mut sources {
        source.consumer = source.consumer.clone().start(Start::All).batch(arguments.batch.into());
        source.consumer.durable.clone_from(&arguments.durable);
    }
    let place = Place::of(&arguments.out, arguments.force)?;
    let purpose = purpose(format, &arguments, &sources);
    let note = match &arguments.durable {
        Some(_) => place.left(&purpose)?,
        None => None,
    };
    let link = connection::open(global).await?;
    // Whatever is wrong with a stream is said before there is a file.
    let mut all = Vec::new();
    for source in &sources {
        all.push(Batches::open(&link, source.consumer.clone(), arguments.max_wait).await.map_err(events::failure)?);
    }
    if let Some(Note { progress, .. }) = &note {
        output::complain(format_args!("going on with {}, which has {} events", place.part.display(), progress.rows));
    } else {
        place.remove();
    }
    let keep = arguments.durable.is_some();
    let burial = Burial::new(&link, &global.subject_root, arguments.durable.as_deref());
    let result = read(all, &sources, (format, kind), &place, purpose, note, burial).await;
    link.close().await;
    let (end, progress) = match result {
        Ok(ended) => ended,
        Err(failure) => {
            if !keep {
                place.remove();
            }
            return Err(failure);
        }
    };
    say(global, &place, &end, &progress, keep)
}

/// Reads one stream after the other and hands everything to the worker.
async fn read(
    all: Vec<Batches>,
    sources: &[Source],
    (format, kind): (Format, Option<EventKind>),
    place: &Place,
    purpose: Purpose,
    note: Option<Note>,
    burial: Burial,
) -> Result<(End, Progress), Failure> {
    let durable = !purpose.durable.is_empty();
    let (begin, passed) = note.as_ref().map_or((0, 0), |note| (note.stream, note.sequence));
    let conditions = sources.iter().map(|source| source.condition.clone()).collect();
    let order = Order { format, kind, place: place.clone(), purpose, note, durable, conditions };
    let mut worker = Worker::start(order, burial)?;
    let mut interrupt = std::pin::pin!(interrupted());
    let mut shown = Shown::new();
    let mut end = End::Whole;
    'streams: for (stream, mut batches) in all.into_iter().enumerate() {
        // What earlier runs finished with is not read again; what of it the server does not know yet is passed over.
        let passed = if stream == begin { passed } else { 0 };
        if stream < begin {
            continue;
        }
        loop {
            let next = tokio::select! {
                next = batches.next() => next.map_err(events::failure)?,
                () = &mut interrupt => { end = End::Interrupted; break 'streams }
            };
            let Some(batch) = next else { break };
            shown.show(batch.events.len(), batch.pending);
            let going_on = {
                let mut sent = std::pin::pin!(worker.send(batch, stream, passed));
                tokio::select! {
                    sent = &mut sent => sent,
                    () = &mut interrupt => {
                        end = End::Interrupted;
                        sent.await;
                        false
                    }
                }
            };
            if !going_on {
                break 'streams;
            }
            worker.acknowledge().await?;
        }
        if !durable {
            batches.close().await;
        }
    }
    shown.clear();
    let progress = worker.finish(matches!(end, End::Whole)).await?;
    Ok((end, progress))
}

/// Interrupt or terminate.
async fn interrupted() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}

fn format(arguments: &Arguments) -> Result<Format, Failure> {
    let by_name = || match arguments.out.extension().and_then(|end| end.to_str()) {
        Some("jsonl" | "ndjson") => Some(Format::Jsonl),
        Some("csv") => Some(Format::Csv),
        Some("parquet") => Some(Format::Parquet),
        _ => None,
    };
    arguments.format.or_else(by_name).ok_or_else(|| {
        let name = arguments.out.display();
        Failure::new(exit::USAGE, format!("--out {name} does not say the format; give --format jsonl, csv or parquet"))
    })
}

fn purpose(format: Format, arguments: &Arguments, sources: &[Source]) -> Purpose {
    Purpose {
        format: format!("{format:?}").to_ascii_lowercase(),
        durable: arguments.durable.clone().unwrap_or_default(),
        streams: sources.iter().map(|source| source.consumer.stream.clone()).collect(),
        subjects: sources.iter().flat_map(|source| source.consumer.subjects.clone()).collect(),
        condition: sources.iter().map(|source| format!("{:?}", source.condition)).collect(),
    }
}

fn say(global: &Global, place: &Place, end: &End, progress: &Progress, keep: bool) -> Result<i32, Failure> {
    let Progress { rows, broken, ref named, .. } = *progress;
    let out = place.out.display();
    if matches!(end, End::Interrupted) {
        let left = if keep {
            format!("{rows} events are in {}; the same command goes on", place.part.display())
        } else {
            place.remove();
            "nothing was written; with --durable it could go on".to_owned()
        };
        return Err(Failure::new(exit::KILLED, format!("interrupted; {left}")));
    }
    if global.json {
        output::say_json(&serde_json::json!({ "file": place.out, "events": rows, "broken": broken, "left_out": named }))?;
    } else {
        cli_common::output::say(&format!("{out}: {rows} events"));
    }
    if broken > 0 {
        let names = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let more = broken.saturating_sub(named.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("{out} is complete, but {broken} messages were no events of this kind: {names}{more}");
        return Err(Failure::new(exit::DATA, text));
    }
    Ok(exit::DONE)
}

/// How far it is, on a terminal, twice a second.
struct Shown {
    read: usize,
    at: Option<Instant>,
    terminal: bool,
}

impl Shown {
    fn new() -> Self {
        Self { read: 0, at: None, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, more: usize, pending: u64) {
        self.read += more;
        if self.terminal && self.at.is_none_or(|at| at.elapsed() >= Duration::from_millis(500)) {
            self.at = Some(Instant::now());
            // A line that cannot be shown is not missed.
            let _ = write!(std::io::stderr(), "\r{} events, {pending} to come   ", self.read);
        }
    }

    fn clear(&self) {
        if self.at.is_some() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}
