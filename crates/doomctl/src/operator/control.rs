//! `doomctl pause|resume|shutdown`: tells agents what to do, and who confirmed it.

use std::{
    io::{BufRead, IsTerminal, Write},
    time::Duration,
};

use clap::{ArgGroup, Args};
use cli_common::{
    exit::{self, Failure},
    output::say,
    values,
};
use doom_bus::{
    Link,
    operator::{self, Order, Outcome, Target},
};
use doom_protocol::{
    Id,
    control::{ControlRequest, Verb},
};
use serde::Serialize;

use super::{agents::belongs, failure};
use crate::{cli::Global, connection, output};

const NOTES: &str = "\
Who is told:
    --agent A --agent B       these, each on its own subject, found or not
    --experiment E            the agents of an experiment, of a generation, or of both, by one broadcast; those found beforehand are
    --generation G            expected to confirm
    --all                     every agent below the subject root; asks first, or takes --yes

With --wait each outcome is a line on standard output: the agent, `confirmed` or what it says against it or `no answer`, its state and tic. With
--json it is one array of {agent, confirmed, state, tic, error}. An agent told to shut down confirms when it drains.

Exit codes: 0 all confirmed (without --wait: the server has it); 1 somebody did not, or nobody is there who fits; 2 command line;
77 the server does not permit it.";

/// The longest reason, in bytes; a body may have 64 KiB.
const LONGEST_REASON: usize = 4096;
/// How long finding them may take.
const FIND_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_long_help = NOTES, group = ArgGroup::new("who").required(true).multiple(true).args(["agent", "experiment", "generation", "all"]))]
pub(crate) struct Arguments {
    /// This agent; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with_all = ["experiment", "generation"])]
    agent: Vec<Id>,
    /// The agents of this experiment
    #[arg(long, value_name = "ID")]
    experiment: Option<Id>,
    /// The agents of this generation
    #[arg(long, value_name = "ID")]
    generation: Option<Id>,
    /// Every agent
    #[arg(long, conflicts_with_all = ["agent", "experiment", "generation"])]
    all: bool,
    /// Do not ask before telling all
    #[arg(long, short)]
    yes: bool,
    /// Wait until they confirm, at most so long (10s where nothing is said)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = values::duration)]
    wait: Option<Duration>,
    /// For the agents' logs
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
    /// The agents answer by then whether they have reached it; a shutdown has delivered what it owes by then
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    deadline: Option<Duration>,
}

fn reason(text: &str) -> Result<String, String> {
    match text.len() {
        0..=LONGEST_REASON => Ok(text.to_owned()),
        n => Err(format!("has {n} bytes; at most {LONGEST_REASON} are sent")),
    }
}

/// One agent's outcome for machines.
#[derive(Serialize)]
struct Line<'a> {
    agent: &'a str,
    confirmed: bool,
    state: Option<&'a str>,
    tic: Option<u32>,
    error: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let agent = outcome.agent();
        match outcome {
            Outcome::Replied(r) => Self { agent, confirmed: r.ok, state: Some(&r.state), tic: Some(r.tic), error: r.error.as_deref() },
            Outcome::Nobody(_) => Self { agent, confirmed: false, state: None, tic: None, error: Some("nobody listens under this id") },
            Outcome::Silent(_) => Self { agent, confirmed: false, state: None, tic: None, error: Some("no answer") },
        }
    }

    fn text(&self) -> String {
        let Self { agent, state, tic, .. } = self;
        let said = if self.confirmed { "confirmed" } else { self.error.unwrap_or("not confirmed") };
        match (state, tic) {
            (Some(state), Some(tic)) => format!("{agent}: {said} ({state}, tic {tic})"),
            _ => format!("{agent}: {said}"),
        }
    }
}

/// Tells, and with `--wait` reports.
///
/// # Errors
/// Exit code 2 where `--all` was not confirmed; those of the connection; 77 where the server does not permit it.
pub(crate) async fn run(global: &Global, verb: Verb, arguments: &Arguments) -> Result<i32, Failure> {
    let ask = arguments.all && !arguments.yes;
    if ask && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Failure::new(exit::USAGE, format!("{verb} --all asks first, and there is no terminal to ask on; add --yes")));
    }
    let link = connection::open(global).await?;
    let code = tell(global, verb, arguments, ask, &link).await;
    link.close().await;
    code
}

