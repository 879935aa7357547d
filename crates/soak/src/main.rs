//! Agents, a server, and a network between them, all real, under a random schedule of faults; then the ledger: of every record that was made,
//! whether the streams have it, once. `cargo xtask soak` builds and starts it.
//!
//! The schedule follows from the seed, which is printed; when things happen depends on the machine. The exit code is 1 where a record was lost or
//! doubled, or an agent ended by itself.

mod agent;
mod broker;
mod faults;
mod ledger;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Parser;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::{agent::Agents, broker::Broker, ledger::Ledger};

/// Random faults against real agents and a real nats-server; prints what became of their records.
#[derive(Debug, Parser)]
#[command(name = "soak", version)]
struct Cli {
    /// How long faults are made; the end takes up to two minutes more.
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = minutes)]
    minutes: f64,
    /// The schedule: the same seed, the same faults in the same order. A random one where none is given; it is printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many agents play the mock.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    agents: u16,
    /// No agent on the real engine beside them.
    #[arg(long)]
    no_engine: bool,
    /// The doom-agent to run.
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// Keep everything here (logs, spools, the server's store) instead of in a folder that goes at the end.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 && n <= 10_080.0 => Ok(n),
        _ => Err("it must be more than 0 minutes and at most a week (10080)".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let seed = cli.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("soak: seed {seed}, {} minutes, {} agents on the mock, {} on the engine", cli.minutes, cli.agents, u8::from(!cli.no_engine));
    let scratch = tempfile::Builder::new().prefix("soak-").tempdir().context("no temporary folder")?;
    let folder = match &cli.keep {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
            dir.clone()
        }
        None => scratch.path().to_owned(),
    };
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(cli.minutes * 60.0);
    let broker = Broker::start(&folder)?;
    let agents = Agents::start(&cli.agent, &folder, broker.url(), cli.agents, !cli.no_engine)?;
    // Two schedules at once: what happens to the broker, and what happens to the agents.
    let seeds = ChaCha8Rng::seed_from_u64(seed);
    let (mut of_broker, mut of_agents) = (seeds.clone(), seeds);
    of_broker.set_stream(1);
    of_agents.set_stream(2);
    let made = std::thread::scope(|scope| {
        let broker_faults = scope.spawn(|| faults::of_broker(&broker, &mut of_broker, began, until));
        let agent_faults = faults::of_agents(&agents, &mut of_agents, began, until);
        let broker_faults = broker_faults.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the broker's faults ended in a panic")));
        broker_faults.and_then(|a| agent_faults.map(|b| [a, b].concat()))
    })?;
    broker.heal()?;
    println!("soak: everything is healed after {:.0} s; waiting for what is owed", began.elapsed().as_secs_f64());
    let ends = agents.finish();
    let ledger = Ledger::take(&broker, &ends)?;
    ledger.print(&made);
    let good = ledger.is_good() && ends.iter().all(|end| end.complaints.is_empty());
    println!(
        "soak: {} (seed {seed}, {:.0} s)",
        if good { "nothing lost, nothing doubled" } else { "FAILED" },
        began.elapsed().as_secs_f64()
    );
    if !good && cli.keep.is_none() {
        println!("soak: everything it used is kept in {}", scratch.keep().display());
    }
    Ok(good)
}
