//! The operator's side against agents that are played here, over a real nats-server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::{
    Client,
    jetstream::{self, consumer, stream},
    service::{Service, ServiceExt},
};
use doom_bus::{
    ApiError, ConnectSettings, Link, connect,
    operator::{self, OperatorError, Order, Outcome, Reply, Target},
};
use doom_protocol::{
    EngineHealth, HealthReply, Id, Instance, LedgerSummary, NatsHealth, RecordsHealth, SubjectRoot, Subjects,
    control::{ControlReply, ControlRequest, Verb},
    service,
};
use futures::StreamExt;
use nats_server_process::NatsServer;
use tokio::task::JoinHandle;

/// Longer than anything here takes; a test that ends early shows that it did not wait for it.
const LONG: Duration = Duration::from_secs(40);
const SHORT: Duration = Duration::from_millis(700);

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

async fn link(url: &str) -> Link {
    let settings = ConnectSettings { url: url.to_owned(), name: "operator".to_owned(), ..ConnectSettings::default() };
    let link = connect(&settings).await.unwrap();
    link.connected_within(LONG).await.unwrap();
    link
}

/// Answers as an agent would.
struct FakeAgent {
    _service: Option<Service>,
    task: JoinHandle<()>,
    instance: Instance,
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How it answers commands.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Obeys,
    Refuses,
    Silent,
}

async fn fake(url: &str, root: &SubjectRoot, agent: &str, generation: Option<&str>, manner: Manner) -> FakeAgent {
    fake_as(url, root, agent, generation, manner, true).await
}

/// `registered`: as a micro service.
async fn fake_as(url: &str, root: &SubjectRoot, agent: &str, generation: Option<&str>, manner: Manner, registered: bool) -> FakeAgent {
    let client = async_nats::connect(url).await.unwrap();
    let (instance, subjects) = (Instance::new(), Subjects::new(root, &id(agent)));
    let metadata = HashMap::from([
        (service::ID.to_owned(), agent.to_owned()),
        (service::INSTANCE.to_owned(), instance.to_string()),
        (service::ROOT.to_owned(), root.to_string()),
    ]);
    let service = match registered {
        true => Some(client.service_builder().metadata(metadata).start(service::NAME, "0.1.0").await.unwrap()),
        false => None,
    };
    let health = client.subscribe(subjects.health.clone()).await.unwrap();
    let own = client.subscribe(subjects.agent_control()).await.unwrap();
    let all = client.subscribe(subjects.system_control()).await.unwrap();
    client.flush().await.unwrap();
    round_trip(&client).await;
    let (agent, generation) = (id(agent), generation.map(str::to_owned));
    let task = tokio::spawn({
        let mut messages = futures::stream::select(health, futures::stream::select(own, all));
        async move {
            while let Some(message) = messages.next().await {
                let Some(to) = message.reply else { continue };
                let answer = if message.subject.as_str() == subjects.health {
                    serde_json::to_vec(&reply(&agent, instance, generation.as_deref())).unwrap()
                } else {
                    let request = ControlRequest::parse(&message.payload).unwrap();
                    if manner == Manner::Silent || !request.addresses(&agent, None, generation.as_deref()) {
                        continue;
                    }
                    let ok = manner == Manner::Obeys;
                    let error = (!ok).then(|| "the agent is draining".to_owned());
                    let reply = ControlReply { agent_id: agent.to_string(), ok, state: "paused".to_owned(), tic: 7, error };
                    serde_json::to_vec(&reply).unwrap()
                };
                client.publish(to, answer.into()).await.unwrap();
            }
        }
    });
    FakeAgent { _service: service, task, instance }
}

async fn round_trip(client: &Client) {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    answers.next().await.unwrap();
}

