//! From the start of a process to its first action on the wire.

use anyhow::Result;
use tokio::{sync::mpsc, time::Instant};

use super::{first_action, subscribe};
use crate::{
    arena::Arena,
    report::Report,
    setting::{Contender, USUAL},
};

pub(crate) async fn start(arena: &Arena, rounds: u32, report: &mut Report) -> Result<()> {
    let (mut ours, mut python) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let server = arena.server().await?;
        let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
        let began = Instant::now();
        let agents = arena.agents(&server, Contender::Agent, &USUAL, 1, &[])?;
        first_action(&mut actions).await?;
        ours.push(began.elapsed().as_secs_f64());
        for agent in agents {
            agent.stop();
            agent.ended().await?;
        }
        if arena.mock {
            continue;
        }
        let server = arena.server().await?;
        let mut actions = subscribe(&server.client, "clau-doom.agent.*.action").await?;
        let (episodes, _keep) = mpsc::channel(4096);
        let began = Instant::now();
        let player = arena.start_loop(Some(&server), Contender::PythonNats, &USUAL, 0, episodes)?;
        first_action(&mut actions).await?;
        python.push(began.elapsed().as_secs_f64());
        player.end().await?;
    }
    let ratios = ours.iter().zip(&python).map(|(ours, python)| ours / python).collect();
    report.figure("start to first published action, doom-agent", "s", ours);
    report.figure("start to first published action, python, nats-py", "s", python);
    report.figure("start to first published action, doom-agent / python", "", ratios);
    Ok(())
}
