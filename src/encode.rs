//! Slots into events: the one place that knows the game's schema and the wire.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::{BufMut, BytesMut};
use doom_bus::{Encode, Outgoing, Refused, Stamp, Subject};
use doom_game::{Button, End, Variable};
use doom_protocol::{
    Codec, Envelope, EpisodeId, Id, Instance, Payload, Subjects, Timestamp,
    payload::{
        Action, Death, ErrorEvent, EvaluationEpisode, ExperimentRun, GenerationScore, Lifecycle, Metric, Observe, Position, Pressed,
        RunMetadata, Score, Values,
    },
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    book::Book,
    clock::Clock,
    game_loop::{Closed, RecordSlot, ScoreSlot, StepEvent, StepSlot, kill_rate, survival},
    will::Will,
};

/// What is the same in all events of a run.
#[derive(Debug)]
pub(crate) struct RunFacts {
    pub(crate) agent: Id,
    pub(crate) instance: Instance,
    pub(crate) subjects: Subjects,
    pub(crate) experiment: Option<Id>,
    pub(crate) run: Option<u64>,
    pub(crate) generation: Option<Id>,
    pub(crate) buttons: Vec<Button>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) scenario: String,
    pub(crate) scenario_sha256: String,
    pub(crate) policy: String,
    pub(crate) policy_sha256: String,
    pub(crate) backend: &'static str,
    pub(crate) frame_skip: u32,
    pub(crate) episodes_total: u64,
    pub(crate) factors: BTreeMap<String, Value>,
    /// The number of the first episode that these facts hold for.
    pub(crate) first_episode: u64,
    /// In a worker: the evaluation that the episodes are played for.
    pub(crate) evaluation: Option<EvaluationFacts>,
}

/// An evaluation, and where its finished episodes are told besides the broker.
#[derive(Debug)]
pub(crate) struct EvaluationFacts {
    pub(crate) id: Id,
    pub(crate) generation: Id,
    /// Which of the evaluation's episodes are played, in this order; the first is played under the number `first_episode`.
    pub(crate) places: Vec<u64>,
    /// Bounded by the number of `places`.
    pub(crate) finished: mpsc::UnboundedSender<EvaluationEpisode<'static>>,
}

impl EvaluationFacts {
    fn place(&self, first: u64, episode: u64) -> Option<u64> {
        self.places.get(usize::try_from(episode.checked_sub(first)?).ok()?).copied()
    }
}

impl RunFacts {
    pub(crate) fn episode(&self, number: u64) -> EpisodeId {
        self.instance.episode(number)
    }

    pub(crate) fn stamp(&self, episode: u64, at: Timestamp, seq: u64) -> Stamp {
        Stamp { seq: (seq != 0).then_some(seq), ..Stamp::new(self.instance.trace(episode), at) }
    }

    pub(crate) fn generation(&self) -> Option<Cow<'_, str>> {
        self.generation.as_ref().map(|g| Cow::Borrowed(g.as_str()))
    }

    pub(crate) fn experiment(&self) -> Option<Cow<'_, str>> {
        self.experiment.as_ref().map(|e| Cow::Borrowed(e.as_str()))
    }

    /// A record that is not the game thread's, such as a lifecycle event. `name` makes its message id, with the instance.
    fn system<P: Payload>(&self, codec: Codec, subject: &str, name: &str, at: Timestamp, payload: P) -> Option<Outgoing> {
        let mut stamp = self.stamp(0, at, 0);
        stamp.message_id = Some(format!("{}-{name}", self.instance));
        event(codec, Subject::from(subject.to_owned()), stamp, payload, false)
    }

    /// `ready`, or `stopped` with what became of everything.
    pub(crate) fn lifecycle(&self, codec: Codec, lifecycle: Lifecycle<'_>) -> Option<Outgoing> {
        let name = lifecycle.state.clone().into_owned();
        self.system(codec, &self.subjects.lifecycle, &name, lifecycle.timestamp, lifecycle)
    }

    /// A fault outside of the game thread.
    pub(crate) fn error(&self, codec: Codec, at: Timestamp, kind: &'static str, message: &str, fatal: bool) -> Option<Outgoing> {
        let payload = ErrorEvent {
            agent_id: self.agent.as_str().into(),
            timestamp: at,
            instance: self.instance,
            kind: kind.into(),
            message: message.into(),
            fatal,
            episode_id: None,
        };
        self.system(codec, &self.subjects.error, &format!("{kind}-{}", at.as_micros()), at, payload)
    }

    /// One metric.
    pub(crate) fn metric(&self, codec: Codec, name: &str, at: Timestamp, value: f64) -> Option<Outgoing> {
        let payload = Metric { agent_id: self.agent.as_str().into(), timestamp: at, metric_name: name.into(), value };
        event(codec, Subject::from(self.subjects.metric(name)), self.stamp(0, at, 0), payload, false)
    }
}

