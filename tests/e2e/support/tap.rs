//! A client of its own: hears everything below the root, keeps the bytes, decodes them by hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use async_nats::{Client, ConnectOptions, Message};
use futures::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{WITHIN, runtime};

/// One message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) subject: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) bytes: Vec<u8>,
}

impl Event {
    pub(crate) fn of(message: &Message) -> Self {
        let headers = message.headers.iter().flat_map(|h| h.iter());
        let headers = headers.map(|(name, values)| {
            assert_eq!(values.len(), 1, "header {name} of {} stands more than once", message.subject);
            (name.to_string(), values[0].to_string())
        });
        Self { subject: message.subject.to_string(), headers: headers.collect(), bytes: message.payload.to_vec() }
    }

    /// The body, decoded as its `Content-Type` says.
    pub(crate) fn body(&self) -> Value {
        match self.headers.get("Content-Type").map(String::as_str) {
            Some("application/msgpack") => from_msgpack(&self.bytes),
            Some("application/json") => self.json(),
            other => panic!("{} has the content type {other:?}", self.subject),
        }
    }

    /// The body of something that has no `Content-Type`: JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{}: {e}: {:?}", self.subject, self.bytes))
    }

    /// The payload within the envelope.
    pub(crate) fn payload(&self) -> Value {
        self.body()["payload"].take()
    }

    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{} has no header {name}: {:?}", self.subject, self.headers))
    }

    /// The `seq` header, where there is one.
    pub(crate) fn seq(&self) -> Option<u64> {
        self.headers.get("seq").map(|s| s.parse().unwrap())
    }

    /// The last token of the subject.
    pub(crate) fn leaf(&self) -> &str {
        self.subject.rsplit('.').next().unwrap()
    }
}

/// MessagePack with named fields: whatever is no map with text keys, array, text, number, flag or nil is refused.
fn from_msgpack(mut bytes: &[u8]) -> Value {
    let value = rmpv::decode::read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "{} bytes follow the value", bytes.len());
    to_json(value)
}

fn to_json(value: rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(flag) => flag.into(),
        rmpv::Value::Integer(n) => n.as_u64().map(Value::from).or_else(|| n.as_i64().map(Value::from)).unwrap(),
        rmpv::Value::F64(n) => n.into(),
        rmpv::Value::String(text) => text.into_str().unwrap().into(),
        rmpv::Value::Array(list) => list.into_iter().map(to_json).collect(),
        rmpv::Value::Map(map) => map.into_iter().map(|(k, v)| (k.as_str().unwrap().to_owned(), to_json(v))).collect(),
        other => panic!("{other:?} has no place in an event"),
    }
}

#[derive(Default)]
struct Heard {
    events: Mutex<Vec<Arc<Event>>>,
    changed: Condvar,
}

/// Subscribed to `clau-doom.>` (or to something else), with everything it has heard.
pub(crate) struct Tap {
    pub(crate) client: Client,
    heard: Arc<Heard>,
    task: JoinHandle<()>,
}

impl Tap {
    /// Hears everything below the root from now on: the server has the subscription when this returns.
    pub(crate) fn open(url: &str) -> Self {
        Self::on_subject(url, "clau-doom.>")
    }

    /// Hears this subject.
    pub(crate) fn on_subject(url: &str, subject: &str) -> Self {
        let heard = Arc::new(Heard::default());
        let (client, task) = runtime().block_on(async {
            let options = ConnectOptions::new().subscription_capacity(1 << 22).retry_on_initial_connect();
            let client = options.connect(url).await.unwrap();
            let mut messages = client.subscribe(subject.to_owned()).await.unwrap();
            round_trip(&client).await;
            let heard = Arc::clone(&heard);
            let task = tokio::spawn(async move {
                while let Some(message) = messages.next().await {
                    heard.events.lock().unwrap().push(Arc::new(Event::of(&message)));
                    heard.changed.notify_all();
                }
            });
            (client, task)
        });
        Self { client, heard, task }
    }

