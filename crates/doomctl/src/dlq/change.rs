//! `doomctl dlq redrive` and `drop`.

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::{
    Link,
    dead_letters::{Letter, Redriven, drop_letter, redrive},
};
use serde_json::{Value, json};

use super::{Choice, next, open};
use crate::{
    ask::{consent, permitted},
    cli::Global,
    connection, output, streams,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// All dead letters; needed where nothing else chooses
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct DropArguments {
    #[command(flatten)]
    which: Arguments,
    /// Without asking
    #[arg(long)]
    yes: bool,
}

impl Arguments {
    fn check(&self) -> Result<(), Failure> {
        match (self.all, self.choice.is_all()) {
            (false, true) => Err(Failure::new(exit::USAGE, "say which dead letters: SEQ, --subject, --stream, --consumer, or --all")),
            (true, false) => Err(Failure::new(exit::USAGE, "--all and a choice contradict each other")),
            _ => Ok(()),
        }
    }
}

/// What was named and is not there is no success: the exit code where nothing at all was found.
fn nothing_found(choice: &Choice) -> i32 {
    if choice.names_letters() {
        output::complain("there is no such dead letter");
        return exit::NO;
    }
    exit::DONE
}

/// The letters, without their messages; what comes meanwhile is not among them.
async fn sequences(global: &Global, link: &Link, choice: &Choice) -> Result<Vec<u64>, Failure> {
    let mut letters = open(global, link, choice).await?;
    let mut all = Vec::new();
    while let Some(letter) = next(link, &mut letters).await? {
        all.push(letter.sequence);
    }
    Ok(all)
}

pub(super) async fn redrive_all(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    arguments.check()?;
    let link = connection::open(global).await?;
    let mut letters = open(global, &link, &arguments.choice).await?;
    let (mut given, mut stayed) = (0_u64, 0_u64);
    while let Some(letter) = next(&link, &mut letters).await? {
        let outcome = permitted(&link, redrive(&link, &letter)).await?.map_err(|e| streams::failure(&e))?;
        match outcome {
            Redriven::GivenBack { .. } => given += 1,
            Redriven::Gone | Redriven::Refused { .. } => stayed += 1,
        }
        say(global, &letter, &outcome)?;
    }
    link.close().await;
    if global.json {
        output::say_json(&json!({ "given_back": given, "stayed": stayed }))?;
    } else {
        cli_common::output::say(&format!("{given} given back, {stayed} not"));
    }
    match (given, stayed) {
        (0, 0) => Ok(nothing_found(&arguments.choice)),
        (_, 0) => Ok(exit::DONE),
        _ => Ok(exit::NO),
    }
}

fn say(global: &Global, letter: &Letter, outcome: &Redriven) -> Result<(), Failure> {
    if global.json {
        let mut value = serde_json::to_value(outcome).map_err(|e| Failure::new(exit::INTERNAL, e))?;
        value["sequence"] = Value::from(letter.sequence);
        value["subject"] = json!(letter.subject);
        return output::say_json(&value);
    }
    let subject = letter.subject.as_deref().unwrap_or_default();
    match outcome {
        Redriven::GivenBack { stream, stream_sequence } => {
            cli_common::output::say(&format!("{} → {subject} ({stream}/{stream_sequence})", letter.sequence));
        }
        Redriven::Gone => output::complain(format!("{}: its message is gone; the letter stays, drop erases it", letter.sequence)),
        Redriven::Refused { why } => output::complain(format!("{}: {why}; the letter stays", letter.sequence)),
    }
    Ok(())
}

pub(super) async fn drop_all(global: &Global, DropArguments { which, yes }: &DropArguments) -> Result<i32, Failure> {
    which.check()?;
    let link = connection::open(global).await?;
    let all = sequences(global, &link, &which.choice).await?;
    if !all.is_empty() && !consent(&format!("Erase {} dead letters for good?", all.len()), *yes)? {
        output::complain("nothing is erased");
        return Ok(exit::NO);
    }
    let mut dropped = 0_u64;
    for sequence in all {
        let gone = permitted(&link, drop_letter(&link, sequence)).await?.map_err(|e| streams::failure(&e))?;
        dropped += u64::from(gone);
    }
    link.close().await;
    if global.json {
        output::say_json(&json!({ "dropped": dropped }))?;
    } else {
        cli_common::output::say(&format!("{dropped} dead letters are erased"));
    }
    Ok(if dropped == 0 { nothing_found(&which.choice) } else { exit::DONE })
}
