//! `doomctl health ID`: how one agent is, in its own words.

use std::time::Duration;

use clap::Args;
use cli_common::{
    exit::{self, Failure},
    output::say,
    values,
};
use doom_bus::operator::{self, Reply};
use doom_protocol::{HealthReply, Id, Subjects};

use super::{
    failure,
    figures::{NOTHING, count, number},
    table::{Side, Table},
};
use crate::{cli::Global, connection, output};

#[derive(Debug, Args)]
#[command(after_long_help = "With --json the agent's own reply. Exit codes: 0 healthy; 1 not healthy, or no answer.")]
pub(crate) struct Arguments {
    /// The agent
    id: Id,
    /// How long its answer is waited for
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration)]
    within: Duration,
}

/// Prints the reply.
///
/// # Errors
/// Those of the connection; 77 where the server does not permit to ask.
pub(crate) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    let Arguments { id, within } = arguments;
    let link = connection::open(global).await?;
    let reply = operator::health(&link, &global.subject_root, std::slice::from_ref(id), *within).await;
    link.close().await;
    let subject = Subjects::new(&global.subject_root, id).health;
    match reply.map_err(failure)?.pop() {
        Some(Reply::Health(health)) => {
            if global.json {
                output::say_json(&health)?;
            } else {
                say(&text(&health));
            }
            return Ok(if health.healthy { exit::DONE } else { exit::NO });
        }
        Some(Reply::Nobody) | None => {
            output::complain(format_args!("no agent {id}: nobody listens on {subject}; `doomctl agents` lists those that are there"))
        }
        Some(Reply::Silent { captured_by: None }) => {
            output::complain(format_args!("agent {id} does not answer on {subject} within {within:?}"))
        }
        Some(Reply::Silent { captured_by: Some(stream) }) => output::complain(format_args!(
            "agent {id} does not answer within {within:?}; the stream {stream} captures {subject}, `doomctl streams diff` shows how it is mended"
        )),
    }
    Ok(exit::NO)
}

fn text(health: &HealthReply) -> String {
    let nothing = || NOTHING.to_owned();
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(nothing);
    let mut table = Table::new([("AGENT", Side::Left), (" ", Side::Left)]);
    let mut line = |name: &str, value: String| table.push([name.to_owned(), value]);
    line("id", health.agent_id.clone());
    line("instance", health.instance.to_string());
    line("healthy", if health.healthy { "yes" } else { "NO" }.to_owned());
    line("state", health.state.clone());
    line("up", format!("{:.0?}", Duration::from_secs(Duration::from_nanos(health.uptime).as_secs())));
    line("game", format!("{} on {}, version {}", health.scenario, health.backend, health.version));
    line("experiment", or_nothing(&health.experiment_id));
    line("run", health.run_id.map_or_else(nothing, |n| n.to_string()));
    line("generation", or_nothing(&health.generation_id));
    line("evaluation", or_nothing(&health.evaluation_id));
    line("episode", health.episode_id.as_ref().map_or_else(nothing, |id| format!("{id}, tic {}", health.tic)));
    line("episodes completed", count(health.episodes_completed));
    line("steps/s", number(health.steps_per_second));
    line("seconds since step", health.seconds_since_step.map_or_else(nothing, number));
    line("kills/min", health.kill_rate.map_or_else(nothing, number));
    line("engine", health.engine.pid.map_or_else(|| "no process".to_owned(), |pid| format!("pid {pid}")));
    line("engine restarts", health.engine.restarts.to_string());
    line("NATS", format!("{}, {} reconnects", health.nats.state, health.nats.reconnects));
    let ledger = health.ledger;
    line(
        "events",
        format!(
            "{} produced, {} dropped, {} unconfirmed, {} stored",
            count(ledger.produced),
            count(ledger.dropped),
            count(ledger.unconfirmed),
            count(ledger.stored)
        ),
    );
    let records = health.records;
    let durable = if records.durable == Some(false) { ", in memory alone" } else { "" };
    let aside = if records.aside > 0 { format!(", {} too large", count(records.aside)) } else { String::new() };
    line("records", format!("{} spooled, {} lost{aside}{durable}", count(records.spooled), count(records.lost)));
    // The heading is for tables of many; here every line says its name.
    table.to_string().split_once('\n').map_or_else(String::new, |(_, lines)| lines.to_owned())
}
