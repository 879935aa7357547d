//! Streams on a real server: made, changed, narrowed and refused as a plan says beforehand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use async_nats::Client;
use doom_bus::{
    ApiError, ConnectSettings, Link, connect,
    streams::{Action, ApplyError, Losses, Plan, Step, Wanted, apply, plan, purge, read},
};
use doom_protocol::{SubjectRoot, stream::StreamSet};
use nats_server_process::NatsServer;
use serde_json::{Value, json};

struct Broker {
    client: Client,
    link: Link,
    _server: NatsServer,
}

async fn link(server: &NatsServer) -> Link {
    let link = connect(&ConnectSettings { url: server.url(), name: "test".to_owned(), ..Default::default() }).await.unwrap();
    link.connected_within(std::time::Duration::from_secs(40)).await.unwrap();
    link
}

impl Broker {
    async fn start() -> Self {
        let server = NatsServer::builder().jetstream(true).start().unwrap();
        let link = link(&server).await;
        Self { client: link.client().clone(), link, _server: server }
    }

    async fn api(&self, what: &str, body: Value) -> Value {
        let reply = self.client.request(format!("$JS.API.{what}"), body.to_string().into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&reply.payload).unwrap();
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    async fn make(&self, config: Value) {
        let name = config["name"].as_str().unwrap().to_owned();
        self.api(&format!("STREAM.CREATE.{name}"), config).await;
    }

    async fn store(&self, subject: &str) -> u64 {
        let reply = self.client.request(subject.to_owned(), "x".into()).await.unwrap();
        serde_json::from_slice::<Value>(&reply.payload).unwrap()["seq"].as_u64().unwrap()
    }

    async fn config(&self, name: &str) -> Value {
        self.api(&format!("STREAM.INFO.{name}"), json!({})).await["config"].take()
    }

    async fn plan(&self, set: &StreamSet) -> Plan {
        self.plan_under("clau-doom", set).await
    }

    async fn plan_under(&self, root: &str, set: &StreamSet) -> Plan {
        let root: SubjectRoot = root.parse().unwrap();
        plan(&Wanted { set, root: &root, replicas: None }, &read(&self.link).await.unwrap())
    }

    async fn apply(&self, plan: &Plan, losses: Losses) -> Result<(), ApplyError> {
        apply(&self.link, plan, losses, |_| {}).await
    }
}

fn step<'a>(plan: &'a Plan, stream: &str) -> &'a Step {
    plan.steps.iter().find(|s| s.stream == stream).unwrap_or_else(|| panic!("no step for {stream} in {plan:#?}"))
}

fn set(text: &str) -> StreamSet {
    StreamSet::parse(text).unwrap()
}

#[tokio::test]
async fn the_streams_of_the_design_are_made_once_and_then_nothing_is_to_do() {
    let broker = Broker::start().await;
    let plan = broker.plan(StreamSet::standard()).await;
    assert!(plan.steps.iter().all(|s| s.action == Action::Create && s.loses().next().is_none()), "{plan:#?}");
    broker.apply(&plan, Losses::Refused).await.unwrap();
    // The plan of before, carried out again, finds everything as it would make it.
    broker.apply(&plan, Losses::Refused).await.unwrap();
    let again = broker.plan(StreamSet::standard()).await;
    assert!(again.is_done(), "{again:#?}");
    let events = broker.config("AGENT_EVENTS").await;
    assert_eq!(events["max_bytes"], 1 << 30);
    assert_eq!(events["max_msg_size"], 1 << 20);
    assert_eq!(events["max_age"], 7 * 86_400_000_000_000_u64);
    assert_eq!((&events["allow_direct"], &events["discard"]), (&json!(true), &json!("old")));
    assert_eq!(broker.config("EVALUATIONS").await["retention"], "workqueue");
    // Records are copied, steps are not.
    broker.store("clau-doom.agent.A.action").await;
    broker.store("clau-doom.agent.A.score").await;
    let mut records = async_nats::jetstream::new(broker.client.clone()).get_stream("AGENT_RECORDS").await.unwrap();
    while records.info().await.unwrap().state.messages == 0 {
        tokio::task::yield_now().await;
    }
    let copied = records.get_raw_message(1).await.unwrap();
    assert_eq!(copied.subject.as_str(), "clau-doom.agent.A.score");
}

