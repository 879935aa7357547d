//! A run from start to end: assembles the parts, waits, and sees every one of them out.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use doom_bus::{
    Command, FrameCounts, Identity, JsonLines, LaneReceiver, Ledger, Left, Link, Origin, Overflow, Readiness, RecordSettings, Records,
    Session, SessionEvent, Sink, Spool, SystemRecords, lane, publish_telemetry, serve_control, serve_health,
};
use doom_game::{BackendFactory, MockFactory, Needs};
use doom_protocol::{Instance, Subjects};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use crate::{
    book::Book,
    broker::Broker,
    cli::BackendKind,
    clock::Clock,
    commands,
    config::Config,
    encode::{Encoder, RecordEncoder, RunFacts, lifecycle},
    episode_log,
    exit::{self, Failure},
    frames::Frames,
    game_loop::{LoopEnd, Outbox, RecordSlot, Stage, StepSlot},
    lifecycle::{Lifecycle, State},
    metrics,
    placement::Placement,
    probes,
    progress::Progress,
    serve::{self, Serving},
    snapshot::Snapshot,
    state_dir::StateDir,
    terminal, watchdog,
    will::Will,
};

/// Slots of the telemetry lane: about two seconds of the fastest loop.
const TELEMETRY_SLOTS: usize = 32_768;
/// Slots of the record lane. A task empties it into memory at once, whatever disk and broker do, so it holds what the game can offer while
/// that task is busy elsewhere: hundreds of episodes in a few milliseconds. Where it is full the newest is lost, counted, and health turns false.
const RECORD_SLOTS: usize = 4_096;
/// An agent that is told to stop ends the engine's step after this long, or after half of the time that the whole end may take.
const STEP_MAY_END_WITHIN: Duration = Duration::from_secs(2);
/// Where the game loop did not end in time: how long the last records have nevertheless.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
}

/// Plays until all episodes are played, something fatal happens, or `shutdown` completes.
///
/// # Errors
/// What kept the agent from starting, or ended it, with its exit code.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<Outcome, Failure> {
    run_as(config, Role::Play, shutdown).await
}

/// What the game thread plays.
pub(crate) enum Role {
    /// What the configuration says.
    Play,
    /// What evaluations say, one after the other.
    Serve(Box<Serving>),
}

/// As [`run`], in a role.
pub(crate) async fn run_as(config: Config, role: Role, shutdown: impl Future<Output = ()>) -> Result<Outcome, Failure> {
    let clock = Clock::start();
    if config.backend == BackendKind::Mock {
        tracing::warn!("playing the mock: its data are invented, and say so in every message (backend=mock)");
    }
    let state_dir = StateDir::claim(&config.state_dir, &config.root, &config.id)?;
    if let Some(record) = &config.plan.record {
        std::fs::create_dir_all(record)
            .map_err(|e| Failure::new(exit::DATA, format!("the recordings' folder {} cannot be made: {e}", record.display())))?;
    }
    let broker = Broker::open(&config).await?;
    let mut agent = Agent::assemble(config, role, clock, &broker, &state_dir).await?;
    let ended = agent.play(shutdown).await;
    let outcome = agent.end(ended).await;
    broker.close().await;
    drop(state_dir);
    outcome
}

/// Why the waiting ended.
struct Ended {
    game: Option<LoopEnd>,
    failure: Option<Failure>,
    deadline: Instant,
}

/// The parts of a run.
struct Agent {
    config: Config,
    facts: Arc<RunFacts>,
    lifecycle: Arc<Lifecycle>,
    progress: Arc<Progress>,
    ledger: Arc<Ledger>,
    snapshot: Arc<Snapshot>,
    link: Option<Link>,
    clock: Clock,
    game: Option<std::thread::JoinHandle<()>>,
    worker: Option<JoinHandle<()>>,
    game_end: oneshot::Receiver<LoopEnd>,
    deadline: watch::Sender<Option<Instant>>,
    telemetry: JoinHandle<()>,
    frames: Option<Frames>,
    records: JoinHandle<Left>,
    system: SystemRecords,
    services: JoinSet<()>,
    commands: mpsc::Receiver<Command>,
    session: mpsc::Receiver<SessionEvent>,
}

