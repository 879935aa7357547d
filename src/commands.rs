//! A command from the broker, obeyed: asked of the lifecycle, answered when its state is reached.

use std::{sync::Arc, time::Duration};

use doom_bus::Command;
use doom_protocol::control::{ControlReply, Verb};

use crate::{
    lifecycle::{Lifecycle, State},
    snapshot::Snapshot,
};

/// How long an answer waits for its state where the command sets no deadline.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Asks the lifecycle at once (so that commands take effect in the order in which they came), and returns the wait for the answer.
pub(crate) fn obey(command: Command, lifecycle: &Arc<Lifecycle>, snapshot: &Arc<Snapshot>) -> impl Future<Output = ()> + Send + use<> {
    let Command { verb, request, reply } = command;
    let accepted = match verb {
        Verb::Pause => lifecycle.pause(),
        Verb::Resume => lifecycle.resume(),
        Verb::Shutdown => {
            lifecycle.stop();
            true
        }
    };
    let mut state = lifecycle.watch();
    let snapshot = Arc::clone(snapshot);
    async move {
        let within = request.deadline_ms.map_or(ANSWER_WITHIN, Duration::from_millis);
        let error = if accepted {
            let reached = tokio::time::timeout(within, state.wait_for(|s| reaches(verb, *s))).await;
            match reached {
                Ok(Ok(now)) if verb == Verb::Pause && now.is_ending() => {
                    Some("the agent is draining; it cannot be paused any more".to_owned())
                }
                Ok(Ok(_)) => None,
                Ok(Err(_)) => Some("the agent has stopped".to_owned()),
                Err(_) => Some(format!("accepted, but not reached within {} ms", within.as_millis())),
            }
        } else {
            Some("the agent is draining".to_owned())
        };
        let health = snapshot.take();
        // Nobody may be waiting for the answer any more.
        let _ = reply.send(ControlReply { agent_id: health.agent_id, ok: error.is_none(), state: health.state, tic: health.tic, error });
    }
}

/// Whether a state is what the command asked for, or makes it pointless to wait.
fn reaches(verb: Verb, state: State) -> bool {
    match verb {
        Verb::Pause => state == State::Paused || state.is_ending(),
        Verb::Resume => state != State::Paused,
        Verb::Shutdown => state.is_ending(),
    }
}