#[tokio::test]
async fn what_an_operator_has_set_beside_the_file_stays() {
    let broker = Broker::start().await;
    broker.make(json!({"name":"METRICS","subjects":["clau-doom.metrics.>"],"max_age":1_000_000_000_000_u64,"metadata":{"team":"ml"},"max_consumers":7})).await;
    let plan = broker.plan(StreamSet::standard()).await;
    let metrics = step(&plan, "METRICS");
    assert_eq!(metrics.action, Action::Change);
    let age = metrics.changes.iter().find(|c| c.field == "max_age").unwrap();
    assert_eq!((age.from.as_str(), age.to.as_str(), &age.loses), ("16m 40s", "1day", &None));
    // Fewer bytes than before is a loss, whatever is in there.
    let bytes = metrics.changes.iter().find(|c| c.field == "max_bytes").unwrap();
    assert_eq!((bytes.from.as_str(), bytes.to.as_str()), ("no limit", "512.0 MiB"));
    assert!(bytes.loses.is_some());
    broker.apply(&plan, Losses::Allowed).await.unwrap();
    let config = broker.config("METRICS").await;
    assert_eq!((&config["metadata"]["team"], &config["max_consumers"]), (&json!("ml"), &json!(7)));
    assert!(broker.plan(StreamSet::standard()).await.is_done());
}

#[tokio::test]
async fn a_lossy_change_is_refused_as_a_whole_until_it_is_allowed() {
    let broker = Broker::start().await;
    broker.make(json!({"name":"A","subjects":["clau-doom.a.>","clau-doom.b"],"storage":"memory"})).await;
    broker.store("clau-doom.a.1").await;
    let wanted =
        set("[[stream]]\nname = \"A\"\nsubjects = [\"a.>\"]\nmax_age = \"1d\"\n[[stream]]\nname = \"NEW\"\nsubjects = [\"new\"]\n");
    let plan = broker.plan(&wanted).await;
    let a = step(&plan, "A");
    assert_eq!(a.action, Action::Recreate);
    let losses: Vec<_> = a.changes.iter().filter(|c| c.loses.is_some()).map(|c| c.field).collect();
    assert_eq!(losses, ["subjects", "max_age", "storage"]);
    let refused = broker.apply(&plan, Losses::Refused).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Lossy(all) if all.len() == 3 && all[0].contains("clau-doom.b")), "{refused}");
    assert!(read(&broker.link).await.unwrap().get("NEW").is_none(), "nothing is half done");
    assert_eq!(broker.config("A").await["storage"], "memory");
    broker.apply(&plan, Losses::Allowed).await.unwrap();
    assert_eq!(broker.config("A").await["storage"], "file");
    assert!(broker.plan(&wanted).await.is_done());
}

#[tokio::test]
async fn a_stream_of_ours_that_takes_health_requests_is_mended_without_force_and_keeps_what_it_has() {
    let broker = Broker::start().await;
    broker.make(json!({"name":"AGENT_EVENTS","subjects":["clau-doom.agent.>"],"max_age":7*86_400_000_000_000_u64,"max_bytes":1<<30,"max_msg_size":1<<20})).await;
    broker.store("clau-doom.agent.A.score").await;
    assert_eq!(doom_bus::health_trap(&broker.link, "clau-doom.agent.A.health").await.as_deref(), Some("AGENT_EVENTS"));
    let plan = broker.plan(StreamSet::standard()).await;
    let events = step(&plan, "AGENT_EVENTS");
    assert_eq!((events.action, events.loses().next(), events.messages), (Action::Change, None, 1));
    assert!(events.changes[0].note.as_ref().unwrap().contains("health requests"), "{events:#?}");
    broker.apply(&plan, Losses::Refused).await.unwrap();
    assert_eq!(doom_bus::health_trap(&broker.link, "clau-doom.agent.A.health").await, None);
    assert_eq!(read(&broker.link).await.unwrap().get("AGENT_EVENTS").unwrap().messages, 1);
}

