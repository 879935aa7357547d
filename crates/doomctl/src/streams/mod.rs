//! `doomctl streams`: what a server has is shown, compared with what is declared, made so, and purged.

mod declared;
mod purge;
mod show;

use clap::{Args, Subcommand};
use cli_common::exit::{self, Failure};
use doom_bus::{
    ApiError, Link,
    streams::{Action, ApplyError, Losses, Plan, apply},
};
use serde_json::json;

use self::declared::Declared;
use crate::{cli::Global, connection, output};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the server's streams what is declared; says what it changes, then does it. A second time it changes nothing
    #[command(after_help = "What would lose messages (fewer subjects, less room, a shorter age, another storage) is refused as a whole \
without --force. A stream that takes health requests or commands is narrowed, whosever it is: it answers in the agents' place.")]
    Apply(Apply),
    /// Say what apply would change; exit code 1 where it would change anything
    Diff(Declared),
    /// List the server's streams, or show some of them whole
    Show(show::Arguments),
    /// Erase a stream's messages; asks first, and counts what went
    Purge(purge::Arguments),
}

#[derive(Debug, Args)]
struct Apply {
    #[command(flatten)]
    declared: Declared,
    /// Also do what loses messages
    #[arg(long)]
    force: bool,
}

/// Runs it.
///
/// # Errors
/// Exit codes 2, 65 (the file), 69 (no server, no JetStream), 77 (not permitted).
pub(crate) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Diff(declared) => diff(global, declared).await,
        Verb::Apply(arguments) => make(global, arguments).await,
        Verb::Show(arguments) => show::run(global, arguments).await,
        Verb::Purge(arguments) => purge::run(global, arguments).await,
    }
}

async fn diff(global: &Global, declared: &Declared) -> Result<i32, Failure> {
    let set = declared.set()?;
    let link = connection::open(global).await?;
    let plan = declared.plan(global, &set, &link).await?;
    link.close().await;
    if global.json {
        output::say_json(&plan)?;
    } else {
        cli_common::output::say(&declared::shown(&plan));
    }
    Ok(if plan.is_done() { exit::DONE } else { exit::NO })
}

async fn make(global: &Global, arguments: &Apply) -> Result<i32, Failure> {
    let set = arguments.declared.set()?;
    let link = connection::open(global).await?;
    let plan = arguments.declared.plan(global, &set, &link).await?;
    if !global.json {
        cli_common::output::say(&declared::shown(&plan));
    }
    let losses = if arguments.force { Losses::Allowed } else { Losses::Refused };
    let result = apply(&link, &plan, losses, |_| {}).await;
    if let Err(error) = result {
        return refuse(global, &plan, error);
    }
    confirm(global, arguments, &set, &link).await?;
    link.close().await;
    let changed = plan.steps.iter().filter(|s| s.action != Action::Nothing).count();
    if global.json {
        output::say_json(&json!({ "applied": true, "changed": changed, "plan": plan }))?;
    } else if changed > 0 {
        cli_common::output::say(&format!("done: {changed} of {} streams", plan.steps.len()));
    }
    Ok(exit::DONE)
}

/// The server has the last word on what it has made of it.
async fn confirm(global: &Global, arguments: &Apply, set: &doom_protocol::stream::StreamSet, link: &Link) -> Result<(), Failure> {
    let after = arguments.declared.plan_of_those_that_are(global, set, link).await?;
    if after.is_done() {
        return Ok(());
    }
    Err(Failure::new(exit::UNAVAILABLE, format!("the server took every change, and still has this:\n{}", declared::shown(&after))))
}

/// Nothing was done where something is blocked or lost; then the answer is no, and the reason why.
fn refuse(global: &Global, plan: &Plan, error: ApplyError) -> Result<i32, Failure> {
    let (code, hint) = match &error {
        ApplyError::Lossy(_) => (exit::NO, "; --force does it all the same"),
        ApplyError::Blocked(_) => (exit::UNAVAILABLE, ""),
        ApplyError::Step { source, .. } => (connection::code_of(source), "; the same command again goes on from there"),
    };
    if global.json {
        output::say_json(&json!({ "applied": false, "error": error.to_string(), "plan": plan }))?;
    }
    Err(Failure::new(code, format!("{error}{hint}")))
}

/// What a stream's refusal means for the exit code.
pub(crate) fn failure(error: &ApiError) -> Failure {
    Failure::new(connection::code_of(error), error)
}
