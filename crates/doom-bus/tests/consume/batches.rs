//! What a stream holds, in batches.

use std::time::Duration;

use doom_bus::consume::{Batches, Start};

use crate::support::{Bus, actions, soon, step};

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