    /// Everything heard so far.
    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        self.heard.events.lock().unwrap().clone()
    }

    /// What was heard on a subject so far.
    pub(crate) fn on(&self, subject: &str) -> Vec<Arc<Event>> {
        self.events().into_iter().filter(|e| e.subject == subject).collect()
    }

    /// Waits for the n-th (from 1) event that fits; counts from the beginning.
    pub(crate) fn nth(&self, n: usize, what: &str, fits: impl Fn(&Event) -> bool) -> Arc<Event> {
        let until = Instant::now() + WITHIN;
        let (mut seen, mut found) = (0, 0);
        let mut events = self.heard.events.lock().unwrap();
        loop {
            for event in &events[seen..] {
                found += usize::from(fits(event));
                if found == n {
                    return Arc::clone(event);
                }
            }
            seen = events.len();
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                panic!("heard {found} of {n} ({what}) within {WITHIN:?}, among {seen} events");
            };
            events = self.heard.changed.wait_timeout(events, left).unwrap().0;
        }
    }

    /// Waits for the n-th event on a subject.
    pub(crate) fn wait(&self, subject: &str, n: usize) -> Arc<Event> {
        self.nth(n, subject, |e| e.subject == subject)
    }

    /// Waits for the agent's lifecycle event of this state.
    pub(crate) fn lifecycle(&self, agent: &str, state: &str) -> Value {
        let event = self.nth(1, &format!("{agent} is {state}"), |e| {
            e.subject == "clau-doom.system.doom_agent.lifecycle" && {
                let payload = e.payload();
                payload["agent_id"] == agent && payload["state"] == state
            }
        });
        event.payload()
    }

    /// Asks, and returns the one answer as JSON; repeats nothing.
    pub(crate) fn request(&self, subject: &str, body: &str) -> Value {
        self.request_within(subject, body, WITHIN).unwrap_or_else(|| panic!("no answer on {subject} within {WITHIN:?}"))
    }

    /// Asks and waits for an answer this long.
    pub(crate) fn request_within(&self, subject: &str, body: &str, bound: Duration) -> Option<Value> {
        let request = async_nats::Request::new().payload(body.to_owned().into()).timeout(Some(bound));
        let answer = runtime().block_on(self.client.send_request(subject.to_owned(), request)).ok()?;
        Some(serde_json::from_slice(&answer.payload).unwrap_or_else(|e| panic!("{subject}: {e}: {:?}", answer.payload)))
    }

    /// Asks, and collects every answer until `enough` have come or the bound has passed.
    pub(crate) fn request_many(&self, subject: &str, body: &str, enough: usize, bound: Duration) -> Vec<Event> {
        runtime().block_on(async {
            let inbox = self.client.new_inbox();
            let mut answers = self.client.subscribe(inbox.clone()).await.unwrap();
            self.client.publish_with_reply(subject.to_owned(), inbox, body.to_owned().into()).await.unwrap();
            let mut all = Vec::new();
            let collect = async {
                while all.len() < enough {
                    all.push(Event::of(&answers.next().await.unwrap()));
                }
            };
            // Silence is an answer too.
            let _ = tokio::time::timeout(bound, collect).await;
            all
        })
    }

    /// A command that fits everyone and is done with when this returns: the server has it.
    pub(crate) fn publish(&self, subject: &str, body: &str) {
        runtime().block_on(async {
            self.client.publish(subject.to_owned(), body.to_owned().into()).await.unwrap();
            round_trip(&self.client).await;
        });
    }

    /// Everything that was published before has been heard when this returns.
    pub(crate) fn catch_up(&self) {
        runtime().block_on(round_trip(&self.client));
        let before = self.heard.events.lock().unwrap().len();
        let token = format!("clau-doom.test.{}", self.client.new_inbox().replace('.', "-"));
        runtime().block_on(async { self.client.publish(token.clone(), "".into()).await.unwrap() });
        self.nth(1, "the tap's own message", |e| e.subject == token);
        let mut events = self.heard.events.lock().unwrap();
        assert!(events.len() > before);
        events.retain(|e| e.subject != token);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server has processed everything the client has sent.
pub(super) async fn round_trip(client: &Client) {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    tokio::time::timeout(WITHIN, answers.next()).await.expect("the server answers").unwrap();
}
