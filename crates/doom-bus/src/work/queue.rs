//! The work queue itself: its stream and its consumer.

use std::time::Duration;

use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, PullConsumer, pull},
    stream,
};
use doom_protocol::{Id, SubjectRoot};

use super::{DELIVERIES_OF_THE_SERVER, QUEUE_STREAM, WORKERS};
use crate::{ApiError, Link, find_stream};

/// What waits for longer than this is nobody's any more.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// The consumer of the work queue. Makes what is missing; what is there stays as it is.
///
/// # Errors
/// What the server says, with what to do.
pub async fn open_queue(link: &Link, root: &SubjectRoot, ack_wait: Duration) -> Result<PullConsumer, String> {
    let context = jetstream::new(link.client().clone());
    let name = match find_stream(link, &root.queued_all()).await {
        Ok(Some(name)) => name,
        Ok(None) => make(&context, root).await?,
        Err(ApiError::NoJetStream) => return Err(format!("{}; without it there is no work queue", ApiError::NoJetStream)),
        Err(error) => return Err(format!("the stream of {} cannot be asked for: {error}", root.queued_all())),
    };
    let stream = context.get_stream_no_info(&name).await.map_err(|e| format!("stream {name}: {e}"))?;
    if let Ok(consumer) = stream.get_consumer::<pull::Config>(WORKERS).await {
        return Ok(consumer);
    }
    let config = pull::Config {
        durable_name: Some(WORKERS.to_owned()),
        description: Some("workers that play evaluations".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_deliver: DELIVERIES_OF_THE_SERVER,
        ..Default::default()
    };
    match stream.create_consumer(config).await {
        Ok(consumer) => Ok(consumer),
        // Another one may have been faster.
        Err(error) => stream.get_consumer(WORKERS).await.map_err(|_| format!("consumer {WORKERS} of stream {name}: {error}")),
    }
}

async fn make(context: &Context, root: &SubjectRoot) -> Result<String, String> {
    let config = stream::Config {
        name: QUEUE_STREAM.to_owned(),
        description: Some("evaluations that wait for a worker".to_owned()),
        subjects: vec![root.queued_all()],
        retention: stream::RetentionPolicy::WorkQueue,
        max_age: KEPT,
        allow_direct: true,
        ..Default::default()
    };
    let made = context.get_or_create_stream(config).await;
    made.map(|stream| stream.cached_info().config.name.clone())
        .map_err(|e| format!("stream {QUEUE_STREAM} over {}: {e}; make it with doomctl streams apply", root.queued_all()))
}

/// Takes evaluations of a generation out of the queue (one, or all of them), whether or not a worker has them; how many there were.
///
/// # Errors
/// What the server says.
pub async fn purge_queued(link: &Link, root: &SubjectRoot, generation: &Id, evaluation: &Id) -> Result<u64, String> {
    let context = jetstream::new(link.client().clone());
    let Ok(Some(name)) = find_stream(link, &root.queued_all()).await else { return Ok(0) };
    let stream = context.get_stream_no_info(&name).await.map_err(|e| e.to_string())?;
    let purged = stream.purge().filter(root.queued(generation, evaluation)).await.map_err(|e| e.to_string())?;
    Ok(purged.purged)
}
