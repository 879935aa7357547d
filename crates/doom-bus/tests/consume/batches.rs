//! What a stream holds, in batches.

use std::time::{Duration, Instant, SystemTime};

use doom_bus::consume::{Batches, Start};
use doom_protocol::Timestamp;
use serde_json::json;

use crate::support::{Bus, WITHIN, actions, soon, step};

const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn batches_are_full_but_the_last_and_end_where_the_stream_did() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=25).await;
    let mut batches = Batches::open(&bus.link, actions().batch(10), DEADLINE).await.unwrap();
    // What comes after the beginning is for the next reader.
    bus.act("A", None, 26..=30).await;
    let mut sizes = Vec::new();
    let mut steps = Vec::new();
    while let Some(batch) = soon(batches.next()).await.unwrap() {
        sizes.push(batch.events.len());
        steps.extend(batch.events.iter().map(step));
    }
    // A batch that was on its way already is handed over whole.
    assert_eq!(sizes[..2], [10, 10]);
    let end = *steps.last().unwrap();
    assert!((25..=30).contains(&end), "{end}");
    assert_eq!(steps, (1..=end).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_that_is_not_full_when_its_deadline_passes_has_what_came() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=25).await;
    let wait = Duration::from_secs(1);
    let mut batches = Batches::open(&bus.link, actions().batch(10), wait).await.unwrap();
    // One batch is delivered, and then the consumer is paused by an operator.
    let first = soon(batches.next()).await.unwrap().unwrap();
    assert_eq!(first.events.len(), 10);
    let subject = format!("$JS.API.CONSUMER.PAUSE.AGENT_EVENTS.{}", batches.name());
    let pause = async |until: serde_json::Value| {
        let reply = bus.link.client().request(subject.clone(), until.to_string().into()).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&reply.payload).unwrap()["paused"].clone()
    };
    assert_eq!(pause(json!({"pause_until": Timestamp::from_system(SystemTime::now() + WITHIN)})).await, true);
    let mut steps: Vec<u64> = first.events.iter().map(step).collect();
    let began = Instant::now();
    loop {
        let batch = soon(batches.next()).await.unwrap().unwrap();
        steps.extend(batch.events.iter().map(step));
        if batch.events.is_empty() {
            break;
        }
        // What was on its way already.
        assert!(steps.len() < 25, "nothing is left to be waited for");
    }
    assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
    assert_eq!(pause(json!({})).await, false);
    while let Some(batch) = soon(batches.next()).await.unwrap() {
        steps.extend(batch.events.iter().map(step));
    }
    assert_eq!(steps, (1..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_empty_stream_ends_at_once() {
    let bus = Bus::start().await;
    let mut batches = Batches::open(&bus.link, actions(), DEADLINE).await.unwrap();
    assert!(soon(batches.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_name_remembers_which_batches_were_acknowledged() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=25).await;
    let consumer = actions().batch(10).durable("analytics");
    let mut first = Batches::open(&bus.link, consumer.clone(), DEADLINE).await.unwrap();
    let done = soon(first.next()).await.unwrap().unwrap();
    done.ack().await.unwrap();
    let not_done = soon(first.next()).await.unwrap().unwrap();
    assert_eq!(not_done.events.len(), 10);
    drop(first);
    // The next run has what was not acknowledged at once, and in order.
    let mut second = Batches::open(&bus.link, consumer.clone(), DEADLINE).await.unwrap();
    let mut steps = Vec::new();
    while let Some(batch) = soon(second.next()).await.unwrap() {
        batch.ack().await.unwrap();
        steps.extend(batch.events.iter().map(step));
    }
    assert_eq!(steps, (11..=25).collect::<Vec<_>>());
    bus.act("A", None, 26..=27).await;
    let mut third = Batches::open(&bus.link, consumer, DEADLINE).await.unwrap();
    assert_eq!(soon(third.next()).await.unwrap().unwrap().events.iter().map(step).collect::<Vec<_>>(), [26, 27]);
}

#[tokio::test]
async fn a_server_that_crashes_in_between_costs_no_event_and_repeats_none() {
    let mut bus = Bus::start().await;
    bus.act("A", None, 1..=300).await;
    for durable in [None, Some("crash")] {
        let mut consumer = actions().batch(20).start(Start::Sequence(51));
        consumer.durable = durable.map(str::to_owned);
        let mut batches = Batches::open(&bus.link, consumer, DEADLINE).await.unwrap();
        let mut steps = Vec::new();
        while let Some(batch) = soon(batches.next()).await.unwrap() {
            steps.extend(batch.events.iter().map(step));
            if steps.len() == 100 {
                bus.server.kill();
                bus.server.restart().unwrap();
            }
        }
        assert_eq!(steps, (51..=300).collect::<Vec<_>>(), "{durable:?}");
    }
}