/// Encodes; a payload that cannot be encoded (which no payload of ours is) is said and left out.
fn event<P: Payload>(codec: Codec, subject: Subject, stamp: Stamp, payload: P, ordered: bool) -> Option<Outgoing> {
    let mut bytes = Vec::with_capacity(512);
    match codec.encode(&Envelope::new(payload, stamp.trace_id, stamp.timestamp), &mut bytes) {
        Ok(()) => Some(Outgoing { subject, stamp, payload: bytes.into(), ordered }),
        Err(error) => {
            tracing::error!(%error, %subject, "an event could not be encoded");
            None
        }
    }
}

/// The bytes of so many steps' events lie in one piece of memory, so that an event needs none of its own.
const CHUNK: usize = 64 * 1024;
/// More than an event of a step has: a longer one makes the piece grow.
const ROOM: usize = 2048;

/// Encodes into what is left of `buffer`; else as [`event`].
fn step_event<P: Payload>(buffer: &mut BytesMut, codec: Codec, subject: &Subject, stamp: Stamp, payload: P) -> Option<Outgoing> {
    if buffer.capacity() < ROOM {
        buffer.reserve(CHUNK);
    }
    match codec.encode(&Envelope::new(payload, stamp.trace_id, stamp.timestamp), &mut (&mut *buffer).writer()) {
        Ok(()) => Some(Outgoing { subject: subject.clone(), stamp, payload: buffer.split().freeze(), ordered: false }),
        Err(error) => {
            buffer.clear();
            tracing::error!(%error, %subject, "an event could not be encoded");
            None
        }
    }
}

/// Builds a payload with the fields that all payloads of an episode share.
macro_rules! of_episode {
    ($payload:ident, $facts:expr, $episode:expr, $at:expr, { $($field:ident : $value:expr),* $(,)? }) => {
        $payload {
            agent_id: $facts.agent.as_str().into(),
            timestamp: $at,
            episode_id: $facts.episode($episode),
            experiment_id: $facts.experiment(),
            run_id: $facts.run,
            generation_id: $facts.generation(),
            $($field: $value,)*
        }
    };
}

pub(crate) use of_episode;

/// Encodes one run's steps.
#[derive(Debug)]
pub(crate) struct Encoder {
    book: Arc<Book>,
    names: Names,
    pressed: Vec<bool>,
    pressed_names: String,
    buffer: BytesMut,
}

/// What the steps of a run share, by the facts.
#[derive(Debug)]
struct Names {
    facts: Arc<RunFacts>,
    /// The episode for which the book was asked last.
    episode: u64,
    action: Subject,
    observe: Subject,
    buttons: Vec<&'static str>,
    deltas: Vec<&'static str>,
    variables: Vec<&'static str>,
}

impl Names {
    fn new(facts: Arc<RunFacts>, episode: u64) -> Self {
        let subject = |s: &str| Subject::from(s.to_owned());
        Self {
            action: subject(&facts.subjects.action),
            observe: subject(&facts.subjects.observe),
            buttons: facts.buttons.iter().map(|b| b.name()).collect(),
            deltas: facts.buttons.iter().filter(|b| b.is_delta()).map(|b| b.name()).collect(),
            variables: facts.variables.iter().map(|v| v.name()).collect(),
            episode,
            facts,
        }
    }
}