impl Agent {
    async fn assemble(config: Config, role: Role, clock: Clock, broker: &Broker, state_dir: &StateDir) -> Result<Self, Failure> {
        let link = broker.link.clone();
        let instance = Instance::new();
        let book = Arc::new(Book::new(facts(&config, instance)));
        let facts = book.now();
        let subjects = facts.subjects.clone();
        let origin = Origin::new(config.id.as_str(), &instance.to_string(), config.backend.as_str());
        let ledger = Arc::new(Ledger::default());
        let lifecycle = Arc::new(Lifecycle::new(config.start_paused));
        let progress = Arc::new(Progress::default());
        let file = open_events(&config, &origin)?;
        let sink = Sink { link: link.clone(), codec: config.codec, origin: origin.clone(), file };

        let overflow = if link.is_none() { Overflow::Wait } else { Overflow::DropNewest };
        let width = match &role {
            Role::Play => width_of(&config),
            Role::Serve(_) => serve::MOST_NUMBERS,
        };
        let (telemetry_in, telemetry) = lane::<StepSlot>(TELEMETRY_SLOTS, width, overflow, Arc::clone(&ledger));
        let record_overflow = if link.is_none() { Overflow::Wait } else { Overflow::LoseNewest };
        let (records_in, records): (_, LaneReceiver<RecordSlot>) = lane(RECORD_SLOTS, 0, record_overflow, Arc::clone(&ledger));
        let (deadline, deadline_seen) = watch::channel(None);
        let telemetry = tokio::spawn(publish_telemetry(
            telemetry,
            Encoder::new(Arc::clone(&book)),
            sink.clone(),
            Arc::clone(&ledger),
            deadline_seen.clone(),
        ));
        let placement = Arc::new(Placement::choose(config.cpu).await);
        let spool = if link.is_some() { open_spool(&state_dir.spool(), instance, Arc::clone(&placement)).await } else { None };
        let will = Will::new(Arc::clone(&progress), Arc::clone(&ledger), clock);
        let (records, system) = Records::new(
            records,
            RecordEncoder::new(Arc::clone(&book), will, clock),
            sink,
            Arc::clone(&ledger),
            RecordSettings::default(),
            spool,
        );
        let records = tokio::spawn(records.run(deadline_seen));

        let frame_counts = Arc::new(FrameCounts::default());
        let period = config.plan.pace.period(config.plan.frame_skip).unwrap_or_default();
        let step_within = config.step_timeout.max(period * 3);
        let snapshot = Arc::new(Snapshot::new(
            Arc::clone(&book),
            clock,
            Arc::clone(&lifecycle),
            Arc::clone(&progress),
            Arc::clone(&ledger),
            Arc::clone(&frame_counts),
            link.clone(),
            step_within,
            config.start_timeout,
        ));
        let mut services = JoinSet::new();
        let (commands_in, commands) = mpsc::channel(256);
        let (session_in, session) = mpsc::channel(8);
        let (ready_in, ready) = watch::channel(if link.is_none() { Readiness::Ready } else { Readiness::NotConnected });
        if let Some(link) = &link {
            let refused = |e: &dyn std::fmt::Display| Failure::new(exit::INTERNAL, format!("the NATS client refuses a subscription: {e}"));
            let standing = {
                let snapshot = Arc::clone(&snapshot);
                Box::new(move || snapshot.standing())
            };
            let control = serve_control(link, &subjects, config.id.clone(), standing, commands_in).await;
            services.spawn(control.map_err(|e| refused(&e))?);
            let take = {
                let snapshot = Arc::clone(&snapshot);
                Arc::new(move || snapshot.take())
            };
            let identity = Identity { started_at: snapshot.started_at(), instance };
            let asked_by_an_older = Arc::new(Notify::new());
            let asked = Arc::clone(&asked_by_an_older);
            let health = serve_health(link, &subjects, config.codec, origin.clone(), take, identity, asked).await;
            services.spawn(health.map_err(|e| refused(&e))?);
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let watch = Session { link: link.clone(), subjects, identity, asked_by_an_older, agent: config.id.to_string(), version };
            services.spawn(watch.run(ready_in, session_in));
            services.spawn(metrics::publish(Arc::clone(&snapshot), link.clone(), config.codec, origin.clone(), config.metrics_interval));
        }
        if let Some(address) = config.http {
            services.spawn(probes::serve(address, Arc::clone(&snapshot), ready).await?);
        }
        services.spawn(watchdog::watch(Arc::clone(&lifecycle), Arc::clone(&progress), step_within));
        services.spawn(terminal::show(Arc::clone(&snapshot)));
        services.spawn(episode_log::follow(Arc::clone(&progress)));
        services.spawn(Arc::clone(&placement).watch(Arc::clone(&progress)));

        let (frames, tap) = match (config.frames, &broker.frames) {
            (Some(plan), Some(link)) => {
                let (facts, link) = (Arc::clone(&facts), link.clone());
                let (frames, tap) = Frames::start(plan, facts, link, config.codec, origin.clone(), frame_counts, Arc::clone(&placement))?;
                (Some(frames), Some(tap))
            }
            _ => (None, None),
        };
        let outbox = Outbox::new(telemetry_in, records_in, tap, Arc::clone(&ledger));
        let stage = Stage { outbox, lifecycle: Arc::clone(&lifecycle), progress: Arc::clone(&progress), placement, clock };
        let (end_in, game_end) = oneshot::channel();
        let thread = std::thread::Builder::new().name("game".to_owned());
        // The receiver is gone only where the run gave up on a game that hangs.
        let (game, worker) = match role {
            Role::Play => {
                let factory = factory(&config, Some(state_dir.run_dir().to_owned()))?;
                let game_loop = stage.game_loop(config.plan.clone(), factory, config.policy.clone(), 1);
                let game = thread.spawn(move || drop(end_in.send(game_loop.run())));
                (game, None)
            }
            Role::Serve(serving) => {
                let Some(link) = &link else { return Err(Failure::new(exit::USAGE, "doom-agent serve takes its work from NATS")) };
                let bench = serve::Bench { snapshot: Arc::clone(&snapshot), book, run_dir: state_dir.run_dir().to_owned(), instance };
                let (worker, jobs) = serve::worker(*serving, &config, link, bench, &mut services);
                (thread.spawn(move || drop(end_in.send(serve::play(stage, jobs)))), Some(tokio::spawn(worker)))
            }
        };
        let game = game.map_err(|e| Failure::new(exit::INTERNAL, format!("the game thread cannot start: {e}")))?;
        Ok(Self {
            config,
            facts,
            lifecycle,
            progress,
            ledger,
            snapshot,
            link,
            clock,
            game: Some(game),
            worker,
            game_end,
            deadline,
            telemetry,
            frames,
            records,
            system,
            services,
            commands,
            session,
        })
    }

