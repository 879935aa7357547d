//! Evaluations asked of the queue group: each goes to one idle worker, and its reply is the result. Nothing waits at the server; who asks
//! holds what has no worker yet, and asks again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{Request, RequestErrorKind};
use doom_protocol::{
    Codec, Envelope, Id, Instance, SubjectRoot, Timestamp,
    payload::{EvaluationProgress, EvaluationRequest, EvaluationResult, EvaluationStatus},
};
use futures::{FutureExt, StreamExt, future::select_all, stream};
use rand::Rng;
use tokio::{sync::mpsc, time::Instant};

use super::{DELIVERIES, DispatchEvent, Dispatched, Recorded, StoreError, dispatch::payload};
use crate::{ApiError, Link};

/// Evaluations that look for a worker, or are played, at once.
const AT_ONCE: usize = 64;
/// A worker tells its progress every second; one that is silent for this long is gone.
const SILENT_FOR: Duration = Duration::from_secs(20);
/// Where nobody is idle for this long at the start, that is told.
const NOBODY_AFTER: Duration = Duration::from_secs(6);

type Heard = Arc<Mutex<HashMap<String, Instant>>>;

/// Asks for every evaluation until it has its answer or `until` has passed.
///
/// # Errors
/// [`StoreError`], where the client refuses, the server does not permit to ask, or recorded episodes cannot be read.
pub async fn ask_workers(
    link: &Link,
    root: &SubjectRoot,
    requests: &[EvaluationRequest],
    until: Instant,
    mut tell: impl FnMut(DispatchEvent),
) -> Result<Dispatched, StoreError> {
    let refused = |problem: String| StoreError::Server { what: "the queue group".to_owned(), problem };
    let mut forbidden = std::pin::pin!(forbidden(link, root, requests));
    let mut progress = link.client().subscribe(root.evaluations_all("progress")).await.map_err(|e| refused(e.to_string()))?;
    let heard: Heard = Heard::default();
    let (events_in, mut events) = mpsc::unbounded_channel();
    let asked = stream::iter(requests.iter().enumerate()).map(|(index, request)| {
        let (heard, events) = (Arc::clone(&heard), events_in.clone());
        async move {
            let result = one(link, root, request, until, &heard).await;
            if let Some(result) = &result {
                // The receiver lives as long as this stream.
                let _ = events.send(DispatchEvent::Result(Box::new(result.clone())));
            }
            (index, result)
        }
    });
    tell(DispatchEvent::Sent { done: 0, waiting: 0, sent: requests.len() });
    let mut asked = asked.buffer_unordered(AT_ONCE);
    let mut dispatched = Dispatched { results: vec![None; requests.len()], episodes: vec![Vec::new(); requests.len()] };
    let nobody = tokio::time::sleep(NOBODY_AFTER);
    tokio::pin!(nobody);
    let mut somebody = false;
    loop {
        tokio::select! {
            error = &mut forbidden => return Err(error.into()),
            Some(event) = events.recv() => {
                somebody = true;
                tell(event);
            }
            Some(message) = progress.next() => if let Some(p) = payload::<EvaluationProgress>(&message) {
                somebody = true;
                heard.lock().unwrap_or_else(PoisonError::into_inner).insert(p.evaluation_id.to_string(), Instant::now());
                tell(DispatchEvent::Progress(p));
            },
            () = &mut nobody, if !somebody => {
                somebody = true;
                tell(DispatchEvent::NoWorkers);
            }
            answered = asked.next() => match answered {
                Some((index, result)) => dispatched.results[index] = result,
                None => break,
            },
        }
    }
    drop(asked);
    while let Ok(event) = events.try_recv() {
        tell(event);
    }
    let recorded = Recorded::open(link, root).await.ok();
    for (index, request) in requests.iter().enumerate() {
        let told = dispatched.results[index].as_mut().map(|r| std::mem::take(&mut r.scores)).unwrap_or_default();
        let completed = dispatched.results[index].as_ref().map_or(u64::MAX, |r| r.episodes_completed);
        dispatched.episodes[index] = match &recorded {
            Some(recorded) if told.len() as u64 != completed => {
                recorded.episodes(&request.generation_id, &request.evaluation_id).await?.into_values().collect()
            }
            _ => told,
        };
    }
    Ok(dispatched)
}

/// Completes when the server says that we may not ask, or not hear the answers.
fn forbidden(link: &Link, root: &SubjectRoot, requests: &[EvaluationRequest]) -> impl Future<Output = ApiError> + use<> {
    let generations: BTreeSet<&Id> = requests.iter().map(|request| &request.generation_id).collect();
    let asked = generations.into_iter().map(|generation| root.evaluate(generation));
    let subjects = asked.chain([root.evaluations_all("progress"), "_INBOX.".to_owned()]);
    let refusals = subjects.map(|subject| Box::pin(link.refused(&subject).map(|said| ApiError::NoPermission { subject, said })));
    // Of what is said from now on, whenever this is asked for the first time.
    select_all(refusals.collect::<Vec<_>>()).map(|(error, ..)| error)
}

async fn one(link: &Link, root: &SubjectRoot, request: &EvaluationRequest, until: Instant, heard: &Heard) -> Option<EvaluationResult> {
    let mut bytes = Vec::with_capacity(1024);
    let envelope = Envelope::new(request.clone(), Instance::new().trace(0), Timestamp::now());
    Codec::Json.encode(&envelope, &mut bytes).ok()?;
    let bytes = bytes::Bytes::from(bytes);
    let evaluation = request.evaluation_id.as_str();
    let mut failures = 0;
    while Instant::now() < until {
        heard.lock().unwrap_or_else(PoisonError::into_inner).insert(evaluation.to_owned(), Instant::now());
        let ask = Request::new().payload(bytes.clone()).timeout(Some(until.saturating_duration_since(Instant::now())));
        let answer = tokio::select! {
            answer = link.client().send_request(root.evaluate(&request.generation_id), ask) => Some(answer),
            () = silence(heard, evaluation) => None,
        };
        match answer {
            Some(Ok(message)) => match serde_json::from_slice::<EvaluationResult>(&message.payload) {
                Ok(result) if result.status == EvaluationStatus::Busy => {}
                Ok(result) if result.status == EvaluationStatus::Failed && failures + 1 < DELIVERIES => {
                    failures += 1;
                    tokio::time::sleep(Duration::from_secs(1 << failures.min(4))).await;
                }
                Ok(result) => return Some(result),
                // An acknowledgement of a stream that captures requests; the answer would be lost. See the trap in docs/WIRE.md.
                Err(error) => tracing::warn!(%error, evaluation, "an answer that is none; does a stream capture generation.*.evaluate?"),
            },
            Some(Err(error)) if error.kind() == RequestErrorKind::TimedOut => return None,
            // Nobody is idle, or the connection broke.
            Some(Err(_)) | None => {}
        }
        let pause = Duration::from_millis(rand::rng().random_range(100..300));
        tokio::time::sleep_until((Instant::now() + pause).min(until)).await;
    }
    None
}

/// Completes when nothing has been heard of an evaluation for too long.
async fn silence(heard: &Heard, evaluation: &str) {
    loop {
        let last = heard.lock().unwrap_or_else(PoisonError::into_inner).get(evaluation).copied().unwrap_or_else(Instant::now);
        let at = last + SILENT_FOR;
        if at <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(at).await;
    }
}