impl Encoder {
    pub(crate) fn new(book: Arc<Book>) -> Self {
        Self { names: Names::new(book.now(), 0), book, pressed: Vec::new(), pressed_names: String::new(), buffer: BytesMut::new() }
    }

    /// An episode's facts are looked up once.
    fn turn_to(&mut self, episode: u64) {
        if self.names.episode != episode {
            let facts = self.book.of(episode);
            if Arc::ptr_eq(&facts, &self.names.facts) {
                self.names.episode = episode;
            } else {
                self.names = Names::new(facts, episode);
            }
        }
    }
}

/// Encodes one run's records.
#[derive(Debug)]
pub(crate) struct RecordEncoder {
    book: Arc<Book>,
    will: Will,
    clock: Clock,
}

impl RecordEncoder {
    pub(crate) fn new(book: Arc<Book>, will: Will, clock: Clock) -> Self {
        Self { book, will, clock }
    }
}

impl Encode<StepSlot> for Encoder {
    fn encode(&mut self, codec: Codec, seq: u64, slot: &StepSlot, numbers: &[f64], out: &mut Vec<Outgoing>) {
        self.turn_to(slot.episode);
        let names = &self.names;
        let facts = &*names.facts;
        let stamp = facts.stamp(slot.episode, slot.at, seq);
        let encoded = match slot.event {
            StepEvent::Action { pressed, decision_us } => {
                self.pressed.clear();
                self.pressed_names.clear();
                let mut action_id = 0;
                for (i, (name, button)) in names.buttons.iter().zip(&facts.buttons).enumerate() {
                    let down = pressed >> i & 1 == 1;
                    self.pressed.push(down);
                    if down {
                        action_id |= u64::from(!button.is_delta()) << i;
                        if !self.pressed_names.is_empty() {
                            self.pressed_names.push('+');
                        }
                        self.pressed_names.push_str(name);
                    }
                }
                if self.pressed_names.is_empty() {
                    self.pressed_names.push_str("NOOP");
                }
                let payload = of_episode!(Action, facts, slot.episode, slot.at, {
                    step: slot.step,
                    tic: slot.tic,
                    action: Pressed {
                        action_id,
                        buttons: self.pressed.as_slice().into(),
                        action_type: self.pressed_names.as_str().into(),
                        values: (!names.deltas.is_empty()).then_some(Values::Borrowed(&names.deltas, numbers)),
                    },
                    frame_skip: facts.frame_skip,
                    policy: facts.policy.as_str().into(),
                    decision_us: decision_us,
                });
                step_event(&mut self.buffer, codec, &names.action, stamp, payload)
            }
            StepEvent::Observe { reward, total_reward, end } => {
                let payload = of_episode!(Observe, facts, slot.episode, slot.at, {
                    step: slot.step,
                    tic: slot.tic,
                    reward: reward,
                    total_reward: total_reward,
                    variables: Values::Borrowed(&names.variables, numbers),
                    terminated: matches!(end, Some(End::Death | End::LevelExit)),
                    truncated: end == Some(End::Timeout),
                });
                step_event(&mut self.buffer, codec, &names.observe, stamp, payload)
            }
        };
        out.extend(encoded);
    }
}