#[tokio::test]
async fn a_strangers_stream_in_the_way_gives_up_what_traps_and_keeps_what_it_has() {
    let broker = Broker::start().await;
    broker.make(json!({"name":"EVERYTHING","subjects":["clau-doom.>"]})).await;
    broker.make(json!({"name":"AUDIT","subjects":["audit.>"]})).await;
    broker.store("clau-doom.agent.A.score").await;
    let plan = broker.plan(StreamSet::standard()).await;
    let everything = step(&plan, "EVERYTHING");
    assert_eq!((everything.action, everything.loses().next()), (Action::Narrow, None));
    assert_eq!(everything.changes[0].to, "clau-doom.retired.EVERYTHING");
    assert!(!plan.steps.iter().any(|s| s.stream == "AUDIT"));
    broker.apply(&plan, Losses::Refused).await.unwrap();
    assert!(broker.plan(StreamSet::standard()).await.is_done());
    assert_eq!(read(&broker.link).await.unwrap().get("EVERYTHING").unwrap().messages, 1);
}

#[tokio::test]
async fn a_stranger_that_merely_rivals_or_reaches_beyond_the_root_gives_way_only_where_that_is_allowed() {
    let broker = Broker::start().await;
    broker.make(json!({"name":"SCORES","subjects":["pop.one.agent.*.score","scores.>"]})).await;
    broker.make(json!({"name":"WIDE","subjects":["pop.*.agent.*.health"]})).await;
    let plan = broker.plan_under("pop.one", StreamSet::standard()).await;
    assert!(step(&plan, "SCORES").loses().next().unwrap().contains("goes to AGENT_EVENTS"));
    assert!(step(&plan, "WIDE").loses().next().unwrap().contains("outside of pop.one"));
    assert!(matches!(broker.apply(&plan, Losses::Refused).await, Err(ApplyError::Lossy(_))));
    assert_eq!(read(&broker.link).await.unwrap().streams.len(), 2, "nothing is half done");
    broker.apply(&plan, Losses::Allowed).await.unwrap();
    assert_eq!(broker.config("SCORES").await["subjects"], json!(["scores.>"]));
    assert!(broker.plan_under("pop.one", StreamSet::standard()).await.is_done());
}

#[tokio::test]
async fn several_populations_share_the_streams() {
    let broker = Broker::start().await;
    for root in ["clau-doom", "other.root"] {
        let plan = broker.plan_under(root, StreamSet::standard()).await;
        broker.apply(&plan, Losses::Refused).await.unwrap();
    }
    for root in ["clau-doom", "other.root"] {
        let plan = broker.plan_under(root, StreamSet::standard()).await;
        assert!(plan.is_done(), "{plan:#?}");
        broker.store(&format!("{root}.agent.A.score")).await;
    }
    let mut records = async_nats::jetstream::new(broker.client.clone()).get_stream("AGENT_RECORDS").await.unwrap();
    while records.info().await.unwrap().state.messages < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn purging_counts_what_went() {
    let broker = Broker::start().await;
    broker.make(json!({"name":"A","subjects":["a.>"]})).await;
    for subject in ["a.1", "a.2", "a.2", "a.2"] {
        broker.store(subject).await;
    }
    assert_eq!(purge(&broker.link, "A", Some("a.2"), Some(1)).await.unwrap(), 2);
    assert_eq!(purge(&broker.link, "A", None, None).await.unwrap(), 2);
    assert_eq!(purge(&broker.link, "NONE", None, None).await, Err(ApiError::NoStream("NONE".to_owned())));
}

#[tokio::test]
async fn a_server_without_jetstream_is_named() {
    let server = NatsServer::builder().start().unwrap();
    let link = link(&server).await;
    assert_eq!(read(&link).await, Err(ApiError::NoJetStream));
    assert!(doom_bus::create_streams(&link, "clau-doom").await.unwrap_err().contains("no JetStream"));
}
