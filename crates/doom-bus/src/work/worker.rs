//! A worker: takes evaluations one at a time, has them played, and answers for them.

use std::{collections::BTreeMap, time::Duration};

use async_nats::{
    Message, Subscriber,
    jetstream::{self, AckKind, consumer::PullConsumer},
};
use doom_protocol::{
    Id, Instance, SubjectRoot, Timestamp,
    payload::{EvaluationEpisode, EvaluationProgress, EvaluationRequest, EvaluationResult, EvaluationStatus},
};
use futures::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

use super::{ACK_WAIT, Announcer, DELIVERIES, Gate, PlayEnd, Player, Recorded, StoreError, WORKERS, open_queue};
use crate::{ApiError, Link, LinkState, dead_letters::DeadLetters};

/// A pull request waits this long at the server; then the next one is made.
const PULL_FOR: Duration = Duration::from_secs(5);
/// Between two looks for a queue that is not there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Progress is told this often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Episodes that are played are stored within this time, or the evaluation is answered all the same.
const STORED_WITHIN: Duration = Duration::from_secs(5);
/// The last episode's score is told within this time of the end.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub struct Worker<P> {
    link: Link,
    root: SubjectRoot,
    agent: Id,
    instance: Instance,
    announcer: Announcer,
    player: P,
    gate: watch::Receiver<Gate>,
    /// What an evaluation must be silent for before another worker has it.
    ack_wait: Duration,
    said_why: bool,
}

enum Taken {
    Asked(Message),
    Queued(Box<jetstream::Message>),
    Nothing,
}

/// What playing came to.
enum Outcome {
    Answer(Box<EvaluationResult>),
    /// Try again, here or elsewhere.
    Fault(String),
    /// The agent ends; somebody else is to play on.
    Stopping,
    /// Another worker has had it since.
    Lost,
}

/// What is being worked on.
struct Task<'a> {
    request: &'a EvaluationRequest,
    delivery: u64,
    started: Instant,
    /// Of the work queue.
    message: Option<&'a jetstream::Message>,
}

impl<P: Player> Worker<P> {
    /// A worker that has not begun.
    pub fn new(link: Link, root: SubjectRoot, agent: Id, instance: Instance, player: P) -> Self {
        let announcer = Announcer::new(link.clone(), agent.as_str(), instance);
        let gate = player.gate();
        Self { link, root, agent, instance, announcer, player, gate, ack_wait: ACK_WAIT, said_why: false }
    }

    /// Works until the gate says that the agent ends.
    pub async fn run(mut self) {
        loop {
            match self.gate.wait_for(|g| *g != Gate::Shut).await {
                Ok(gate) if *gate == Gate::Open => {}
                _ => return,
            }
            let mut gate = self.gate.clone();
            let taken = tokio::select! {
                taken = self.take() => taken,
                _ = gate.wait_for(|g| *g == Gate::Ended) => return,
            };
            match taken {
                Taken::Asked(message) => self.answer(message).await,
                Taken::Queued(message) => self.work(*message).await,
                Taken::Nothing => {}
            }
        }
    }

    /// Waits for an evaluation, of whichever kind comes first. The subscription lives only as long as the worker is idle.
    async fn take(&mut self) -> Taken {
        self.link.connected().await;
        let group = self.link.client().queue_subscribe(self.root.evaluate_all(), WORKERS.to_owned()).await;
        let mut group = match group {
            Ok(group) => group,
            Err(error) => {
                tracing::warn!(%error, "the client refuses the subscription of the queue group");
                tokio::time::sleep(LOOK_AGAIN).await;
                return Taken::Nothing;
            }
        };
        let taken = loop {
            tokio::select! {
                asked = group.next() => break asked.map_or(Taken::Nothing, Taken::Asked),
                pulled = self.pull() => match pulled {
                    Some(message) => break Taken::Queued(Box::new(message)),
                    None if *self.gate.borrow() != Gate::Open => break Taken::Nothing,
                    None => {}
                },
            }
        };
        self.leave(group).await;
        taken
    }

