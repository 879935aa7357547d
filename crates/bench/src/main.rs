//! How fast the agent plays while it publishes everything, beside those who publish nothing; `cargo xtask bench` builds and starts it.
//!
//! Every contender is a process (or a population of them) that plays until it is told to stop, and tells us of each finished episode:
//! its steps and when it ended. A rate is the steps between two ends of episodes inside a window that begins when every player has
//! warmed up, so that no start-up counts and every new episode does. Contenders take turns (A B C A B C …), and ratios are made
//! within a round. Nothing is asserted: figures are printed, and kept as JSON.

mod arena;
mod figures;
mod markdown;
mod readers;
mod report;
mod setting;
mod speed;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use self::{
    arena::{Arena, Programs},
    report::Report,
    speed::Rounds,
};

/// Where everything goes.
const DIRECTORY: &str = "target/bench";

/// Measures the agent beside bare loops and Python; prints tables and keeps the figures as JSON.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// The doom-agent to measure.
    #[arg(long, value_name = "FILE", hide = true)]
    agent: PathBuf,
    /// The bare loop over the same binding.
    #[arg(long, value_name = "FILE", hide = true)]
    bare_loop: PathBuf,
    /// The doomctl whose readers are measured.
    #[arg(long, value_name = "FILE", hide = true)]
    doomctl: PathBuf,
    /// The process that a reader is measured against: URL, stream, messages, whether it acknowledges.
    #[arg(long, num_args = 4, hide = true)]
    plain_reader: Option<Vec<String>>,
    /// The workspace's root.
    #[arg(long, value_name = "DIR", hide = true)]
    root: PathBuf,
    /// One setting, short windows, no further figures: about a minute.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    only: Vec<Part>,
    /// Only settings whose name contains this, such as `basic-160x120-skip4`.
    #[arg(long, value_name = "TEXT")]
    setting: Option<String>,
    /// Only so many at once, of 1, 2, 4 and 8.
    #[arg(long, value_name = "N")]
    population: Option<usize>,
    /// How often each contender has its turn.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// Seconds that a rate is measured over, after the warm-up; by default 5, or 1 with --quick.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Another doom-agent as one more contender, such as that of the commit before.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Where the figures go as JSON; by default `target/bench/bench.json`.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes them as a page with tables, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The agents play the mock, nobody else plays, and everything takes a thirtieth of its time: tries the bench, and measures nothing.
    #[arg(long)]
    mock: bool,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Steps per second of every contender in every setting.
    Steps,
    /// Steps per second of 1, 2, 4 and 8 at once.
    Population,
    /// What a minute at full pace loses.
    Drops,
    /// From the process's start to its first action on the wire.
    Start,
    /// How even the tics are at Doom's own pace, and what that costs.
    Realtime,
    /// How soon pause and resume are confirmed.
    Control,
    /// How soon health is answered at full pace.
    Health,
    /// Sixteen mock agents at Doom's own pace on one server.
    Mock,
    /// How fast doomctl reads streams, beside a plain consumer.
    Consume,
    /// Resident memory after 1 minute and after 10.
    Memory,
}

impl Part {
    /// In the order in which they are run; the longest comes last.
    const ALL: [Self; 10] = [
        Self::Steps,
        Self::Population,
        Self::Drops,
        Self::Start,
        Self::Realtime,
        Self::Control,
        Self::Health,
        Self::Mock,
        Self::Consume,
        Self::Memory,
    ];
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports.
fn run(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the I/O runtime cannot start")?;
    if let Some([url, stream, count, acknowledge]) = cli.plain_reader.as_deref() {
        return runtime.block_on(readers::plain(url, stream, count.parse()?, acknowledge.parse()?));
    }
    let directory = cli.root.join(DIRECTORY);
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let json = cli.json.clone().unwrap_or_else(|| directory.join("bench.json"));
    let programs = Programs {
        agent: cli.agent.clone(),
        against: cli.against.as_deref().map(Path::canonicalize).transpose().context("--against")?,
        bare_loop: cli.bare_loop.clone(),
        python: cli.root.join("vendor/python/bin/python"),
        python_loop: cli.root.join("tests/python/bench_loop.py"),
        scenarios: cli.root.join("vendor/vizdoom/engine/scenarios"),
    };
    let arena = Arena::new(programs, &directory, cli.mock)?;
    let mut report = Report::begin(&cli.root);
    let parts: Vec<Part> = match (&*cli.only, cli.quick) {
        ([], true) => vec![Part::Steps],
        ([], false) => Part::ALL.to_vec(),
        (only, _) => Part::ALL.into_iter().filter(|part| only.contains(part)).collect(),
    };
    let seconds = cli.seconds.unwrap_or(if cli.quick || cli.mock { 1.0 } else { 5.0 });
    let rounds = Rounds {
        number: cli.rounds.max(1),
        window: Duration::try_from_secs_f64(seconds).context("--seconds")?,
        population: cli.population,
    };
    let settings = setting::chosen(cli.quick, cli.setting.as_deref())?;
    runtime.block_on(async {
        for part in parts {
            match part {
                Part::Steps => speed::steps(&arena, &settings, rounds, &mut report).await?,
                Part::Population => speed::population(&arena, rounds, &mut report).await?,
                Part::Consume => readers::measure(&cli.doomctl, rounds.number, &mut report).await?,
                figure => figures::measure(figure, &arena, rounds.number, &mut report).await?,
            }
            // What was measured is kept, whatever happens to the next part.
            report.write(&json)?;
            if let Some(page) = &cli.markdown {
                fs::write(page, markdown::page(&report)).with_context(|| format!("cannot write {}", page.display()))?;
            }
        }
        anyhow::Ok(())
    })?;
    eprintln!("\nThe figures are in {}.", json.display());
    Ok(())
}
