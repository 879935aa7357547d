//! `doomctl dlq`: messages that consumers gave up, shown, given back and dropped.

mod change;
mod show;

use clap::{Args, Subcommand};
use cli_common::exit::Failure;
use doom_bus::{
    Link,
    dead_letters::{Filter, Letter, Letters, Sequences},
};

use crate::{ask::permitted, cli::Global, streams};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List dead letters; with --json one a line
    List(Choice),
    /// Show dead letters whole: history, headers, content
    Show(Choice),
    /// Give messages back to the subject that they had, once each; a letter is erased after a stream has the message
    #[command(
        after_help = "Every consumer of that subject sees such a message a second time, under a Nats-Msg-Id of its own; its former one is \
in the header dead-letter-msg-id. Exit code 1 where a letter could not be given back (it stays), or where none of those named is there."
    )]
    Redrive(change::Arguments),
    /// Erase dead letters for good; asks first
    Drop(change::DropArguments),
}

/// Which letters; all that is given must fit.
#[derive(Debug, Args)]
struct Choice {
    /// Sequences in DEAD_LETTERS: 7 or 7-12
    #[arg(value_name = "SEQ")]
    sequences: Vec<Sequences>,
    /// The subject that the message had; wildcards are understood
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    subject: Option<String>,
    /// The stream that it was read from
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// The consumer that gave it up
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
}

fn subject(text: &str) -> Result<String, String> {
    doom_protocol::pattern::check(text).map(|()| text.to_owned())
}

impl Choice {
    fn is_all(&self) -> bool {
        self.filter() == Filter::default()
    }

    /// Whether it names letters by their sequences, which are expected to be there.
    fn names_letters(&self) -> bool {
        !self.sequences.is_empty()
    }

    fn filter(&self) -> Filter {
        let Self { sequences, subject, stream, consumer } = self;
        Filter { sequences: sequences.clone(), subject: subject.clone(), stream: stream.clone(), consumer: consumer.clone() }
    }
}

/// Runs it.
///
/// # Errors
/// Exit codes 2, 65 (no stream of dead letters), 69, 77.
pub(crate) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::List(choice) => show::list(global, choice).await,
        Verb::Show(choice) => show::whole(global, choice).await,
        Verb::Redrive(arguments) => change::redrive_all(global, arguments).await,
        Verb::Drop(arguments) => change::drop_all(global, arguments).await,
    }
}

async fn open(global: &Global, link: &Link, choice: &Choice) -> Result<Letters, Failure> {
    let opened = permitted(link, Letters::open(link, &global.subject_root, choice.filter())).await?;
    opened.map_err(|e| streams::failure(&e))
}

async fn next(link: &Link, letters: &mut Letters) -> Result<Option<Letter>, Failure> {
    permitted(link, letters.next()).await?.map_err(|e| streams::failure(&e))
}