impl Encode<RecordSlot> for RecordEncoder {
    fn encode(&mut self, codec: Codec, seq: u64, slot: &RecordSlot, _numbers: &[f64], out: &mut Vec<Outgoing>) {
        self.will.see(slot);
        let facts = match slot {
            RecordSlot::Death(death) => self.book.of(death.episode),
            RecordSlot::Score(score) => self.book.of(score.figures.episode),
            RecordSlot::Opened(_) | RecordSlot::Error { .. } | RecordSlot::Recovering { .. } => self.book.now(),
        };
        let facts = &*facts;
        match slot {
            RecordSlot::Opened(_) => {}
            RecordSlot::Death(death) => {
                let mut stamp = facts.stamp(death.episode, death.at, seq);
                stamp.message_id = Some(format!("{}-{seq}", facts.instance));
                let payload = of_episode!(Death, facts, death.episode, death.at, {
                    tic: death.tic,
                    step: death.step,
                    position: Position { x: death.position[0], y: death.position[1], z: death.position[2] },
                    health: death.health,
                    kills: death.kills,
                    damage_taken: death.damage_taken,
                    survival_seconds: survival(death.tics),
                });
                out.extend(event(codec, Subject::from(facts.subjects.death.clone()), stamp, payload, true));
            }
            RecordSlot::Score(score) => facts.score(codec, seq, score, out),
            RecordSlot::Error { at, kind, message, fatal, episode } => {
                let payload = ErrorEvent {
                    agent_id: facts.agent.as_str().into(),
                    timestamp: *at,
                    instance: facts.instance,
                    kind: (*kind).into(),
                    message: message.as_str().into(),
                    fatal: *fatal,
                    episode_id: episode.map(|n| facts.episode(n)),
                };
                out.extend(facts.system(codec, &facts.subjects.error, &format!("{kind}-{}", at.as_micros()), *at, payload));
            }
            RecordSlot::Recovering { at } => {
                let payload = lifecycle(facts, *at, "recovering");
                out.extend(facts.system(codec, &facts.subjects.lifecycle, &format!("recovering-{}", at.as_micros()), *at, payload));
            }
        }
    }

    fn will(&mut self, codec: Codec, out: &mut Vec<Outgoing>) {
        if let Some(score) = self.will.score() {
            self.book.of(score.figures.episode).score(codec, 0, &score, out);
        }
    }

    fn refused(&mut self, codec: Codec, refused: &Refused, out: &mut Vec<Outgoing>) {
        let Refused { id, subject, why } = refused;
        let message = format!("{id} on {subject} is too large for the server or its stream and was put aside: {why}");
        out.extend(self.book.now().error(codec, self.clock.now(), "record_too_large", &message, false));
    }
}

/// A lifecycle event without what only `stopped` has.
pub(crate) fn lifecycle<'a>(facts: &'a RunFacts, at: Timestamp, state: &'a str) -> Lifecycle<'a> {
    Lifecycle {
        agent_id: facts.agent.as_str().into(),
        timestamp: at,
        instance: facts.instance,
        state: state.into(),
        exit_code: None,
        ledger: None,
        dropped: Vec::new(),
        unconfirmed: Vec::new(),
        ranges_truncated: false,
        records: None,
    }
}

impl RunFacts {
    fn is_last(&self, episode: u64) -> bool {
        match &self.evaluation {
            Some(evaluation) => evaluation.place(self.first_episode, episode) == Some(self.episodes_total),
            None => self.episodes_total != 0 && episode >= self.episodes_total,
        }
    }

    /// The evaluation's copy of a score. Two workers may have played one episode (one that was thought dead); the stream keeps the first.
    fn evaluated(&self, codec: Codec, evaluation: &EvaluationFacts, place: u64, score: &Score<'_>, mut stamp: Stamp) -> Option<Outgoing> {
        stamp.message_id = Some(format!("{}-{}-{place}", evaluation.generation, evaluation.id));
        let subject = self.subjects.root().evaluation_episode(&evaluation.generation, &evaluation.id, Some(place));
        // What is told the worker takes the way over the wire, and so is what readers get.
        let told = serde_json::to_vec(score).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(told) = told {
            // Nobody may be waiting for it any more.
            let _ = evaluation.finished.send(told);
        }
        event(codec, Subject::from(subject), stamp, EvaluationEpisode(score.clone()), false)
    }

