//! How many agents a machine bears at Doom's own pace, on a cluster of three nats-servers; `cargo xtask scale` builds and starts it.
//!
//! Step by step twice as many agents play, first on the mock, then on the real engine. Each step has servers, streams and agents of its own, which
//! start in waves, play for a while before anything is measured, and are stopped in the end. It bends where tics come late or an event is
//! dropped; then one more step between the last good and the first bad one says closer where. Nothing is asserted: figures are printed as they
//! come, kept as JSON, and written as a page.

mod cluster;
mod population;
mod report;
mod step;
mod watch;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bench::{circumstances::Circumstances, machine::available_mb};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    report::Report,
    step::{Settings, Step},
};

/// Memory that is left to the rest of the machine, in MB.
const SPARE_MB: f64 = 1024.0;

/// Plays with more and more agents at 35 tics a second on a cluster of three nats-servers (R3 streams), and says where it bends.
///
/// Every process is on this machine: agents, engines, servers, and this program, which hears every action. Step by step there are twice as many
/// agents. A step BENDS where the 99th percentile of late tics exceeds 5 ms, an event was dropped or went missing, or the agents do not all come up;
/// one more step between the last good and the first bad one follows, then the next backend.
///
/// What is printed for each step (kept as JSON with more):
///
///   agents        how many play, each a process (with an engine of its own, where it is the engine)
///   tics/s        of each; 35 is Doom's pace
///   late p99      how much later than a tic's length after the one before it a tic came: 99th percentile, in ms
///   >5ms          the share of tics that came more than 5 ms late
///   lost          events that an agent dropped, and that the stream did not get
///   unc.          events unconfirmed: written to a connection that broke
///   CPU, engine   of a core, of each agent and of each engine
///   MB, engine    memory of each; the program's pages, which all agents share, are divided among them
///   msg/s, kB/s   stored for each agent, as the streams count them, each message once
///   broker        CPU of the three servers together, of a core
///   /core         agents that a core bears: agent and engine, without the servers
///   others        the share of the machine that other programs used: above a few per cent the step is worth little
///
/// It ends after --minutes at the latest, starts no step for which memory does not suffice, and removes what it made, also when interrupted.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask scale", verbatim_doc_comment)]
struct Cli {
    /// The doom-agent to start.
    #[arg(long, value_name = "FILE", hide = true)]
    agent: PathBuf,
    /// The workspace's root.
    #[arg(long, value_name = "DIR", hide = true)]
    root: PathBuf,
    /// Only this backend.
    #[arg(long, value_name = "BACKEND")]
    only: Option<Backend>,
    /// The first step's agents on the mock.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    from: u32,
    /// At most so many agents on the mock.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max: u32,
    /// The first step's agents on the engine.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    engines_from: u32,
    /// At most so many agents on the engine.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    engines_max: u32,
    /// Seconds that each step is measured over.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// No step begins later than this.
    #[arg(long, value_name = "MINUTES", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// Tics of a step of the game; 1 makes the most messages.
    #[arg(long, value_name = "TICS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=35))]
    frame_skip: u32,
    /// What is played.
    #[arg(long, value_name = "SCENARIO", default_value = "basic")]
    scenario: String,
    /// The size of the picture, as ViZDoom writes it.
    #[arg(long, value_name = "RES", default_value = "RES_160X120")]
    resolution: String,
    /// Where servers and agents keep their files meanwhile; /dev/shm takes the disk out of the figures. By default target/bench.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the figures go as JSON; by default target/bench/scale.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes them as a page with a table, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// What the agents play on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Backend {
    /// The invented game: what agent and broker cost without an engine.
    Mock,
    /// ViZDoom.
    Engine,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures until it is done or told to stop; either way nothing is left running.
fn run(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the I/O runtime cannot start")?;
    runtime.block_on(async {
        let mut ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        let told = futures::future::select_all(ends.iter_mut().flatten().map(|end| Box::pin(end.recv())));
        tokio::select! {
            done = measure(cli) => done,
            _ = told => bail!("told to stop; what was measured before is kept"),
        }
    })
}

/// All steps of all backends.
async fn measure(cli: &Cli) -> Result<()> {
    let target = cli.root.join("target/bench");
    let directory = cli.dir.clone().unwrap_or_else(|| target.clone());
    for folder in [&target, &directory] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let folder = tempfile::Builder::new().prefix("scale-").tempdir_in(&directory).context("no folder for servers and agents")?;
    let until = Instant::now() + Duration::from_secs(cli.minutes * 60);
    let mut report =
        Report::begin(Circumstances::now(&cli.root), cli.json.clone().unwrap_or_else(|| target.join("scale.json")), cli.markdown.clone());
    for (backend, from, max) in [(Backend::Mock, cli.from, cli.max), (Backend::Engine, cli.engines_from, cli.engines_max)] {
        if cli.only.is_some_and(|only| only != backend) {
            continue;
        }
        let settings = Settings {
            agent: &cli.agent,
            folder: folder.path(),
            backend,
            frame_skip: cli.frame_skip,
            scenario: &cli.scenario,
            resolution: &cli.resolution,
            window: Duration::from_secs(cli.seconds),
        };
        climb(&settings, from.min(max), max, until, &mut report).await?;
    }
    report.end()
}

/// Twice as many at each step, until it bends; then once more, halfway between good and bad.
async fn climb(settings: &Settings<'_>, from: u32, max: u32, until: Instant, report: &mut Report) -> Result<()> {
    report.heading(settings.backend);
    let (mut good, mut bad, mut count) = (None::<Step>, None, from);
    loop {
        if Instant::now() >= until {
            return report.remark(settings.backend, format!("{count} agents were not tried: --minutes are over"));
        }
        // What the step before took says what this one will.
        let wanted = good.as_ref().map_or(0.0, |step| step.memory_mb() / f64::from(step.agents) * f64::from(count)) + SPARE_MB;
        if wanted > available_mb() {
            let why =
                format!("{count} agents were not tried: they would take {wanted:.0} MB of the {:.0} MB that are left", available_mb());
            return report.remark(settings.backend, why);
        }
        match step::play(settings, count).await {
            Ok(step) if step.bends.is_none() => {
                report.step(step.clone())?;
                good = Some(step);
            }
            Ok(step) => {
                report.step(step)?;
                bad = Some(count);
            }
            Err(error) if good.is_none() => return Err(error),
            // Too many to come up, or to stay: that is a finding.
            Err(error) => {
                report.remark(settings.backend, format!("{count} agents: {error:#}"))?;
                bad = Some(count);
            }
        }
        let best = good.as_ref().map_or(0, |step| step.agents);
        count = match bad {
            Some(first) if best == 0 => return report.remark(settings.backend, format!("it bends at {first} agents already")),
            // Halved once: after that, bad is no longer twice as many.
            Some(bad) if bad == best * 2 && best > 1 => best + best / 2,
            Some(_) => return report.remark(settings.backend, format!("it bends above {best} agents")),
            None if best >= max => return report.remark(settings.backend, format!("it does not bend at {best} agents")),
            None => (best * 2).min(max),
        };
    }
}
