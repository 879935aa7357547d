//! A server with the streams of the design, and events in them.

use std::time::Duration;

use doom_bus::{ConnectSettings, Link, connect, consume::Consumer, create_streams};
use doom_protocol::{Codec, Envelope, Instance, SubjectRoot, Subjects, Timestamp, header, payload};
use nats_server_process::NatsServer;

/// How long anything is waited for that ought to happen soon.
pub(crate) const WITHIN: Duration = Duration::from_secs(40);
pub(crate) const ACTIONS: &str = "clau-doom.agent.*.action";

pub(crate) struct Bus {
    pub(crate) server: NatsServer,
    pub(crate) link: Link,
}

pub(crate) async fn link(url: &str) -> Link {
    connect(&ConnectSettings { url: url.to_owned(), name: "test".to_owned(), ..ConnectSettings::default() }).await.unwrap()
}

impl Bus {
    pub(crate) async fn start() -> Self {
        let server = NatsServer::builder().jetstream(true).start().unwrap();
        let link = link(&server.url()).await;
        link.connected_within(WITHIN).await.unwrap();
        create_streams(&link, "clau-doom").await.unwrap();
        Self { server, link }
    }

    /// Stores actions of an agent, steps `from` to `to`, each acknowledged by its stream.
    pub(crate) async fn act(&self, agent: &str, experiment: Option<&str>, steps: std::ops::RangeInclusive<u64>) {
        let subjects = Subjects::new(&SubjectRoot::default(), &agent.parse().unwrap());
        let instance = Instance::new();
        let context = async_nats::jetstream::new(self.link.client().clone());
        for step in steps {
            let codec = if step % 2 == 0 { Codec::Json } else { Codec::Msgpack };
            let action = action(agent, experiment, instance, step);
            let mut bytes = Vec::new();
            codec.encode(&Envelope::new(action, instance.trace(1), Timestamp::now()), &mut bytes).unwrap();
            let mut headers = async_nats::HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, codec.content_type());
            headers.insert(header::SOURCE_AGENT, agent);
            headers.insert(header::MSG_ID, format!("{instance}-{step}").as_str());
            // Under one id, so that a try whose answer was lost with the server is not stored twice.
            loop {
                let sent = context.publish_with_headers(subjects.action.clone(), headers.clone(), bytes.clone().into()).await.unwrap();
                if sent.await.is_ok() {
                    break;
                }
            }
        }
    }
}

fn action<'a>(agent: &'a str, experiment: Option<&'a str>, instance: Instance, step: u64) -> payload::Action<'a> {
    payload::Action {
        agent_id: agent.into(),
        timestamp: Timestamp::now(),
        episode_id: instance.episode(1),
        experiment_id: experiment.map(Into::into),
        run_id: None,
        generation_id: None,
        step,
        tic: 0,
        action: payload::Pressed { action_id: 1, buttons: vec![true, false].into(), action_type: "ATTACK".into(), values: None },
        frame_skip: 4,
        policy: "random".into(),
        decision_us: 3,
    }
}

/// Actions of all agents, from the beginning.
pub(crate) fn actions() -> Consumer {
    Consumer::new("AGENT_EVENTS", vec![ACTIONS.to_owned()]).start(doom_bus::consume::Start::All)
}

/// Its step.
pub(crate) fn step(delivered: &doom_bus::consume::Delivered) -> u64 {
    match delivered.event().unwrap().event {
        doom_protocol::Event::Action(action) => action.step,
        other => panic!("no action: {other:?}"),
    }
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(WITHIN, what).await.unwrap()
}
