//! At `--pace realtime`: how even the tics are, what it costs, how soon a command is obeyed, and many agents on one machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::{
    machine::{cpu_seconds, resident_mb},
    player::{Agent, ledgers},
    stats::quantile,
};
use doom_protocol::{Codec, control::ControlReply};
use tokio::time::Instant;

use super::{WARM_UP, deviations, first_action, subscribe};
use crate::{
    arena::Arena,
    report::Report,
    setting::{Contender, Setting},
};

/// Each tic is a step.
const EACH_TIC: Setting = Setting::new("basic", "160X120", "GRAY8", 1);
const TIC: f64 = 1.0 / 35.0;
const TICS_OVER: Duration = Duration::from_secs(60);
const COMMANDS: u64 = 200;
const MOCKS: usize = 16;
const MOCKS_OVER: Duration = Duration::from_secs(30);

/// One agent on the real engine.
pub(crate) async fn tics(arena: &Arena, report: &mut Report) -> Result<()> {
    let server = arena.server().await?;
    let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
    let agents = arena.agents(&server, Contender::Agent, &EACH_TIC, 1, &["--pace", "realtime"])?;
    first_action(&mut actions).await?;
    deviations(&mut actions, TIC, WARM_UP).await?;
    let (began, before) = (Instant::now(), cpu_of(&agents)?);
    let deviations = deviations(&mut actions, TIC, arena.span(TICS_OVER)).await?;
    let percent = (cpu_of(&agents)? - before) / began.elapsed().as_secs_f64() * 100.0;
    end(agents).await?;
    let absolute: Vec<f64> = deviations.iter().map(|seconds| seconds.abs() * 1e3).collect();
    for (name, q) in [("median", 0.5), ("99th percentile", 0.99), ("greatest", 1.0)] {
        let value = quantile(&absolute, q).into_iter().collect();
        report.figure(format!("--pace realtime: deviation of a tic from 1/35 s, {name} of {}", absolute.len()), "ms", value);
    }
    report.figure("--pace realtime: CPU of the agent (engine apart)", "% of a CPU", vec![percent]);
    Ok(())
}

/// Pause and resume, again and again, at any point of a tic.
pub(crate) async fn control(arena: &Arena, report: &mut Report) -> Result<()> {
    let server = arena.server().await?;
    let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
    let agents = arena.agents(&server, Contender::Agent, &EACH_TIC, 1, &["--pace", "realtime"])?;
    first_action(&mut actions).await?;
    drop(actions);
    tokio::time::sleep(WARM_UP).await;
    let (mut pauses, mut resumes) = (Vec::new(), Vec::new());
    for i in 0..COMMANDS {
        for (verb, times) in [("pause", &mut pauses), ("resume", &mut resumes)] {
            // No multiple of a tic, so that commands come at any point of one.
            tokio::time::sleep(Duration::from_millis(20 + i * 7 % 40)).await;
            let asked = Instant::now();
            let reply = server.client.request(format!("clau-doom.agent.B0.control.{verb}"), "".into()).await;
            times.push(asked.elapsed().as_secs_f64() * 1e3);
            let reply: ControlReply = Codec::Json.decode(&reply.with_context(|| format!("no answer to {verb}"))?.payload)?;
            ensure!(reply.ok, "{verb} was refused: {reply:?}");
        }
    }
    end(agents).await?;
    for (verb, times) in [("pause", pauses), ("resume", resumes)] {
        for (name, q) in [("median", 0.5), ("99th percentile", 0.99)] {
            let value = quantile(&times, q).into_iter().collect();
            report.figure(format!("{verb} at --pace realtime, sent to confirmed: {name} of {COMMANDS}"), "ms", value);
        }
    }
    Ok(())
}

/// Many agents without an engine.
#[expect(clippy::cast_precision_loss, reason = "a few agents and the events of half a minute")]
pub(crate) async fn mock(arena: &Arena, report: &mut Report) -> Result<()> {
    let server = arena.server().await?;
    let mut last_words = subscribe(&server.client, "clau-doom.system.doom_agent.lifecycle").await?;
    let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
    let more: &[&str] = if arena.mock { &["--pace", "realtime"] } else { &["--backend", "mock", "--pace", "realtime"] };
    let agents = arena.agents(&server, Contender::Agent, &EACH_TIC, MOCKS, more)?;
    first_action(&mut actions).await?;
    deviations(&mut actions, TIC, WARM_UP).await?;
    let (began, before) = (Instant::now(), cpu_of(&agents)?);
    let late: Vec<f64> =
        deviations(&mut actions, TIC, arena.span(MOCKS_OVER)).await?.iter().map(|seconds| seconds.max(0.0) * 1e3).collect();
    let percent = (cpu_of(&agents)? - before) / began.elapsed().as_secs_f64() * 100.0 / MOCKS as f64;
    let memory = agents.iter().map(|agent| resident_mb(agent.pid()?)).collect::<Result<Vec<_>>>()?;
    agents.iter().for_each(Agent::stop);
    let ledger = ledgers(&mut last_words, MOCKS).await?;
    for agent in agents {
        agent.ended().await?;
    }
    report.figure(format!("{MOCKS} mock agents at realtime: CPU of each"), "% of a CPU", vec![percent]);
    report.figure(format!("{MOCKS} mock agents at realtime: resident memory of each"), "MB", memory);
    report.figure(
        format!("{MOCKS} mock agents at realtime: late tics, 99th percentile of {}", late.len()),
        "ms",
        quantile(&late, 0.99).into_iter().collect(),
    );
    report.figure(format!("{MOCKS} mock agents at realtime: events dropped of {}", ledger.produced), "events", vec![ledger.dropped as f64]);
    Ok(())
}

/// CPU seconds of all.
fn cpu_of(agents: &[Agent]) -> Result<f64> {
    agents.iter().map(|agent| cpu_seconds(agent.pid()?)).sum()
}

async fn end(agents: Vec<Agent>) -> Result<()> {
    agents.iter().for_each(Agent::stop);
    for agent in agents {
        agent.ended().await?;
    }
    Ok(())
}
