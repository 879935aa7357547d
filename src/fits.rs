//! Whether the server takes messages as large as this scenario's observations, as far as that can be known before the first one.

use std::time::Duration;

use doom_bus::{Link, Origin, Stamp};
use doom_protocol::{
    Envelope, Instance, Timestamp,
    payload::{Observe, Values},
};

use crate::{
    config::Config,
    exit::{self, Failure},
};

/// How long the start waits for a server to say its limit; one that is there says it within milliseconds.
const SERVER_WITHIN: Duration = Duration::from_millis(500);

/// Refuses what the server would refuse every time: even an observation of nothing but zeros. One that grows too large later is counted as
/// dropped, and told once. A server that is not there has said no limit.
///
/// # Errors
/// Exit code 65, with both sizes and the ways out.
pub(crate) async fn check(config: &Config, link: &Link) -> Result<(), Failure> {
    if tokio::time::timeout(SERVER_WITHIN, link.connected()).await.is_err() {
        return Ok(());
    }
    let (size, most) = (smallest(config), link.client().max_payload());
    if size <= most {
        return Ok(());
    }
    Err(Failure::new(
        exit::DATA,
        format!(
            "an observation of {} has at least {size} bytes ({} variables), but the NATS server takes messages up to {most} bytes: take \
             variables out of the scenario, try --codec msgpack, or raise max_payload in the server's configuration",
            config.scenario.name,
            config.scenario.variables.len(),
        ),
    ))
}

/// Bytes of the smallest observation on the wire, headers included.
fn smallest(config: &Config) -> usize {
    let (instance, at) = (Instance::new(), Timestamp::now());
    let names: Vec<&str> = config.scenario.variables.iter().map(|v| v.name()).collect();
    let zeros = vec![0.0; names.len()];
    let payload = Observe {
        agent_id: config.id.as_str().into(),
        timestamp: at,
        episode_id: instance.episode(1),
        experiment_id: None,
        run_id: None,
        generation_id: None,
        step: 0,
        tic: 0,
        reward: 0.0,
        total_reward: 0.0,
        variables: Values::Borrowed(&names, &zeros),
        terminated: false,
        truncated: false,
    };
    let mut bytes = Vec::new();
    if config.codec.encode(&Envelope::new(payload, instance.trace(1), at), &mut bytes).is_err() {
        return 0;
    }
    let stamp = Stamp { seq: Some(1), ..Stamp::new(instance.trace(1), at) };
    let origin = Origin::new(config.id.as_str(), &instance.to_string(), config.backend.as_str());
    origin.wire_size(&stamp, config.codec, bytes.len())
}