fn reply(agent: &Id, instance: Instance, generation: Option<&str>) -> HealthReply {
    HealthReply {
        agent_id: agent.to_string(),
        instance,
        healthy: true,
        uptime: 1,
        started_at: None,
        state: "running".to_owned(),
        episode_id: None,
        experiment_id: None,
        run_id: None,
        generation_id: generation.map(str::to_owned),
        evaluation_id: None,
        tic: 0,
        steps_per_second: 35.0,
        seconds_since_step: None,
        episodes_completed: 0,
        kill_rate: None,
        engine: EngineHealth { pid: None, restarts: 0 },
        nats: NatsHealth { state: "connected".to_owned(), reconnects: 0 },
        ledger: LedgerSummary::default(),
        records: RecordsHealth::default(),
        backend: "mock".to_owned(),
        scenario: "basic".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn server() -> NatsServer {
    NatsServer::builder().jetstream(true).start().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_agent_below_the_root_is_found_and_no_other() {
    let server = server();
    let (here, there) = (SubjectRoot::default(), "elsewhere".parse().unwrap());
    let b = fake(&server.url(), &here, "B", None, Manner::Obeys).await;
    let a = fake(&server.url(), &here, "A", None, Manner::Obeys).await;
    let _other = fake(&server.url(), &there, "C", None, Manner::Obeys).await;
    let link = link(&server.url()).await;
    let began = Instant::now();
    let found = operator::discover(&link, &here, LONG).await.unwrap();
    assert!(began.elapsed() < LONG / 2, "does not wait for the bound");
    let found: Vec<_> = found.into_iter().map(|f| (f.id.to_string(), f.instance)).collect();
    assert_eq!(found, [("A".to_owned(), Some(a.instance.to_string())), ("B".to_owned(), Some(b.instance.to_string()))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_no_service_is_known_by_what_a_stream_has_of_it() {
    let server = server();
    let (root, link) = (SubjectRoot::default(), link(&server.url()).await);
    doom_bus::create_streams(&link, "clau-doom").await.unwrap();
    let _agents = [
        fake(&server.url(), &root, "A", None, Manner::Obeys).await,
        fake_as(&server.url(), &root, "B", None, Manner::Obeys, false).await,
        fake_as(&server.url(), &root, "C", None, Manner::Obeys, false).await,
        fake_as(&server.url(), &root, "D", None, Manner::Obeys, false).await,
    ];
    let context = jetstream::new(link.client().clone());
    // C has never acted, as a worker that waits; of D no stream has anything; and whoever was GONE does not answer any more.
    for subject in ["agent.A.action", "agent.B.action", "agent.GONE.action", "metrics.agent.B.healthy", "metrics.agent.C.healthy"] {
        context.publish(format!("clau-doom.{subject}"), "x".into()).await.unwrap().await.unwrap();
    }
    let began = Instant::now();
    let members = operator::survey(&link, &root, LONG).await.unwrap();
    let names: Vec<_> = members.iter().map(|m| (m.id.as_str(), m.health.is_some())).collect();
    assert_eq!(names, [("A", true), ("B", true), ("C", true)]);
    assert!(began.elapsed() < LONG / 2, "nobody is waited for who is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_nobody_is_there_is_known_at_once() {
    let server = server();
    let (root, link) = (SubjectRoot::default(), link(&server.url()).await);
    let began = Instant::now();
    assert_eq!(operator::survey(&link, &root, LONG).await, Ok(Vec::new()));
    assert_eq!(operator::health(&link, &root, &[id("A")], LONG).await, Ok(vec![Reply::Nobody]));
    let order = Order { verb: Verb::Pause, target: Target::Agents(vec![id("A")]), request: ControlRequest::default() };
    assert_eq!(operator::command(&link, &root, &order, Some(LONG), |_| {}).await, Ok(vec![Outcome::Nobody(id("A"))]));
    assert!(began.elapsed() < LONG / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_under_one_id_are_two_members() {
    let server = server();
    let root = SubjectRoot::default();
    let agents = [
        fake(&server.url(), &root, "A", None, Manner::Obeys).await,
        fake(&server.url(), &root, "A", None, Manner::Obeys).await,
        fake(&server.url(), &root, "B", None, Manner::Obeys).await,
    ];
    let members = operator::survey(&link(&server.url()).await, &root, LONG).await.unwrap();
    let mut instances: Vec<_> = agents[..2].iter().map(|a| a.instance.to_string()).collect();
    instances.sort();
    assert_eq!(members.len(), 3);
    for (member, instance) in members.iter().zip(&instances) {
        assert_eq!((member.id.as_str(), member.instance.as_ref()), ("A", Some(instance)));
        assert_eq!(member.health.as_ref().unwrap().instance.to_string(), *instance);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streams_acknowledgement_is_no_answer() {
    let server = server();
    let (root, link) = (SubjectRoot::default(), link(&server.url()).await);
    let config = stream::Config { name: "GREEDY".to_owned(), subjects: vec!["clau-doom.>".to_owned()], ..Default::default() };
    jetstream::new(link.client().clone()).create_stream(config).await.unwrap();
    let _agent = fake(&server.url(), &root, "A", None, Manner::Obeys).await;
    let replies = operator::health(&link, &root, &[id("A")], LONG).await.unwrap();
    assert!(matches!(&replies[..], [Reply::Health(h)] if h.agent_id == "A"), "{replies:?}");
    let order = Order { verb: Verb::Pause, target: Target::Agents(vec![id("A")]), request: ControlRequest::default() };
    let outcomes = operator::command(&link, &root, &order, Some(LONG), |_| {}).await.unwrap();
    assert!(outcomes.len() == 1 && outcomes[0].is_confirmed(), "{outcomes:?}");
    // Where nobody else answers, the stream is named.
    let silent = operator::health(&link, &root, &[id("B")], SHORT).await.unwrap();
    assert_eq!(silent, [Reply::Silent { captured_by: Some("GREEDY".to_owned()) }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_tells_who_confirmed_who_refused_and_who_did_neither() {
    let server = server();
    let root = SubjectRoot::default();
    let _agents = [
        fake(&server.url(), &root, "yes", Some("g1"), Manner::Obeys).await,
        fake(&server.url(), &root, "no", Some("g1"), Manner::Refuses).await,
        fake(&server.url(), &root, "mute", Some("g1"), Manner::Silent).await,
        fake(&server.url(), &root, "other", Some("g2"), Manner::Obeys).await,
    ];
    let link = link(&server.url()).await;
    let expected = [id("yes"), id("no"), id("mute")];
    let named = Target::Agents(vec![expected[0].clone(), expected[1].clone(), expected[2].clone(), id("gone")]);
    let generation = ControlRequest { generation_id: Some("g1".to_owned()), ..ControlRequest::default() };
    let broadcast = Target::Broadcast { expected: expected.to_vec() };
    for (target, request, gone) in [(named, ControlRequest::default(), 1), (broadcast, generation, 0)] {
        let mut told = Vec::new();
        let order = Order { verb: Verb::Pause, target, request };
        let outcomes = operator::command(&link, &root, &order, Some(SHORT), |o| told.push(o.agent().to_owned())).await.unwrap();
        let of = |name: &str| outcomes.iter().find(|o| o.agent() == name).unwrap_or_else(|| panic!("{name} in {outcomes:?}"));
        assert!(of("yes").is_confirmed());
        assert!(matches!(of("no"), Outcome::Replied(r) if !r.ok && r.error.is_some()));
        assert_eq!(of("mute"), &Outcome::Silent(id("mute")));
        assert_eq!(outcomes.iter().filter(|o| matches!(o, Outcome::Nobody(_))).count(), gone);
        assert_eq!(outcomes.len(), 3 + gone, "the other generation is not addressed: {outcomes:?}");
        assert_eq!(told, outcomes.iter().map(|o| o.agent().to_owned()).collect::<Vec<_>>(), "each is told once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_said_at_once_with_its_subject() {
    let config = r#"authorization { users = [
        { user: "all", password: "x" },
        { user: "some", password: "x", permissions: { publish: ["$SRV.PING.doom-agent"], subscribe: ["_INBOX.>"] } },
    ] }"#;
    let server = NatsServer::builder().jetstream(true).config_text(config).start().unwrap();
    let link = link(&server.url().replace("nats://", "nats://some:x@")).await;
    let (root, began) = (SubjectRoot::default(), Instant::now());
    let health = operator::health(&link, &root, &[id("A")], LONG).await.unwrap_err();
    assert!(matches!(&health, OperatorError::NotPermitted { subject, .. } if subject == "clau-doom.agent.A.health"), "{health}");
    let order = Order { verb: Verb::Pause, target: Target::Broadcast { expected: Vec::new() }, request: ControlRequest::default() };
    let command = operator::command(&link, &root, &order, None, |_| {}).await.unwrap_err();
    assert!(matches!(&command, OperatorError::NotPermitted { subject, .. } if subject == "clau-doom.system.control.pause"), "{command}");
    let lag = operator::lag(&link, None).await.unwrap_err();
    assert!(matches!(&lag, OperatorError::Api(ApiError::NoPermission { subject, .. }) if subject == "$JS.API.STREAM.LIST"), "{lag}");
    let rates = operator::rates(&link, &root, LONG, str::to_owned).await.unwrap_err();
    assert!(matches!(&rates, OperatorError::NotPermitted { subject, .. } if subject == "clau-doom.>"), "{rates}");
    assert!(began.elapsed() < LONG / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_what_is_pending_and_what_is_unacknowledged() {
    let server = server();
    let link = link(&server.url()).await;
    let context = jetstream::new(link.client().clone());
    let config = |name: &str| stream::Config { name: name.to_owned(), subjects: vec![format!("{name}.*")], ..Default::default() };
    let events = context.create_stream(config("EVENTS")).await.unwrap();
    // More than one page of them.
    for n in 0..300 {
        context.create_stream(config(&format!("S{n:03}"))).await.unwrap();
    }
    for n in 0..10 {
        context.publish(format!("EVENTS.{n}"), "x".into()).await.unwrap().await.unwrap();
    }
    let durable = consumer::pull::Config { durable_name: Some("reader".to_owned()), ..Default::default() };
    let reader = events.create_consumer(durable).await.unwrap();
    let mut batch = reader.fetch().max_messages(3).messages().await.unwrap();
    batch.next().await.unwrap().unwrap().ack().await.unwrap();
    for _ in 0..2 {
        batch.next().await.unwrap().unwrap();
    }
    round_trip(link.client()).await;
    let streams = operator::lag(&link, None).await.unwrap();
    assert_eq!(streams.len(), 301);
    assert_eq!((streams[0].stream.as_str(), streams[0].messages, streams[0].last_sequence), ("EVENTS", 10, 10));
    let [reader] = &streams[0].consumers[..] else { panic!("{:?}", streams[0]) };
    assert_eq!((reader.consumer.as_str(), reader.durable, reader.pull), ("reader", true, true));
    assert_eq!((reader.pending, reader.unacknowledged, reader.lag(), reader.delivered), (7, 2, 9, 3));
    let absent = operator::lag(&link, Some("NOT_THERE")).await.unwrap_err().to_string();
    assert!(absent.contains("no stream NOT_THERE") && absent.contains("EVENTS"), "{absent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_jetstream_lag_says_so() {
    let server = NatsServer::builder().start().unwrap();
    assert_eq!(operator::lag(&link(&server.url()).await, None).await, Err(OperatorError::Api(ApiError::NoJetStream)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_of_every_subject_below_the_root() {
    let server = server();
    let (root, reader) = (SubjectRoot::default(), link(&server.url()).await);
    let client = async_nats::connect(server.url()).await.unwrap();
    let speaker = tokio::spawn(async move {
        loop {
            client.publish("clau-doom.agent.A.action", "12345".into()).await.unwrap();
            client.publish("clau-doom.agent.A.observe", "1".into()).await.unwrap();
            client.publish("other.agent.A.observe", "1".into()).await.unwrap();
            round_trip(&client).await;
        }
    });
    let rates = operator::rates(&reader, &root, SHORT, str::to_owned).await.unwrap();
    speaker.abort();
    let subjects: Vec<_> = rates.subjects.iter().map(|s| s.subject.as_str()).collect();
    assert_eq!(subjects, ["clau-doom.agent.A.action", "clau-doom.agent.A.observe"]);
    assert_eq!(rates.missed, 0);
    let [action, observe] = &rates.subjects[..] else { panic!() };
    assert!(action.messages > 0 && action.messages.abs_diff(observe.messages) <= 1, "{rates:?}");
    assert!((action.messages_per_second * rates.seconds - action.messages as f64).abs() < 1e-6);
    assert!(action.bytes_per_second > observe.bytes_per_second);
}
