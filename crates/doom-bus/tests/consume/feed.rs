//! Events as they come, and what may be answered.

use std::time::{Duration, Instant};

use doom_bus::consume::{Batches, Consumer, Feed, Start};
use doom_protocol::{Condition, EventKind, Filter, Reading, SubjectRoot};

use crate::support::{Bus, actions, soon, step};

#[tokio::test]
async fn a_durable_feed_goes_on_where_the_last_run_stopped() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=6).await;
    let consumer = actions().durable("dashboard");
    let mut feed = Feed::open(&bus.link, consumer.clone(), Condition::default()).await.unwrap();
    for expected in 1..=4 {
        let delivered = soon(feed.next()).await.unwrap();
        assert_eq!(step(&delivered), expected);
        delivered.ack_confirmed().await.unwrap();
    }
    feed.close().await;
    // While nobody reads, the stream keeps what comes.
    bus.act("B", None, 7..=8).await;
    // Five and six had been handed to the first run, which did not answer: they come again after the wait.
    let mut feed = Feed::open(&bus.link, consumer, Condition::default()).await.unwrap();
    let mut rest = Vec::new();
    for _ in 0..4 {
        let delivered = soon(feed.next()).await.unwrap();
        delivered.ack_confirmed().await.unwrap();
        rest.push(step(&delivered));
    }
    rest.sort_unstable();
    assert_eq!(rest, [5, 6, 7, 8]);
}

#[tokio::test]
async fn nak_repeats_at_once_or_after_its_delay_and_term_never() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=4).await;
    let mut feed = Feed::open(&bus.link, actions().durable("answers"), Condition::default()).await.unwrap();
    let delay = Duration::from_millis(1500);
    let began = Instant::now();
    for _ in 0..4 {
        let delivered = soon(feed.next()).await.unwrap();
        match step(&delivered) {
            1 => delivered.ack().await.unwrap(),
            2 => delivered.nak(None).await.unwrap(),
            3 => delivered.nak(Some(delay)).await.unwrap(),
            _ => delivered.term("it is not for us").await.unwrap(),
        }
    }
    let again = soon(feed.next()).await.unwrap();
    assert_eq!((step(&again), again.info().unwrap().delivered), (2, 2));
    again.ack().await.unwrap();
    let late = soon(feed.next()).await.unwrap();
    assert_eq!((step(&late), late.info().unwrap().delivered), (3, 2));
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    late.ack_confirmed().await.unwrap();
    bus.act("A", None, 5..=5).await;
    // The fourth does not come again: the fifth is next.
    assert_eq!(step(&soon(feed.next()).await.unwrap()), 5);
}

#[tokio::test]
async fn long_work_keeps_its_delivery_and_an_answer_that_stays_away_loses_it() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=1).await;
    let ack_wait = Duration::from_secs(1);
    let consumer = Consumer { ack_wait, ..actions().durable("worker") };
    let mut feed = Feed::open(&bus.link, consumer, Condition::default()).await.unwrap();
    let first = soon(feed.next()).await.unwrap();
    // Work that takes three times as long as an answer may.
    first.while_working(ack_wait / 4, tokio::time::sleep(ack_wait * 3)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(10), feed.next()).await.is_err(), "it was delivered again");
    // And then nobody says anything any more.
    let second = soon(feed.next()).await.unwrap();
    assert_eq!((step(&second), second.info().unwrap().delivered), (1, 2));
    second.ack().await.unwrap();
}

#[tokio::test]
async fn a_feed_hears_what_it_asked_for_of_many_agents() {
    let bus = Bus::start().await;
    let filter = Filter {
        agents: ["A", "C"].map(|id| id.parse().unwrap()).to_vec(),
        experiment: Some("e1".parse().unwrap()),
        events: vec![EventKind::Action],
        ..Filter::default()
    };
    let source = filter.sources(&SubjectRoot::default(), Reading::AsItHappened).unwrap().remove(0);
    let consumer = Consumer::new(source.stream, source.subjects).start(Start::New);
    bus.act("A", Some("e1"), 1..=3).await;
    let mut feed = Feed::open(&bus.link, consumer, source.condition).await.unwrap();
    for (agent, experiment, number) in
        [("A", Some("e2"), 4), ("B", Some("e1"), 5), ("C", Some("e1"), 6), ("A", None, 7), ("A", Some("e1"), 8)]
    {
        bus.act(agent, experiment, number..=number).await;
    }
    assert_eq!(step(&soon(feed.next()).await.unwrap()), 6);
    assert_eq!(step(&soon(feed.next()).await.unwrap()), 8);
}

#[tokio::test]
async fn a_feed_without_a_name_survives_a_server_that_comes_back() {
    let mut bus = Bus::start().await;
    let mut feed = Feed::open(&bus.link, actions(), Condition::default()).await.unwrap();
    bus.act("A", None, 1..=3).await;
    for expected in 1..=3 {
        assert_eq!(step(&soon(feed.next()).await.unwrap()), expected);
    }
    let name = feed.name().to_owned();
    bus.server.kill();
    bus.server.restart().unwrap();
    bus.link.connected().await;
    bus.act("A", None, 4..=6).await;
    for expected in 4..=6 {
        assert_eq!(step(&soon(feed.next()).await.unwrap()), expected);
    }
    assert_eq!(feed.name(), name);
    // Deleted behind its back, it is made again, and nothing is repeated or left out.
    let context = async_nats::jetstream::new(bus.link.client().clone());
    context.delete_consumer_from_stream(&name, "AGENT_EVENTS").await.unwrap();
    bus.act("A", None, 7..=7).await;
    assert_eq!(step(&soon(feed.next()).await.unwrap()), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn readers_may_live_in_tasks_of_their_own() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=1).await;
    let link = bus.link.clone();
    let feed = tokio::spawn(async move {
        let mut feed = Feed::open(&link, actions(), Condition::default()).await.unwrap();
        let first = step(&feed.next().await.unwrap());
        feed.close().await;
        first
    });
    let link = bus.link.clone();
    let batches = tokio::spawn(async move {
        let mut batches = Batches::open(&link, actions(), Duration::from_secs(5)).await.unwrap();
        step(&batches.next().await.unwrap().unwrap().events[0])
    });
    assert_eq!((soon(feed).await.unwrap(), soon(batches).await.unwrap()), (1, 1));
}
