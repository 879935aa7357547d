//! `doomctl watch`: events as they come, one line each.

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::{
    consume::{ConsumeError, Feed},
    dead_letters::{DeadLetters, Fate},
};
use doom_protocol::{EventKind, Reading};
use futures::future::try_join_all;

use crate::{
    cli::Global,
    connection,
    events::{self, display::Display, writer::Chunk},
    output,
};

const AFTER: &str = "\
A durable watcher is remembered by the server under its name: what comes while nobody watches is shown by the next one of this name.
It acknowledges an event once its line is written, so after a crash the last lines may come again. A message that is no event becomes a dead letter
(doomctl dlq) and does not come again. Interrupt ends it.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    display: Display,
    /// Let the server remember under this name how far we are
    #[arg(long, value_name = "NAME")]
    durable: Option<String>,
}

/// Shows events until it is interrupted.
///
/// # Errors
/// Exit code 2 for contradictory flags, 65 for a stream that is not there, 69 without server or JetStream, 77 without permission.
pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<i32, Failure> {
    let Arguments { display, durable } = arguments;
    let sources = display.selection.sources(&global.subject_root, &[EventKind::Action], Reading::AsItHappened)?;
    let link = connection::open(global).await?;
    let mut feeds = Vec::new();
    for source in &sources {
        let mut consumer = source.consumer.clone();
        consumer.durable.clone_from(&durable);
        feeds.push(Feed::open(&link, consumer, source.condition.clone()).await.map_err(events::failure)?);
    }
    let conditions = sources.iter().map(|source| source.condition.clone()).collect();
    let letters = durable.is_some().then(|| DeadLetters::new(link.client().clone(), global.subject_root.clone()));
    let mut writer = display.start(global, conditions, true)?;
    output::complain(format_args!("watching; interrupt ends it"));
    let readers = feeds.into_iter().enumerate().map(|(source, mut feed)| {
        let chunks = writer.chunks();
        async move {
            loop {
                let events = tokio::select! {
                    events = feed.chunk() => events?,
                    // The writer has had enough.
                    () = chunks.closed() => break,
                };
                if chunks.send(Chunk::new(events, source)).await.is_err() {
                    break;
                }
            }
            feed.close().await;
            Ok::<(), ConsumeError>(())
        }
    });
    let ended = {
        let mut readers = std::pin::pin!(try_join_all(readers.collect::<Vec<_>>()));
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                chunk = writer.written.recv() => match chunk {
                    Some(chunk) => settle(letters.as_ref(), &chunk).await?,
                    // It has had enough, or nobody reads what it writes: the readers end by themselves.
                    None => break readers.await.map(drop),
                },
                end = &mut readers => break end.map(drop),
                _ = &mut interrupt => break Ok(()),
            }
        }
    };
    // What is written already is acknowledged; nobody is waited for.
    while let Ok(chunk) = writer.written.try_recv() {
        settle(letters.as_ref(), &chunk).await?;
    }
    let written = writer.finish()?;
    link.close().await;
    ended.map_err(events::failure)?;
    written.say();
    Ok(exit::DONE)
}

/// Answers for what is written: an event is acknowledged, what is none becomes a dead letter. Without a durable name nothing is answered.
async fn settle(letters: Option<&DeadLetters>, chunk: &Chunk) -> Result<(), Failure> {
    let Some(letters) = letters else { return Ok(()) };
    let mut broken = chunk.broken.iter().peekable();
    for (place, delivered) in chunk.events.iter().enumerate() {
        let Some((_, why)) = broken.next_if(|(broken, _)| *broken == place) else {
            delivered.ack().await.map_err(events::failure)?;
            continue;
        };
        let fate = letters.bury(delivered.message(), why).await;
        let what = match fate.map_err(|e| Failure::new(exit::UNAVAILABLE, e))? {
            Fate::Buried { sequence, .. } => format!("dead letter {sequence}"),
            Fate::Later { after, why } => format!("it comes again in {} s: {why}", after.as_secs()),
            Fate::Done(()) => continue,
        };
        let sequence = delivered.info().map_err(events::failure)?.sequence;
        output::complain(format_args!("{} sequence {sequence} is no event ({why}); {what}", delivered.subject()));
    }
    Ok(())
}
