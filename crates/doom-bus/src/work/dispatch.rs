//! Evaluations given to the work queue, and their results collected. Goes on where an earlier dispatcher stopped: what has its result is
//! not sent, what still waits in the queue is not sent again.

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::{self, context::PublishErrorKind, message::PublishMessage};
use doom_protocol::{
    Codec, Envelope, Instance, SubjectRoot, Timestamp, header,
    payload::{EvaluationEpisode, EvaluationProgress, EvaluationRequest, EvaluationResult, EvaluationStatus},
};
use futures::{StreamExt, stream};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior};

use super::{ACK_WAIT, Recorded, StoreError, open_queue};
use crate::Link;

/// The stream is asked for results that were missed this often.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A queue that nobody has taken anything from for this long has no workers.
const NOBODY_AFTER: Duration = Duration::from_secs(6);
/// An evaluation that a worker found too late is sent again, with the new deadline, this often.
const RENEWALS: u32 = 3;
/// Looks, 50 ms apart, until an evaluation that is answered has left the queue.
const LEAVES_WITHIN: u32 = 100;
/// Evaluations that are sent, or looked up, at once.
const AT_ONCE: usize = 16;

/// What a dispatcher tells while it works.
#[derive(Debug, Clone)]
pub enum DispatchEvent {
    /// So many had their result already; so many waited in the queue; so many were sent.
    Sent {
        /// Have their result.
        done: usize,
        /// Were waiting, or being played, already.
        waiting: usize,
        /// Were sent now.
        sent: usize,
    },
    /// How far a worker is.
    Progress(EvaluationProgress),
    /// One is answered, or was found answered.
    Result(Box<EvaluationResult>),
    /// No worker takes anything.
    NoWorkers,
}

/// What became of evaluations, in the order in which they were given.
#[derive(Debug, Clone)]
pub struct Dispatched {
    /// `None`: no answer in time.
    pub results: Vec<Option<EvaluationResult>>,
    /// Every recorded episode of each.
    pub episodes: Vec<Vec<EvaluationEpisode<'static>>>,
}

/// One evaluation on its way.
struct Open {
    index: usize,
    /// Results up to this sequence are of earlier tries.
    seen: u64,
    renewals: u32,
}

/// Sends evaluations to the work queue and waits for their results until `until`.
///
/// # Errors
/// [`StoreError`] for what can be known before anything is sent, and where the server refuses an evaluation.
pub async fn dispatch(
    link: &Link,
    root: &SubjectRoot,
    requests: &[EvaluationRequest],
    until: Instant,
    mut tell: impl FnMut(DispatchEvent),
) -> Result<Dispatched, StoreError> {
    let recorded = Recorded::open(link, root).await?;
    let refused = |problem: String| StoreError::Server { what: "the work queue".to_owned(), problem };
    let mut queue = open_queue(link, root, ACK_WAIT).await.map_err(refused)?;
    // Heard before anything is sent, so that nothing is missed; what is missed all the same is looked up.
    let mut results = link.client().subscribe(root.evaluations_all("result")).await.map_err(|e| refused(e.to_string()))?;
    let mut progress = link.client().subscribe(root.evaluations_all("progress")).await.map_err(|e| refused(e.to_string()))?;
    let mut dispatched = Dispatched { results: vec![None; requests.len()], episodes: vec![Vec::new(); requests.len()] };
    let mut open: HashMap<(String, String), Open> = HashMap::new();

    let first = stream::iter(requests.iter().enumerate()).map(|(index, request)| {
        let recorded = &recorded;
        async move {
            let found = recorded.result(&request.generation_id, &request.evaluation_id).await?;
            let seen = found.as_ref().map_or(0, |(sequence, _)| *sequence);
            match found {
                Some((_, result)) if result.ok && result.episodes_total == request.episodes() => Ok((index, seen, Some(result), false)),
                _ => Ok::<_, StoreError>((index, seen, None, send(link, root, request).await?)),
            }
        }
    });
    let mut first = first.buffer_unordered(AT_ONCE);
    let (mut done, mut waiting, mut sent) = (0, 0, 0);
    while let Some(looked) = first.next().await {
        let (index, seen, result, was_sent) = looked?;
        match result {
            Some(result) => {
                done += 1;
                tell(DispatchEvent::Result(Box::new(result.clone())));
                dispatched.results[index] = Some(result);
            }
            None => {
                *(if was_sent { &mut sent } else { &mut waiting }) += 1;
                open.insert(key(&requests[index]), Open { index, seen, renewals: 0 });
            }
        }
    }
    drop(first);
    tell(DispatchEvent::Sent { done, waiting, sent });

    let mut look = tokio::time::interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut said_nobody = false;
    while !open.is_empty() {
        tokio::select! {
            () = tokio::time::sleep_until(until) => break,
            Some(message) = progress.next() => if let Some(p) = payload::<EvaluationProgress>(&message)
                && open.contains_key(&(p.generation_id.to_string(), p.evaluation_id.to_string()))
            {
                heard = Instant::now();
                tell(DispatchEvent::Progress(p));
            },
            Some(message) = results.next() => if let Some(result) = payload::<EvaluationResult>(&message) {
                heard = Instant::now();
                settle(link, &recorded, root, requests, &mut open, &mut dispatched, result, until, &mut tell).await?;
            },
            _ = look.tick() => {
                for (index, seen) in open.values().map(|o| (o.index, o.seen)).collect::<Vec<_>>() {
                    let request = &requests[index];
                    // An answer that is late is no reason to end: the next look has it.
                    if let Ok(Some((sequence, result))) = recorded.result(&request.generation_id, &request.evaluation_id).await
                        && sequence > seen
                    {
                        settle(link, &recorded, root, requests, &mut open, &mut dispatched, result, until, &mut tell).await?;
                    }
                }
                if heard.elapsed() > NOBODY_AFTER
                    && let Ok(info) = queue.info().await
                    && info.num_waiting == 0 && info.num_ack_pending == 0
                    && !std::mem::replace(&mut said_nobody, true)
                {
                    tell(DispatchEvent::NoWorkers);
                }
            }
        }
    }
    for (index, request) in requests.iter().enumerate() {
        let told = dispatched.results[index].as_mut().map(|r| std::mem::take(&mut r.scores)).unwrap_or_default();
        let completed = dispatched.results[index].as_ref().map_or(u64::MAX, |r| r.episodes_completed);
        dispatched.episodes[index] = if told.len() as u64 == completed {
            told
        } else {
            recorded.episodes(&request.generation_id, &request.evaluation_id).await?.into_values().collect()
        };
    }
    Ok(dispatched)
}

