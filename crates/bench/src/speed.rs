//! Steps per second: contenders take turns, round after round.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use bench::stats::Spread;
use doom_protocol::LedgerSummary;

use super::{
    arena::{Arena, Played},
    report::{Ratio, Report, Speed},
    setting::{Contender, Setting, USUAL},
};

/// How often and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) number: u32,
    pub(crate) window: Duration,
    /// Only so many at once.
    pub(crate) population: Option<usize>,
}

/// How many play at once.
const POPULATIONS: [usize; 4] = [1, 2, 4, 8];

/// One at a time, in every setting.
pub(crate) async fn steps(arena: &Arena, settings: &[Setting], rounds: Rounds, report: &mut Report) -> Result<()> {
    use Contender::{Against, Agent, Bare, Python, PythonNats, PythonOneCpu};
    let mut contenders = vec![Python, PythonOneCpu, PythonNats, Bare, Agent];
    let mut over = vec![Python, PythonOneCpu, PythonNats, Bare];
    if arena.programs.against.is_some() {
        contenders.push(Against);
        over.push(Against);
    }
    for setting in settings {
        compare(arena, setting, 1, &contenders, &over, rounds, report).await?;
    }
    Ok(())
}

/// Several at once, in the usual setting, and beside agents that are placed by the scheduler.
pub(crate) async fn population(arena: &Arena, rounds: Rounds, report: &mut Report) -> Result<()> {
    use Contender::{Against, Agent, AgentCpuOff, Python};
    let mut contenders = vec![Python, Agent, AgentCpuOff];
    let mut over = vec![Python, AgentCpuOff];
    if arena.programs.against.is_some() {
        contenders.push(Against);
        over.push(Against);
    }
    for population in POPULATIONS {
        if rounds.population.is_none_or(|only| only == population) {
            compare(arena, &USUAL, population, &contenders, &over, rounds, report).await?;
        }
    }
    Ok(())
}

async fn compare(
    arena: &Arena,
    setting: &Setting,
    population: usize,
    contenders: &[Contender],
    over: &[Contender],
    rounds: Rounds,
    report: &mut Report,
) -> Result<()> {
    let contenders = &arena.present(contenders);
    let mut played: HashMap<Contender, Vec<Played>> = HashMap::new();
    for round in 1..=rounds.number {
        for contender in contenders {
            let run = arena.play(*contender, setting, population, rounds.window).await;
            let run = run.with_context(|| format!("{} in {}, round {round}", contender.name(), setting.name()))?;
            let Played { steps_per_second, others, .. } = run;
            eprintln!(
                "  {} x{population}, round {round}: {:<24} {steps_per_second:>8.0} steps/s   (others used {:.0} % of the machine)",
                setting.name(),
                contender.name(),
                others * 100.0
            );
            played.entry(*contender).or_default().push(run);
        }
    }
    let of = |contender: &Contender| played.get(contender).map(Vec::as_slice).unwrap_or_default();
    let speeds = contenders.iter().filter_map(|contender| {
        let runs = of(contender);
        Some(Speed {
            setting: *setting,
            population,
            contender: *contender,
            steps_per_second: Spread::of(runs.iter().map(|run| run.steps_per_second).collect())?,
            ledger: contender.is_agent().then(|| runs.iter().map(|run| run.ledger).fold(LedgerSummary::default(), sum)),
            others: Spread::of(runs.iter().map(|run| run.others).collect())?,
        })
    });
    let speeds: Vec<Speed> = speeds.collect();
    let ratios = over.iter().filter_map(|other| {
        let pairs = of(&Contender::Agent).iter().zip(of(other));
        let ratio = Spread::of(pairs.map(|(ours, theirs)| ours.steps_per_second / theirs.steps_per_second).collect())?;
        Some(Ratio { setting: *setting, population, of: Contender::Agent, over: *other, ratio })
    });
    report.speeds(speeds, ratios.collect());
    Ok(())
}

fn sum(a: LedgerSummary, b: LedgerSummary) -> LedgerSummary {
    LedgerSummary {
        produced: a.produced + b.produced,
        dropped: a.dropped + b.dropped,
        unconfirmed: a.unconfirmed + b.unconfirmed,
        stored: a.stored + b.stored,
    }
}