    /// Waits for the game's end, obeying commands and the shutdown meanwhile.
    async fn play(&mut self, shutdown: impl Future<Output = ()>) -> Ended {
        let limit = self.config.time_limit;
        let time_is_up = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(shutdown, time_is_up);
        let mut failure = None;
        let mut said_ready = false;
        let mut stop_by: Option<Instant> = None;
        let mut end_step_at: Option<Instant> = None;
        let mut drain = self.config.shutdown_timeout;
        loop {
            tokio::select! {
                end = &mut self.game_end => {
                    let deadline = stop_by.unwrap_or_else(|| Instant::now() + drain);
                    return Ended { game: end.ok(), failure, deadline };
                }
                () = at(stop_by) => return Ended { game: None, failure, deadline: Instant::now() + LAST_WORD },
                () = at(end_step_at) => {
                    end_step_at = None;
                    if let Some(engine) = self.progress.engine() {
                        tracing::warn!(pid = engine.pid(), "the step does not end; ending the engine");
                        engine.interrupt();
                    }
                }
                () = &mut shutdown, if stop_by.is_none() => self.lifecycle.stop(),
                () = &mut time_is_up, if stop_by.is_none() => {
                    tracing::info!("the time limit is reached; stopping");
                    self.lifecycle.stop();
                }
                Some(command) = self.commands.recv() => {
                    if let (doom_protocol::control::Verb::Shutdown, Some(ms)) = (command.verb, command.request.deadline_ms) {
                        drain = drain.min(Duration::from_millis(ms));
                    }
                    self.services.spawn(commands::obey(command, &self.lifecycle, &self.snapshot));
                }
                Some(event) = self.session.recv() => match event {
                    SessionEvent::Ready => {
                        tracing::info!(id = %self.config.id, "ready: the NATS server has our subscriptions");
                        if !std::mem::replace(&mut said_ready, true) {
                            let record = lifecycle(&self.facts, self.clock.now(), "ready");
                            self.facts.lifecycle(self.config.codec, record).into_iter().for_each(|r| self.system.push(r));
                        }
                    }
                    SessionEvent::Trap(stream) => tracing::warn!(
                        stream,
                        "this stream captures health requests and answers them in the agent's place; let it list the agents' action, observe, score and death instead"
                    ),
                    SessionEvent::Namesake(other) => {
                        let text = format!("agent {} is already alive elsewhere (instance {}, state {}); this younger one stops", self.config.id, other.instance, other.state);
                        let record = self.facts.error(self.config.codec, self.clock.now(), "duplicate_id", &text, true);
                        record.into_iter().for_each(|r| self.system.push(r));
                        failure = Some(Failure::new(exit::UNAVAILABLE, text));
                        self.lifecycle.stop();
                    }
                },
                Some(_) = self.services.join_next() => {}
            }
            if stop_by.is_none() && self.lifecycle.is_stopping() {
                stop_by = Some(Instant::now() + drain);
                // Early enough to close the episode and to have its score stored.
                end_step_at = Some(Instant::now() + STEP_MAY_END_WITHIN.min(drain / 2));
            }
        }
    }

