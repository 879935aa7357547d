//! The bare loop over our own engine binding: what the engine alone can do. A contender of `cargo xtask bench`.
//!
//! `bare_loop SCENARIO SKIP CPU|off [KEY=VALUE…]` plays with the random policy until nobody reads what it prints: a line for each
//! finished episode, its steps and when it ended (seconds since 1970).

use std::{
    io::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use doom_game::{BackendFactory, EpisodeStart, Needs, Scenario, VizdoomFactory, find_engine};
use doom_policy::PolicySpec;
use rustix::thread::{CpuSet, sched_setaffinity};

const START_TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().with_context(|| format!("no {what}; usage: bare_loop SCENARIO SKIP CPU|off [KEY=VALUE…]"));
    let scenario = next("SCENARIO")?;
    let skip: u32 = next("SKIP")?.parse().context("SKIP is no number of tics")?;
    let cpu = next("CPU")?;
    let pairs = arguments.map(|a| a.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).context("a setting is KEY=VALUE"));
    let settings = pairs.collect::<Result<Vec<_>>>()?;
    if cpu != "off" {
        let mut set = CpuSet::new();
        set.set(cpu.parse().context("CPU is neither off nor a number")?);
        sched_setaffinity(None, &set).with_context(|| format!("this process may not use CPU {cpu}"))?;
    }

    let search = find_engine()?;
    let scenario = Scenario::load(&scenario, &search, &settings)?;
    let mut game = VizdoomFactory::new(scenario, &search, Needs::default(), START_TIMEOUT)?.start()?;
    let mut policy = PolicySpec::Random.load(&[])?.bind(game.schema())?;
    let mut action = vec![0.0; game.schema().buttons.len()];
    for seed in 1.. {
        game.new_episode(&EpisodeStart { seed, record: None })?;
        policy.begin_episode(seed);
        let mut steps = 0u64;
        loop {
            policy.decide(&game.observe(), &mut action);
            steps += 1;
            if game.step(&action, skip)?.end.is_some() {
                break;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match writeln!(io::stdout(), "{steps} {}", now.as_secs_f64()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(())
}
