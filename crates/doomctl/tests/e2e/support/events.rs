//! A server with the streams of the design, and events in them.

use std::{collections::BTreeMap, time::Duration};

use doom_bus::{ConnectSettings, Link, connect, create_streams, work::Announcer};
use doom_protocol::{
    Codec, Envelope, Id, Instance, Payload, SubjectRoot, Subjects, Timestamp, header,
    payload::{Action, DecisionTimes, GenerationComplete, GenerationEvolve, GenerationStart, Pressed, Score, TelemetryCounts, Values},
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
        self.act_as("A", None, None, count);
    }

    /// The same of any agent, for an experiment and a generation.
    pub(crate) fn act_as(&self, agent: &str, experiment: Option<&str>, generation: Option<&str>, count: u64) {
        let subjects = Subjects::new(&SubjectRoot::default(), &agent.parse().expect("an id"));
        for step in 1..=count {
            let action = Action {
                agent_id: agent.into(),
                timestamp: Timestamp::now(),
                episode_id: self.instance.episode(1),
                experiment_id: experiment.map(Into::into),
                run_id: experiment.map(|_| 1),
                generation_id: generation.map(Into::into),
                step,
                tic: 4,
                action: Pressed { action_id: 2, buttons: vec![false, true].into(), action_type: "ATTACK".into(), values: None },
                frame_skip: 4,
                policy: "random".into(),
                decision_us: 3,
            };
            self.event(subjects.action.clone(), Codec::Json, step, action);
        }
        self.stored();
    }

    /// Says that a generation begins, evolves and is complete, as whoever evolves does.
    pub(crate) fn evolve(&self, generation: &str, next: &str) {
        let (at, id) = (Timestamp::now(), |text: &str| text.parse::<Id>().expect("an id"));
        let announcer = Announcer::new(self.link.clone(), "evolution", self.instance);
        let start = GenerationStart { generation_id: id(generation), timestamp: at, number: Some(1), population: 4, episodes: 5 };
        let evolve = GenerationEvolve {
            generation_id: id(generation),
            timestamp: at,
            next_generation_id: id(next),
            selected: vec![id("e2"), id("e1")],
            method: "truncation, the best two".to_owned(),
        };
        let complete = GenerationComplete {
            generation_id: id(generation),
            timestamp: at,
            evaluations_completed: 3,
            evaluations_failed: 1,
            best_evaluation_id: Some(id("e2")),
            best_fitness: Some(1.5),
        };
        let subject = |stage: &str| SubjectRoot::default().generation_stage(&id(generation), stage);
        let stored = self.runtime.block_on(async {
            Ok::<_, String>([
                announcer.store(&subject("start"), start, at, &format!("{generation}-start")).await?,
                announcer.store(&subject("evolve"), evolve, at, &format!("{generation}-evolve")).await?,
                announcer.store(&subject("complete"), complete, at, &format!("{generation}-complete")).await?,
            ])
        });
        assert_eq!(stored, Ok([true; 3]));
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