    /// Ends the subscription; what has been given to us meanwhile is told to ask again.
    async fn leave(&self, mut group: Subscriber) {
        if group.drain().await.is_err() {
            return;
        }
        let busy = self.about(None, 1, EvaluationStatus::Busy, Some("this worker has just taken another evaluation; ask again".to_owned()));
        let link = self.link.clone();
        tokio::spawn(async move {
            while let Some(message) = group.next().await {
                reply(&link, message.reply, &busy).await;
            }
        });
    }

    /// One message of the work queue, if one comes within a while.
    async fn pull(&mut self) -> Option<jetstream::Message> {
        match self.pull_one().await {
            Ok(message) => {
                self.said_why = false;
                message
            }
            Err(error) => {
                if !std::mem::replace(&mut self.said_why, true) {
                    tracing::warn!(error, "no work queue; only what is asked of the queue group is taken");
                }
                tokio::time::sleep(LOOK_AGAIN).await;
                None
            }
        }
    }

    async fn pull_one(&mut self) -> Result<Option<jetstream::Message>, String> {
        let consumer: PullConsumer = open_queue(&self.link, &self.root, ACK_WAIT).await?;
        self.ack_wait = consumer.cached_info().config.ack_wait.max(Duration::from_millis(300));
        let batch = consumer.batch().max_messages(1).expires(PULL_FOR).messages().await;
        let mut batch = batch.map_err(|e| e.to_string())?;
        match batch.next().await {
            Some(message) => message.map(Some).map_err(|e| e.to_string()),
            None => Ok(None),
        }
    }

    /// A request of the queue group.
    async fn answer(&mut self, message: Message) {
        let request = match EvaluationRequest::parse(&message.payload) {
            Ok(request) => request,
            Err(reason) => {
                tracing::warn!(subject = %message.subject, reason, "a request was refused");
                return reply(&self.link, message.reply, &self.about(None, 1, EvaluationStatus::Refused, Some(reason))).await;
            }
        };
        let task = Task { request: &request, delivery: 1, started: Instant::now(), message: None };
        let result = match self.play(&task).await {
            Outcome::Answer(result) => *result,
            Outcome::Fault(error) => self.about(Some(&task), 1, EvaluationStatus::Failed, Some(error)),
            Outcome::Stopping | Outcome::Lost => {
                self.about(Some(&task), 1, EvaluationStatus::Busy, Some("this worker is stopping; ask again".to_owned()))
            }
        };
        if result.status != EvaluationStatus::Busy {
            self.store(&request, &result, false).await;
        }
        reply(&self.link, message.reply, &result).await;
    }