    /// Delivers what is owed, says the last word, and joins everything.
    async fn end(mut self, ended: Ended) -> Result<Outcome, Failure> {
        let (code, failure) = verdict(ended.game, ended.failure);
        let hung = self.game_end_missing();
        if hung && let Some(engine) = self.progress.engine() {
            engine.interrupt();
        }
        self.lifecycle.enter(State::Draining);
        self.deadline.send_replace(Some(ended.deadline));
        if !hung && let Some(game) = self.game.take() {
            let _ = tokio::task::spawn_blocking(move || game.join()).await;
        }
        if let Some(mut worker) = self.worker.take()
            && tokio::time::timeout_at(ended.deadline, &mut worker).await.is_err()
        {
            worker.abort();
        }
        let _ = self.telemetry.await;
        if let Some(frames) = self.frames {
            frames.end(ended.deadline).await;
        }
        let _ = tokio::time::timeout_at(ended.deadline, self.system.settled()).await;
        episode_log::flush(&self.progress);
        let ranges = self.ledger.ranges();
        let mut last = lifecycle(&self.facts, self.clock.now(), "stopped");
        last.exit_code = Some(code);
        last.ledger = Some(self.ledger.summary());
        last.records = Some(self.ledger.records());
        last.ranges_truncated = ranges.truncated;
        last.dropped = ranges.dropped;
        last.unconfirmed = ranges.unconfirmed;
        let summary = self.ledger.summary();
        self.facts.lifecycle(self.config.codec, last).into_iter().for_each(|r| self.system.push(r));
        drop(self.system);
        let left = self.records.await.unwrap_or_default();
        self.lifecycle.enter(State::Stopped);
        if let Some(link) = &self.link {
            say_left(&left);
            // The deadline may have passed already; closing only hands over what is buffered.
            let _ = tokio::time::timeout(Duration::from_secs(1), link.close()).await;
        }
        self.services.shutdown().await;
        tracing::info!(
            code,
            produced = summary.produced,
            dropped = summary.dropped,
            unconfirmed = summary.unconfirmed,
            stored = summary.stored,
            "stopped"
        );
        failure.map_or(Ok(Outcome { code }), Err)
    }

    /// The game thread has not ended (its receiver was never served).
    fn game_end_missing(&self) -> bool {
        self.game.as_ref().is_some_and(|g| !g.is_finished()) && !self.lifecycle.state().is_ending()
    }
}

