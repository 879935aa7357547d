//! `doomctl watch`: events as they come, one line each.

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::consume::{ConsumeError, Feed};
use doom_protocol::{EventKind, Reading};
use futures::future::try_join_all;

use crate::{
    cli::Global,
    connection,
    events::{
        self,
        selection::Selection,
        writer::{Chunk, Look, Writer},
    },
    output,
};

const AFTER: &str = "\
A durable watcher is remembered by the server under its name: what comes while nobody watches is shown by the next one of this name.
It acknowledges an event once its line is written, so after a crash the last lines may come again. Interrupt ends it.";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Let the server remember under this name how far we are
    #[arg(long, value_name = "NAME")]
    durable: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Shows events until it is interrupted.
///
/// # Errors
/// Exit code 2 for contradictory flags, 65 for a stream that is not there, 69 without server or JetStream, 77 without permission.
pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<i32, Failure> {
    let Arguments { selection, durable, count } = arguments;
    let sources = selection.sources(&global.subject_root, &[EventKind::Action], Reading::AsItHappened)?;
    let link = connection::open(global).await?;
    let mut feeds = Vec::new();
    for source in &sources {
        let mut consumer = source.consumer.clone();
        consumer.durable.clone_from(&durable);
        feeds.push(Feed::open(&link, consumer, source.condition.clone()).await.map_err(events::failure)?);
    }
    let conditions = sources.iter().map(|source| source.condition.clone()).collect();
    let look = Look { json: global.json, root: global.subject_root.clone(), conditions, most: count };
    let mut writer = Writer::start(look, true)?;
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
                if chunks.send(Chunk { events, source }).await.is_err() {
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
                    Some(chunk) if durable.is_some() => acknowledge(&chunk).await?,
                    Some(_) => {}
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
        if durable.is_some() {
            acknowledge(&chunk).await?;
        }
    }
    let written = writer.finish()?;
    link.close().await;
    ended.map_err(events::failure)?;
    output::complain(format_args!("{} events", written.events));
    Ok(exit::DONE)
}

async fn acknowledge(chunk: &Chunk) -> Result<(), Failure> {
    for delivered in &chunk.events {
        delivered.ack().await.map_err(events::failure)?;
    }
    Ok(())
}