    /// A message of the work queue.
    async fn work(&mut self, message: jetstream::Message) {
        let delivery = message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1));
        let request = match EvaluationRequest::parse(&message.payload) {
            Ok(request) => request,
            Err(reason) => return self.refuse(&message, delivery, reason).await,
        };
        if *self.gate.borrow() != Gate::Open {
            acknowledge(&message, AckKind::Nak(Some(Duration::from_secs(1)))).await;
            return;
        }
        let task = Task { request: &request, delivery, started: Instant::now(), message: Some(&message) };
        let evaluation = request.evaluation_id.as_str();
        let outcome =
            if delivery > DELIVERIES { Outcome::Fault("every worker that had it died".to_owned()) } else { self.play(&task).await };
        match outcome {
            Outcome::Answer(result) => {
                // Not acknowledged before the result is stored: who dies here is followed by one who finds every episode recorded.
                if self.store(&request, &result, true).await {
                    acknowledge(&message, if result.status == EvaluationStatus::Refused { AckKind::Term } else { AckKind::Ack }).await;
                }
                tracing::info!(evaluation, status = ?result.status, episodes = result.episodes_completed, delivery, "evaluation answered");
            }
            Outcome::Fault(error) if delivery >= DELIVERIES => {
                tracing::error!(evaluation, error, delivery, "the evaluation is given up");
                let failed = self.about(Some(&task), delivery, EvaluationStatus::Failed, Some(error.clone()));
                let letters = DeadLetters::new(self.link.client().clone(), self.root.clone());
                if self.store(&request, &failed, true).await
                    && let Err(problem) = letters.bury(&message, &error).await
                {
                    tracing::warn!(%problem, evaluation, "the dead letter is not stored; the evaluation comes again");
                }
            }
            Outcome::Fault(error) => {
                tracing::warn!(evaluation, error, delivery, "the evaluation goes back to the queue");
                let pause = Duration::from_secs(1 << (delivery - 1).min(4));
                acknowledge(&message, AckKind::Nak(Some(pause))).await;
            }
            Outcome::Stopping => {
                tracing::info!(evaluation, "stopping; the evaluation goes back to the queue");
                acknowledge(&message, AckKind::Nak(None)).await;
            }
            Outcome::Lost => tracing::warn!(evaluation, "the connection was lost for so long that another worker has the evaluation"),
        }
    }

    /// A request that cannot be read: its ids are taken from its subject.
    async fn refuse(&mut self, message: &jetstream::Message, delivery: u64, reason: String) {
        tracing::warn!(subject = %message.subject, reason, "an evaluation was refused");
        let mut tokens = message.subject.as_str().rsplit('.');
        let ids = tokens.next().and_then(|e| e.parse::<Id>().ok()).zip(tokens.next().and_then(|g| g.parse::<Id>().ok()));
        if let Some((evaluation, generation)) = ids {
            let mut result = self.about(None, delivery, EvaluationStatus::Refused, Some(reason));
            result.evaluation_id = Some(evaluation.clone());
            result.generation_id = Some(generation.clone());
            if !self.store_at(&generation, &evaluation, &result, true).await {
                return;
            }
        }
        acknowledge(message, AckKind::Term).await;
    }

    async fn play(&mut self, task: &Task<'_>) -> Outcome {
        let request = task.request;
        let total = request.episodes();
        if request.deadline.is_some_and(|at| at <= Timestamp::now()) {
            let text = "its deadline had passed before a worker could begin".to_owned();
            return Outcome::Answer(Box::new(self.about(Some(task), task.delivery, EvaluationStatus::Deadline, Some(text))));
        }
        let recorded = match Recorded::open(&self.link, &self.root).await {
            Ok(recorded) => Some(recorded),
            Err(StoreError::NoStream(_) | StoreError::Api(ApiError::NoJetStream)) => None,
            Err(error) => return Outcome::Fault(error.to_string()),
        };
        let mut scores = match &recorded {
            Some(recorded) => match recorded.episodes(&request.generation_id, &request.evaluation_id).await {
                Ok(found) => found,
                Err(error) => return Outcome::Fault(error.to_string()),
            },
            None => BTreeMap::new(),
        };
        scores.retain(|place, _| (1..=total).contains(place));
        let skipped = scores.len() as u64;
        let missing: Vec<u64> = (1..=total).filter(|place| !scores.contains_key(place)).collect();
        let mut late = false;
        if !missing.is_empty() {
            match self.play_missing(task, missing, &mut scores).await {
                Ok(()) => {}
                Err(Ended::Late) => late = true,
                Err(Ended::Refused(reason)) => {
                    return Outcome::Answer(Box::new(self.about(Some(task), task.delivery, EvaluationStatus::Refused, Some(reason))));
                }
                Err(Ended::Other(outcome)) => {
                    // Who has it next shall find what was played here.
                    if let Some(recorded) = &recorded {
                        self.stored(recorded, request, &scores).await;
                    }
                    return outcome;
                }
            }
            if let Some(recorded) = &recorded {
                self.stored(recorded, request, &scores).await;
            }
        }
        let (status, error) = if late {
            (EvaluationStatus::Deadline, Some(format!("its deadline passed; {} of {total} episodes are recorded", scores.len())))
        } else {
            (EvaluationStatus::Complete, None)
        };
        let mut result = self.about(Some(task), task.delivery, status, error);
        result.ok = status == EvaluationStatus::Complete;
        result.episodes_completed = scores.len() as u64;
        result.episodes_skipped = skipped;
        result.scores = scores.into_values().collect();
        Outcome::Answer(Box::new(result))
    }

    async fn play_missing(
        &mut self,
        task: &Task<'_>,
        missing: Vec<u64>,
        scores: &mut BTreeMap<u64, EvaluationEpisode<'static>>,
    ) -> Result<(), Ended> {
        let before = scores.len() as u64;
        let mut playing = self.player.begin(task.request, missing).map_err(Ended::Refused)?;
        let mut extend = ticks(self.ack_wait / 3);
        let mut tell = ticks(TELL_EVERY);
        let mut end: Option<(PlayEnd, u64)> = None;
        let mut told_by: Option<Instant> = None;
        let mut silent_since: Option<Instant> = None;
        let (mut late, mut lost) = (false, false);
        loop {
            if let Some((end, _)) = end.take_if(|(_, finished)| scores.len() as u64 >= before + *finished) {
                return match end {
                    PlayEnd::Finished => Ok(()),
                    PlayEnd::Refused(reason) => Err(Ended::Refused(reason)),
                    PlayEnd::Fault(error) => Err(Ended::Other(Outcome::Fault(error))),
                    PlayEnd::Stopped if late => Err(Ended::Late),
                    PlayEnd::Stopped => Err(Ended::Other(if lost { Outcome::Lost } else { Outcome::Stopping })),
                };
            }
            tokio::select! {
                biased;
                Some(score) = playing.finished.recv() => {
                    scores.insert(score.place(), score);
                    self.tell(task, scores.len()).await;
                }
                ended = &mut playing.end, if end.is_none() => {
                    end = Some(ended.unwrap_or((PlayEnd::Stopped, 0)));
                    told_by = Some(Instant::now() + TOLD_WITHIN);
                }
                _ = extend.tick() => {
                    if let Some(message) = task.message {
                        acknowledge(message, AckKind::Progress).await;
                    }
                    let up = self.link.status().state == LinkState::Connected;
                    silent_since = if up { None } else { silent_since.or(Some(Instant::now())) };
                    if task.message.is_some() && silent_since.is_some_and(|since| since.elapsed() > self.ack_wait) && !lost {
                        lost = true;
                        self.player.give_up();
                    }
                }
                _ = tell.tick() => {
                    self.tell(task, scores.len()).await;
                    if !late && task.request.deadline.is_some_and(|at| at <= Timestamp::now()) {
                        late = true;
                        self.player.give_up();
                    }
                }
                () = tokio::time::sleep_until(told_by.unwrap_or_else(Instant::now)), if told_by.is_some() => {
                    return Err(Ended::Other(Outcome::Fault("a finished episode's score was lost within the worker".to_owned())));
                }
            }
        }
    }

    /// Waits a while until the stream has what was played.
    async fn stored(&self, recorded: &Recorded, request: &EvaluationRequest, scores: &BTreeMap<u64, EvaluationEpisode<'static>>) {
        let until = Instant::now() + STORED_WITHIN;
        let mut pause = Duration::from_millis(20);
        while Instant::now() < until {
            if let Ok(places) = recorded.places(&request.generation_id, &request.evaluation_id).await
                && scores.keys().all(|place| places.binary_search(place).is_ok())
            {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        tracing::warn!(evaluation = %request.evaluation_id, "episodes that were played are not stored yet; they are kept, and sent as soon as a stream takes them");
    }

    async fn tell(&self, task: &Task<'_>, completed: usize) {
        let at = Timestamp::now();
        let (generation, evaluation) = (&task.request.generation_id, &task.request.evaluation_id);
        let progress = EvaluationProgress {
            agent_id: self.agent.to_string(),
            timestamp: at,
            evaluation_id: evaluation.clone(),
            generation_id: generation.clone(),
            episodes_completed: completed as u64,
            episodes_total: task.request.episodes(),
            steps_per_second: self.player.steps_per_second(),
            delivery: task.delivery,
        };
        if let Err(error) = self.announcer.tell(self.root.evaluation_progress(generation, evaluation), progress, at).await {
            tracing::debug!(error, "progress could not be told");
        }
    }

    /// A result without episodes.
    fn about(&self, task: Option<&Task<'_>>, delivery: u64, status: EvaluationStatus, error: Option<String>) -> EvaluationResult {
        let request = task.map(|t| t.request);
        EvaluationResult {
            agent_id: self.agent.to_string(),
            instance: self.instance,
            timestamp: Timestamp::now(),
            evaluation_id: request.map(|r| r.evaluation_id.clone()),
            generation_id: request.map(|r| r.generation_id.clone()),
            experiment_id: request.and_then(|r| r.experiment_id.clone()),
            run_id: request.and_then(|r| r.run_id),
            ok: false,
            status,
            error,
            episodes_completed: 0,
            episodes_total: request.map_or(0, EvaluationRequest::episodes),
            episodes_skipped: 0,
            delivery,
            wall_seconds: task.map_or(0.0, |t| t.started.elapsed().as_secs_f64()),
            scores: Vec::new(),
        }
    }

    async fn store(&self, request: &EvaluationRequest, result: &EvaluationResult, insist: bool) -> bool {
        self.store_at(&request.generation_id, &request.evaluation_id, result, insist).await
    }

    /// Stores a result. `insist`: tries for as long as the agent lives; `false` where it could not.
    async fn store_at(&self, generation: &Id, evaluation: &Id, result: &EvaluationResult, insist: bool) -> bool {
        let subject = self.root.evaluation_result(generation, evaluation);
        let id = format!("{generation}-{evaluation}-result-{}-{}", self.instance, result.timestamp.as_micros());
        let mut result = result.clone();
        // What does not fit is read from the episodes' own subjects.
        let size = serde_json::to_vec(&result).map_or(0, |bytes| bytes.len());
        if size + 4096 > self.link.client().max_payload() {
            result.scores.clear();
        }
        loop {
            let at = result.timestamp;
            match self.announcer.store(&subject, result.clone(), at, &id).await {
                Ok(true) => return true,
                Ok(false) => {
                    if insist {
                        tracing::warn!(subject, "no stream takes this result; it is told to live listeners alone");
                    }
                    return true;
                }
                Err(error) if insist && *self.gate.borrow() != Gate::Ended => {
                    tracing::debug!(error, "a result is not stored yet; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(error) => {
                    tracing::warn!(error, "a result is not stored");
                    return false;
                }
            }
        }
    }
}

/// Why not every episode was played.
enum Ended {
    Late,
    Refused(String),
    Other(Outcome),
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn acknowledge(message: &jetstream::Message, kind: AckKind) {
    let sent = match kind {
        AckKind::Progress | AckKind::Nak(_) => message.ack_with(kind).await,
        // The server's word that it has it; an evaluation that comes again is only looked up.
        last => match tokio::time::timeout(Duration::from_secs(5), message.double_ack_with(last)).await {
            Ok(answered) => answered,
            Err(_) => Err("no answer within 5 s".into()),
        },
    };
    if let Err(error) = sent {
        tracing::warn!(%error, subject = %message.subject, "an acknowledgement could not be sent");
    }
}

async fn reply(link: &Link, to: Option<async_nats::Subject>, result: &EvaluationResult) {
    let Some(to) = to else { return };
    let Ok(mut bytes) = serde_json::to_vec(result) else { return };
    if bytes.len() > link.client().max_payload() {
        let short = EvaluationResult { scores: Vec::new(), ..result.clone() };
        bytes = serde_json::to_vec(&short).unwrap_or_default();
    }
    if let Err(error) = link.client().publish(to, bytes.into()).await {
        tracing::warn!(%error, "an evaluation's answer could not be sent");
    }
}