fn key(request: &EvaluationRequest) -> (String, String) {
    (request.generation_id.to_string(), request.evaluation_id.to_string())
}

#[expect(clippy::too_many_arguments, reason = "what one dispatcher holds, each named once")]
async fn settle(
    link: &Link,
    recorded: &Recorded,
    root: &SubjectRoot,
    requests: &[EvaluationRequest],
    open: &mut HashMap<(String, String), Open>,
    dispatched: &mut Dispatched,
    result: EvaluationResult,
    until: Instant,
    tell: &mut impl FnMut(DispatchEvent),
) -> Result<(), StoreError> {
    let (Some(generation), Some(evaluation)) = (&result.generation_id, &result.evaluation_id) else { return Ok(()) };
    let key = (generation.to_string(), evaluation.to_string());
    let Some(entry) = open.get_mut(&key) else { return Ok(()) };
    // It may have waited since a dispatcher whose time was shorter.
    if result.status == EvaluationStatus::Deadline && Instant::now() < until && entry.renewals < RENEWALS {
        let request = &requests[entry.index];
        entry.renewals += 1;
        entry.seen = recorded.result(&request.generation_id, &request.evaluation_id).await?.map_or(entry.seen, |(sequence, _)| sequence);
        // It leaves the queue a moment after its result is stored.
        for _ in 0..LEAVES_WITHIN {
            if send(link, root, request).await? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        return Ok(());
    }
    tell(DispatchEvent::Result(Box::new(result.clone())));
    dispatched.results[entry.index] = Some(result);
    open.remove(&key);
    Ok(())
}

/// Puts one into the queue; `false` where it waits there already.
async fn send(link: &Link, root: &SubjectRoot, request: &EvaluationRequest) -> Result<bool, StoreError> {
    let subject = root.queued(&request.generation_id, &request.evaluation_id);
    let refused = |problem: String| StoreError::Server { what: subject.clone(), problem };
    let mut bytes = Vec::with_capacity(1024);
    let at = Timestamp::now();
    let envelope = Envelope::new(request.clone(), Instance::new().trace(0), at);
    Codec::Json.encode(&envelope, &mut bytes).map_err(|e| refused(e.to_string()))?;
    let context = jetstream::new(link.client().clone());
    let mut tries = 0;
    loop {
        let message = PublishMessage::build()
            .header(header::CONTENT_TYPE, Codec::Json.content_type())
            .header(header::TIMESTAMP, at.to_string())
            // Nothing of it may be waiting.
            .expected_last_subject_sequence(0)
            .payload(bytes.clone().into());
        let acknowledged = match context.send_publish(subject.clone(), message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(_) => return Ok(true),
            Err(e) if e.kind() == PublishErrorKind::WrongLastSequence => return Ok(false),
            Err(e) if tries >= 5 => return Err(refused(e.to_string())),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(200 << tries)).await;
            }
        }
    }
}

pub(super) fn payload<T: DeserializeOwned>(message: &async_nats::Message) -> Option<T> {
    let headers = message.headers.as_ref();
    let codec = Codec::of_content_type(headers.and_then(|h| h.get(header::CONTENT_TYPE)).map(|v| v.as_str()));
    codec.decode::<Envelope<'_, T>>(&message.payload).ok().map(|e| e.payload)
}