    /// The score, then the generation's and the experiment's copies, each under its own id.
    fn score(&self, codec: Codec, seq: u64, score: &ScoreSlot, out: &mut Vec<Outgoing>) {
        let facts = self;
        let figures = &score.figures;
        let lost = score.closed == Closed::AgentLost;
        let at = score.completed_at;
        let evaluation = facts.evaluation.as_ref().and_then(|e| Some((e, e.place(facts.first_episode, figures.episode)?)));
        let names: Vec<&str> = score.schema.variables.iter().map(|v| v.name()).collect();
        let payload = of_episode!(Score, facts, figures.episode, at, {
            episode_number: figures.episode,
            evaluation_id: evaluation.map(|(e, _)| e.id.as_str().into()),
            evaluation_episode: evaluation.map(|(_, place)| place),
            seed: score.seed,
            scenario: facts.scenario.as_str().into(),
            scenario_sha256: facts.scenario_sha256.as_str().into(),
            policy: facts.policy.as_str().into(),
            policy_sha256: facts.policy_sha256.as_str().into(),
            backend: facts.backend.into(),
            engine_version: Cow::Borrowed(&*score.engine_version),
            end_reason: score.closed.as_str().into(),
            total_reward: figures.total_reward,
            steps: figures.steps,
            tics: figures.tics,
            frame_skip: facts.frame_skip,
            survival_seconds: survival(figures.tics),
            kills: figures.kills,
            kill_rate: kill_rate(figures.kills, figures.tics),
            damage_dealt: figures.damage_dealt,
            damage_taken: figures.damage_taken,
            hits: figures.hits,
            items: figures.items,
            ammo_used: figures.ammo_used,
            ammo_efficiency: if figures.ammo_used > 0.0 { figures.hits as f64 / figures.ammo_used } else { 0.0 },
            cells_visited: figures.cells_visited,
            rule_match_rate: score.rule_match_rate,
            final_variables: Values::Borrowed(&names, &score.final_variables),
            decision_us: score.decision,
            wall_seconds: score.wall_seconds,
            telemetry: score.telemetry,
            started_at: score.started_at,
            completed_at: at,
        });
        // How far a process had counted that was killed is not known; its lost episode has an id of its own and no seq.
        let name = if lost { format!("{}-lost-{}", facts.instance, figures.episode) } else { format!("{}-{seq}", facts.instance) };
        let subject = Subject::from(facts.subjects.score.clone());
        let stamp = |seq: u64, suffix: &str| {
            let mut stamp = facts.stamp(figures.episode, at, seq);
            stamp.message_id = Some(format!("{name}{suffix}"));
            stamp
        };
        // Only an episode that the game ended counts for an evaluation; any other is played again.
        if let (Some((evaluation, place)), Closed::ByGame(_)) = (evaluation, score.closed) {
            out.extend(facts.evaluated(codec, evaluation, place, &payload, stamp(0, "")));
        }
        if let Some(generation) = &facts.generation {
            let copy = Subject::from(facts.subjects.generation_score(generation));
            out.extend(event(codec, subject, stamp(seq, ""), payload.clone(), true));
            out.extend(event(codec, copy, stamp(0, "-generation"), GenerationScore(payload), true));
        } else {
            out.extend(event(codec, subject, stamp(seq, ""), payload, true));
        }
        if let (Some(experiment), Some(run)) = (&facts.experiment, facts.run) {
            let fault = matches!(score.closed, Closed::EngineFault | Closed::AgentLost);
            let complete = facts.is_last(figures.episode);
            let run_event = ExperimentRun {
                agent_id: facts.agent.as_str().into(),
                timestamp: at,
                episode_id: facts.episode(figures.episode),
                experiment_id: experiment.as_str().into(),
                phase: "execution".into(),
                status: (if fault {
                    "error"
                } else if complete {
                    "complete"
                } else {
                    "in_progress"
                })
                .into(),
                metadata: RunMetadata {
                    run_id: run,
                    factors: Cow::Borrowed(&facts.factors),
                    episodes_completed: score.episodes_completed,
                    episodes_total: facts.episodes_total,
                },
            };
            let subject = Subject::from(facts.subjects.experiment_run(experiment, run));
            out.extend(event(codec, subject, stamp(0, "-experiment"), run_event, false));
        }
    }
}
