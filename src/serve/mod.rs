//! `doom-agent serve`: an agent that plays what evaluations say. It is the same process with the same parts as one that plays; only the
//! game thread takes one plan after the other, and a worker task (of `doom-bus`) fetches them.

mod player;
mod thread;

use std::{path::PathBuf, sync::Arc};

use doom_bus::{
    Link,
    work::{Gate, Worker},
};
use doom_protocol::Instance;
use tokio::{sync::watch, task::JoinSet};

use self::player::GamePlayer;
pub(crate) use self::thread::{Jobs, play};
use crate::{
    book::Book,
    cli::Options,
    config::Config,
    exit::{self, Failure},
    frames::FrameEncoding,
    lifecycle::State,
    nats_choice::NatsChoice,
    run::{Outcome, Role, run_as},
    snapshot::Snapshot,
};

/// The lane's numbers beside a step: an evaluation whose scenario has more variables is refused.
pub(crate) const MOST_NUMBERS: usize = 64;
/// Played by nobody: by it the engine is known to be there before the first evaluation comes.
const SCENARIO_AT_REST: &str = "basic";

/// What a worker knows beyond its configuration.
pub(crate) struct Serving {
    options: Options,
    most_episodes: u64,
}

/// What the agent lends to the worker.
pub(crate) struct Bench {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) book: Arc<Book>,
    pub(crate) run_dir: PathBuf,
    pub(crate) instance: Instance,
}

/// Serves until `shutdown` completes, or the agent is told to stop.
///
/// # Errors
/// What kept the worker from starting, or ended it, with its exit code.
pub async fn serve(options: &Options, most_episodes: u64, shutdown: impl Future<Output = ()>) -> Result<Outcome, Failure> {
    let refuse = |flag: &str, why: &str| Err(Failure::new(exit::USAGE, format!("doom-agent serve: {flag}: {why}")));
    if options.nats == NatsChoice::Off {
        return refuse("--nats off", "a worker takes its work from NATS; give a URL");
    }
    if options.frames != FrameEncoding::Off {
        return refuse("--frames", "a worker publishes no pictures");
    }
    if options.experiment.is_some() || options.run.is_some() {
        return refuse("--experiment and --run", "each evaluation says them");
    }
    if options.record.is_some() {
        return refuse("--record", "a worker records no games");
    }
    let mut at_rest = options.clone();
    at_rest.scenario.get_or_insert_with(|| SCENARIO_AT_REST.to_owned());
    // What comes from the environment of agents that play is not for a worker.
    at_rest.generation = None;
    at_rest.seed = at_rest.seed.or(Some(0));
    let config = Config::resolve(&at_rest)?;
    run_as(config, Role::Serve(Box::new(Serving { options: at_rest, most_episodes })), shutdown).await
}

/// The task that works, and the way to the game thread.
pub(crate) fn worker(
    serving: Serving,
    config: &Config,
    link: &Link,
    bench: Bench,
    services: &mut JoinSet<()>,
) -> (impl Future<Output = ()> + Send + use<>, ThreadEnd) {
    let jobs = Arc::new(Jobs::default());
    let (gate_in, gate) = watch::channel(Gate::Shut);
    let mut state = bench.snapshot.lifecycle.watch();
    services.spawn(async move {
        loop {
            let now = match *state.borrow_and_update() {
                State::Idle => Gate::Open,
                now if now.is_ending() => Gate::Ended,
                _ => Gate::Shut,
            };
            gate_in.send_replace(now);
            if state.changed().await.is_err() {
                return;
            }
        }
    });
    let instance = bench.instance;
    let thread = ThreadEnd { jobs: Arc::clone(&jobs), book: Arc::clone(&bench.book) };
    let player = GamePlayer { options: serving.options, most_episodes: serving.most_episodes, bench, jobs, gate };
    (Worker::new(link.clone(), config.root.clone(), config.id.clone(), instance, player).run(), thread)
}

/// What the game thread takes its plans from.
pub(crate) struct ThreadEnd {
    jobs: Arc<Jobs>,
    book: Arc<Book>,
}