/// Completes at an instant, or never.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The exit code, and the failure to be told.
fn verdict(game: Option<LoopEnd>, failure: Option<Failure>) -> (i32, Option<Failure>) {
    let failure = failure.or(match game {
        Some(LoopEnd::Finished | LoopEnd::Stopped) => None,
        Some(LoopEnd::Engine(error)) => Some(Failure::new(exit::ENGINE, error)),
        Some(LoopEnd::Data(reason)) => Some(Failure::new(exit::DATA, reason)),
        None => Some(Failure::new(exit::INTERNAL, "the game loop did not end in time; its engine was killed")),
    });
    (failure.as_ref().map_or(exit::DONE, |f| f.code), failure)
}

/// Numbers beside a step: the scenario's variables, or the values of its delta buttons.
pub(crate) fn width_of(config: &Config) -> usize {
    let deltas = config.scenario.buttons.iter().filter(|b| b.is_delta()).count();
    config.scenario.variables.len().max(deltas)
}

pub(crate) fn facts(config: &Config, instance: Instance) -> RunFacts {
    RunFacts {
        agent: config.id.clone(),
        instance,
        subjects: Subjects::new(&config.root, &config.id),
        experiment: config.experiment.clone(),
        run: config.run,
        generation: config.generation.clone(),
        buttons: config.scenario.buttons.clone(),
        variables: config.scenario.variables.clone(),
        scenario: config.scenario.name.clone(),
        scenario_sha256: config.scenario.sha256.clone(),
        policy: config.policy.name().to_owned(),
        policy_sha256: config.policy.sha256().to_owned(),
        backend: config.backend.as_str(),
        frame_skip: config.plan.frame_skip,
        episodes_total: config.plan.episodes,
        factors: config.factors.clone(),
        first_episode: 1,
        evaluation: None,
    }
}

/// The agent goes on without a spool, and health says so.
async fn open_spool(path: &Path, instance: Instance, placement: Arc<Placement>) -> Option<Spool> {
    let opened = Spool::open(path, instance, move || placement.keep_off()).await;
    opened.inspect_err(|why| tracing::warn!(file = %path.display(), why, "no record spool; records are kept in memory alone")).ok()
}

fn say_left(left: &Left) {
    if let (1.., Some(file)) = (left.kept, &left.path) {
        let file = file.display();
        tracing::warn!(records = left.kept, %file, "records that no stream has acknowledged are kept; the next start with this id sends them");
    }
    if left.lost > 0 {
        tracing::error!(records = left.lost, "records that no stream has acknowledged end with this process: they are in memory alone");
    }
}

fn open_events(config: &Config, origin: &Origin) -> Result<Option<Arc<Mutex<JsonLines>>>, Failure> {
    let Some(path) = &config.events else { return Ok(None) };
    let out: Box<dyn Write + Send> = if path.as_os_str() == "-" {
        Box::new(std::io::stdout())
    } else {
        let file = std::fs::File::create(path);
        Box::new(file.map_err(|e| Failure::new(exit::DATA, format!("the events file {} cannot be written: {e}", path.display())))?)
    };
    Ok(Some(Arc::new(Mutex::new(JsonLines::new(out, origin.clone())))))
}

/// What makes the game that is configured; without a run directory each engine gets a temporary one.
pub(crate) fn factory(config: &Config, run_dir: Option<PathBuf>) -> Result<Box<dyn BackendFactory>, Failure> {
    let needs = Needs { run_dir, ..config.needs.clone() };
    match config.backend {
        BackendKind::Mock => Ok(Box::new(MockFactory::new(config.scenario.clone(), needs, config.faults.clone().unwrap_or_default()))),
        #[cfg(feature = "vizdoom")]
        BackendKind::Vizdoom => {
            let factory = doom_game::VizdoomFactory::new(config.scenario.clone(), &config.search, needs, config.start_timeout);
            Ok(Box::new(factory.map_err(|e| Failure::new(exit::DATA, e))?))
        }
        #[cfg(not(feature = "vizdoom"))]
        BackendKind::Vizdoom => Err(Failure::new(exit::USAGE, "this doom-agent was built without the engine; use --backend mock")),
    }
}
