//! A server with the streams of the design, and events in them.

use std::{collections::BTreeMap, time::Duration};

use doom_bus::{ConnectSettings, Link, connect, create_streams};
use doom_protocol::{
    Codec, Envelope, Instance, Payload, SubjectRoot, Subjects, Timestamp, header,
    payload::{Action, DecisionTimes, Pressed, Score, TelemetryCounts, Values},
};
use nats_server_process::NatsServer;
use tokio::runtime::Runtime;

/// A server, its streams, and a producer.
pub(crate) struct Population {
    pub(crate) server: NatsServer,
    runtime: Runtime,
    link: Link,
    instance: Instance,
    subjects: Subjects,
}

impl Population {
    /// With streams and without events.
    pub(crate) fn new() -> Self {
        Self::on(super::server())
    }

    /// The same on this server, as far as it has the streams.
    pub(crate) fn on(server: NatsServer) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let link = runtime.block_on(async {
            let settings = ConnectSettings { url: server.url(), name: "test".to_owned(), ..ConnectSettings::default() };
            let link = connect(&settings).await.expect("the URL is valid");
            link.connected_within(Duration::from_secs(40)).await.expect("the server answers");
            create_streams(&link, "clau-doom").await.expect("streams are made");
            link
        });
        let subjects = Subjects::new(&SubjectRoot::default(), &"A".parse().expect("an id"));
        Self { server, runtime, link, instance: Instance::new(), subjects }
    }

    /// Stores bytes that are no event where scores are.
    pub(crate) fn poison(&self) {
        self.send(self.subjects.score.clone(), "application/json", 0, b"{\"type\":\"agent.score\"".to_vec());
    }

    /// Stores actions 1 to `count`.
    pub(crate) fn act(&self, count: u64) {
        for step in 1..=count {
            let action = Action {
                agent_id: "A".into(),
                timestamp: Timestamp::now(),
                episode_id: self.instance.episode(1),
                experiment_id: None,
                run_id: None,
                generation_id: None,
                step,
                tic: 4,
                action: Pressed { action_id: 2, buttons: vec![false, true].into(), action_type: "ATTACK".into(), values: None },
                frame_skip: 4,
                policy: "random".into(),
                decision_us: 3,
            };
            self.event(self.subjects.action.clone(), Codec::Json, step, action);
        }
        self.stored();
    }

    /// Stores the scores of these episodes, with the variables named, and waits until AGENT_RECORDS has them too.
    pub(crate) fn score(&self, experiment: &str, episodes: std::ops::RangeInclusive<u64>, variables: &[&str]) {
        let last = *episodes.end();
        self.score_live(experiment, episodes, variables);
        self.sourced(last);
    }

    /// The same in AGENT_EVENTS alone.
    pub(crate) fn score_live(&self, experiment: &str, episodes: std::ops::RangeInclusive<u64>, variables: &[&str]) {
        for number in episodes {
            let values: BTreeMap<String, f64> = variables.iter().map(|name| ((*name).to_owned(), 0.5)).collect();
            // Every third as MessagePack.
            let codec = if number % 3 == 0 { Codec::Msgpack } else { Codec::Json };
            self.event(self.subjects.score.clone(), codec, number, self.one_score(experiment, number, values));
        }
        self.stored();
    }

    fn one_score(&self, experiment: &str, number: u64, values: BTreeMap<String, f64>) -> Score<'static> {
        Score {
            agent_id: "A".into(),
            timestamp: Timestamp::now(),
            episode_id: self.instance.episode(number),
            experiment_id: Some(experiment.to_owned().into()),
            run_id: Some(7),
            generation_id: None,
            evaluation_id: None,
            evaluation_episode: None,
            episode_number: number,
            seed: 4_294_967_295,
            scenario: "basic, \"the first\"".into(),
            scenario_sha256: "ab".into(),
            policy: "random".into(),
            policy_sha256: "cd".into(),
            backend: "mock".into(),
            engine_version: "mock-1".into(),
            end_reason: "timeout".into(),
            total_reward: -1.25,
            steps: 10,
            tics: 40,
            frame_skip: 4,
            survival_seconds: 40.0 / 35.0,
            kills: -1,
            kill_rate: 0.0,
            damage_dealt: 1.0,
            damage_taken: 2.0,
            hits: 3,
            items: 0,
            ammo_used: 4.0,
            ammo_efficiency: 0.75,
            cells_visited: 5,
            rule_match_rate: None,
            final_variables: Values::Owned(values),
            decision_us: DecisionTimes { p50: 1, p99: 2, max: 3 },
            wall_seconds: 0.25,
            telemetry: TelemetryCounts { produced: 20, dropped: 1, unconfirmed: 0 },
            started_at: Timestamp::from_micros(1_767_323_045_123_456),
            completed_at: Timestamp::now(),
        }
    }

    fn event<P: Payload>(&self, subject: String, codec: Codec, seq: u64, payload: P) {
        let mut bytes = Vec::new();
        codec.encode(&Envelope::new(payload, self.instance.trace(1), Timestamp::now()), &mut bytes).expect("it encodes");
        self.send(subject, codec.content_type(), seq, bytes);
    }

    fn send(&self, subject: String, content_type: &str, seq: u64, bytes: Vec<u8>) {
        let mut headers = async_nats::HeaderMap::new();
        let instance = self.instance.to_string();
        for (name, value) in [
            (header::CONTENT_TYPE, content_type),
            (header::SOURCE_AGENT, "A"),
            (header::INSTANCE, &instance),
            (header::BACKEND, "mock"),
            (header::SEQ, &seq.to_string()),
        ] {
            headers.insert(name, value);
        }
        self.runtime.block_on(self.link.client().publish_with_headers(subject, headers, bytes.into())).expect("it is sent");
    }

    /// Waits until the server has everything.
    fn stored(&self) {
        self.runtime.block_on(self.link.round_trip()).expect("the server answers");
    }

    /// Waits until AGENT_RECORDS has an episode.
    fn sourced(&self, episode: u64) {
        self.runtime.block_on(async {
            let context = async_nats::jetstream::new(self.link.client().clone());
            let stream = context.get_stream("AGENT_RECORDS").await.expect("it is there");
            for _ in 0..800 {
                if let Ok(last) = stream.direct_get_last_for_subject(self.subjects.score.clone()).await
                    && last.headers.get(header::SEQ).is_some_and(|seq| seq.as_str() == episode.to_string())
                {
                    return;
                }
                // Sourcing tells nobody when it is done.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
}