async fn tell(global: &Global, verb: Verb, arguments: &Arguments, ask: bool, link: &Link) -> Result<i32, Failure> {
    let target = match target(global, arguments, link).await? {
        Target::Broadcast { expected } if expected.is_empty() => {
            output::complain(format_args!("no agent answers that {}; nothing was sent", fitting(arguments)));
            return Ok(exit::NO);
        }
        target => target,
    };
    if let Target::Broadcast { expected } = &target
        && ask
        && !confirmed_by_operator(verb, expected)?
    {
        output::complain("nothing was sent");
        return Ok(exit::NO);
    }
    let order = Order { verb, target, request: request(verb, arguments) };
    let show = |outcome: &Outcome| {
        if !global.json {
            say(&Line::of(outcome).text());
        }
    };
    let outcomes = operator::command(link, &global.subject_root, &order, arguments.wait, show).await.map_err(failure)?;
    if arguments.wait.is_none() {
        return Ok(exit::DONE);
    }
    let unconfirmed: Vec<&str> = outcomes.iter().filter(|o| !o.is_confirmed()).map(Outcome::agent).collect();
    if global.json {
        output::say_json(&outcomes.iter().map(Line::of).collect::<Vec<_>>())?;
    }
    if unconfirmed.is_empty() {
        return Ok(exit::DONE);
    }
    output::complain(format_args!("{} of {} did not confirm {verb}: {}", unconfirmed.len(), outcomes.len(), unconfirmed.join(", ")));
    Ok(exit::NO)
}

/// What agents must be to fit, for a message.
fn fitting(arguments: &Arguments) -> String {
    match (&arguments.experiment, &arguments.generation) {
        (Some(e), Some(g)) => format!("is of experiment {e} and of generation {g}"),
        (Some(e), None) => format!("is of experiment {e}"),
        (None, Some(g)) => format!("is of generation {g}"),
        (None, None) => "could be told".to_owned(),
    }
}

/// Named agents as they are; for the rest, whoever is there and fits.
async fn target(global: &Global, arguments: &Arguments, link: &Link) -> Result<Target, Failure> {
    if !arguments.agent.is_empty() {
        let mut agents = arguments.agent.clone();
        agents.sort();
        agents.dedup();
        return Ok(Target::Agents(agents));
    }
    let members = operator::survey(link, &global.subject_root, FIND_WITHIN).await.map_err(failure)?;
    let fits = members.iter().filter(|m| belongs(m, arguments.experiment.as_ref(), arguments.generation.as_ref()));
    let mut expected: Vec<Id> = fits.map(|m| m.id.clone()).collect();
    expected.dedup();
    Ok(Target::Broadcast { expected })
}

fn request(verb: Verb, arguments: &Arguments) -> ControlRequest {
    // Without a deadline of ours an agent answers after half a minute at the latest: it had better say that it is not done yet than nothing.
    // A shutdown's deadline bounds what the agent may still deliver, and is the operator's alone to set.
    let before_we_go = |wait: Duration| wait.saturating_sub(Duration::from_millis(500).min(wait / 4));
    let deadline = arguments.deadline.or_else(|| arguments.wait.map(before_we_go).filter(|_| verb != Verb::Shutdown));
    ControlRequest {
        reason: arguments.reason.clone(),
        agents: None,
        experiment_id: arguments.experiment.as_ref().map(ToString::to_string),
        generation_id: arguments.generation.as_ref().map(ToString::to_string),
        deadline_ms: deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX).max(1)),
    }
}

/// Asks on the terminal; anything but yes is no.
fn confirmed_by_operator(verb: Verb, expected: &[Id]) -> Result<bool, Failure> {
    let broken = |e: std::io::Error| Failure::new(exit::INTERNAL, format!("the terminal cannot be asked: {e}; add --yes"));
    let named: Vec<&str> = expected.iter().take(8).map(Id::as_str).collect();
    let more = if expected.len() > named.len() { ", …" } else { "" };
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{verb} all {} agents ({}{more})? [y/N] ", expected.len(), named.join(", ")).map_err(broken)?;
    terminal.flush().map_err(broken)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(broken)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(std::iter::once("pause").chain(line.split_whitespace())).map(|l| l.arguments)
    }

    #[test]
    fn somebody_must_be_named_and_filters_must_not_contradict() {
        for good in ["--all", "--agent A --agent B", "--agent A,B", "--experiment e --generation g", "--generation g"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "--wait", "--all --agent A", "--all --experiment e", "--agent A --generation g", "--agent a.b", "--agent A --wait=0s"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let long = "x".repeat(LONGEST_REASON + 1);
        assert!(parse(&format!("--all --reason {long}")).is_err());
    }

    #[test]
    fn the_agents_answer_before_we_go_and_a_shutdown_has_its_own_time() {
        let request_of = |verb, line: &str| request(verb, &parse(line).unwrap()).deadline_ms;
        assert_eq!(request_of(Verb::Pause, "--all"), None);
        assert_eq!(request_of(Verb::Pause, "--all --wait"), Some(9_500));
        assert_eq!(request_of(Verb::Resume, "--all --wait=1s"), Some(750));
        assert_eq!(request_of(Verb::Shutdown, "--all --wait"), None);
        assert_eq!(request_of(Verb::Shutdown, "--all --wait --deadline 2s"), Some(2_000));
    }
}
