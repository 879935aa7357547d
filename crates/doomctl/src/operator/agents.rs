//! `doomctl agents`: who is there, one line an agent.

use std::time::Duration;

use clap::Args;
use cli_common::{
    exit::{self, Failure},
    output::say,
    values,
};
use doom_bus::operator::{self, Member};
use doom_protocol::{HealthReply, Id};
use serde::Serialize;

use super::{
    failure, figures,
    table::{Side, Table},
};
use crate::{cli::Global, connection, output};

const NOTES: &str = "\
Agents are found as NATS micro services (`doom-agent`, with the id in the metadata), and those that may not register as such by the actions and
metrics that streams have of them; then they are asked for their health. What a stream says in their place is passed over. One that is no service
and of which no stream has anything is not found: `doomctl health ID` asks it.

    KILLS/MIN  of the last episode      DROPS     telemetry that did not fit       SPOOLED   records that no stream has yet
    RESTARTS   of the engine            captured  a stream answers in its place    silent    found, but it does not answer

With --json an array of {id, instance, health, captured_by}; `health` is the agent's own reply, or null.
Exit codes: 0, also where nobody is there.";

#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub(crate) struct Arguments {
    /// Only agents of this experiment
    #[arg(long, value_name = "ID")]
    experiment: Option<Id>,
    /// Only agents of this generation
    #[arg(long, value_name = "ID")]
    generation: Option<Id>,
    /// How long finding them may take, and asking them; both end earlier where all have answered
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::duration)]
    within: Duration,
}

/// One agent for machines.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a Id,
    instance: Option<&'a str>,
    health: Option<&'a HealthReply>,
    captured_by: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(member: &'a Member) -> Self {
        let Member { id, instance, health, captured_by } = member;
        Self { id, instance: instance.as_deref(), health: health.as_deref(), captured_by: captured_by.as_deref() }
    }
}

/// Prints the table.
///
/// # Errors
/// Those of the connection; 77 where the server does not permit to ask.
pub(crate) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    let link = connection::open(global).await?;
    let members = operator::survey(&link, &global.subject_root, arguments.within).await;
    link.close().await;
    let mut members = members.map_err(failure)?;
    members.retain(|member| belongs(member, arguments.experiment.as_ref(), arguments.generation.as_ref()));
    say_members(global, &members)?;
    Ok(exit::DONE)
}

/// The population on standard output, for people or for machines.
pub(super) fn say_members(global: &Global, members: &[Member]) -> Result<(), Failure> {
    if global.json {
        let lines: Vec<_> = members.iter().map(Line::of).collect();
        return output::say_json(&lines);
    }
    if members.is_empty() {
        output::complain("no agent answers");
    } else {
        say(&table(members));
    }
    Ok(())
}

/// Whether an agent is of an experiment and of a generation. One that does not answer is of none.
pub(super) fn belongs(member: &Member, experiment: Option<&Id>, generation: Option<&Id>) -> bool {
    let health = member.health.as_deref();
    let is = |wanted: Option<&Id>, has: fn(&HealthReply) -> Option<&str>| {
        wanted.is_none_or(|wanted| health.and_then(has).is_some_and(|has| has == wanted.as_str()))
    };
    is(experiment, |h| h.experiment_id.as_deref()) && is(generation, |h| h.generation_id.as_deref())
}

/// The population as text, with its sums below.
fn table(members: &[Member]) -> String {
    let mut table = Table::new(figures::COLUMNS.map(|(name, number)| (name, if number { Side::Right } else { Side::Left })));
    members.iter().for_each(|member| table.push(figures::row(member)));
    format!("{table}\n{}", figures::Sums::of(members).line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_anded_and_a_silent_agent_is_of_nothing() {
        let id = |text: &str| Some(text.parse::<Id>().unwrap());
        let mut member = figures::tests::member("A", "running", 1.0);
        member.health.as_mut().unwrap().experiment_id = Some("e".to_owned());
        member.health.as_mut().unwrap().generation_id = Some("g".to_owned());
        let is = |m: &Member, e: &Option<Id>, g: &Option<Id>| belongs(m, e.as_ref(), g.as_ref());
        assert!(is(&member, &None, &None) && is(&member, &id("e"), &None) && is(&member, &id("e"), &id("g")));
        assert!(!is(&member, &id("e"), &id("other")) && !is(&member, &id("other"), &None));
        member.health = None;
        assert!(is(&member, &None, &None) && !is(&member, &id("e"), &None));
    }
}
