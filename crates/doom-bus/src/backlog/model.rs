//! The record path over random interleavings of what happens to disk, process and broker: the real backlog, spool and way of storing against a
//! stream that forgets, loses answers and hears late. Whatever comes when, what was committed is stored once, and in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{HeaderMap, Subject};
use doom_protocol::header;
use futures::FutureExt;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Backlog, Disk, RecordSettings};
use crate::{
    ApiError, Ledger,
    attempt::{Answer, Streams, attempt},
    spool::{ORDERED, Record, by_hand},
};

const SCORE: &str = "score";
const DEATH: &str = "death";
const ERROR: &str = "error";

/// What becomes of a record on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    AnswerLost,
    NotSent,
    /// Reaches the stream when the sender has given it up.
    Late,
    /// What is late arrives between the look at the subject and the record.
    Overtaken,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    /// An episode begins: from now on there is something that the next start would close.
    Open,
    Die,
    /// The episode ends; its score, which may be larger than the stream takes.
    Score {
        large: bool,
    },
    Error,
    /// The disk does what it was asked first, or cannot.
    Disk {
        fails: bool,
    },
    /// The process hears of it.
    Hear,
    Send(Fate),
    LateArrives,
    /// The stream's duplicate window is over.
    Forget,
    /// Telemetry evicts what the stream has; a copy stays.
    Evict,
    /// The stream takes large records, or does not.
    Limit(bool),
    /// The connection is another one.
    Connect,
    Time(u64),
    /// SIGKILL, and another start: with the spool, or without.
    Kill {
        spool: bool,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let fate = prop_oneof![
        6 => Just(Fate::Answered), 2 => Just(Fate::AnswerLost), 1 => Just(Fate::NotSent), 2 => Just(Fate::Late), 1 => Just(Fate::Overtaken)
    ];
    prop_oneof![
        3 => Just(Act::Open),
        2 => Just(Act::Die),
        6 => prop::bool::weighted(0.15).prop_map(|large| Act::Score { large }),
        1 => Just(Act::Error),
        10 => prop::bool::weighted(0.3).prop_map(|fails| Act::Disk { fails }),
        10 => Just(Act::Hear),
        14 => fate.prop_map(Act::Send),
        1 => Just(Act::LateArrives),
        2 => Just(Act::Forget),
        1 => Just(Act::Evict),
        2 => any::<bool>().prop_map(Act::Limit),
        2 => Just(Act::Connect),
        6 => prop_oneof![Just(50), Just(300), Just(6_000), Just(21_000)].prop_map(Act::Time),
        3 => prop::bool::weighted(0.8).prop_map(|spool| Act::Kill { spool }),
    ]
}

/// A stream of three subjects.
#[derive(Default)]
struct Stream {
    stored: Vec<(String, HeaderMap)>,
    /// So many of them have left it.
    evicted: usize,
    remembered: BTreeSet<String>,
    late: Vec<(Record, HeaderMap, Option<u64>)>,
    fate: Option<Fate>,
    takes_large: bool,
}

impl Stream {
    fn last(&self, subject: &str) -> Option<(HeaderMap, u64)> {
        let at = self.stored.iter().rposition(|(s, _)| s == subject)?;
        let sequence = if at < self.evicted { 0 } else { at as u64 + 1 };
        Some((self.stored[at].1.clone(), sequence))
    }

    fn put(&mut self, record: &Record, headers: HeaderMap, expected: Option<u64>) -> Answer {
        if self.remembered.contains(record.message_id()) {
            return Answer::Stored(None);
        }
        if expected.is_some_and(|n| n != self.last(&record.subject).map_or(0, |(_, sequence)| sequence)) {
            return Answer::Conflict;
        }
        self.remembered.insert(record.message_id().to_owned());
        self.stored.push((record.subject.to_string(), headers));
        Answer::Stored(Some(self.stored.len() as u64))
    }

    fn late_arrives(&mut self) {
        for (record, headers, expected) in std::mem::take(&mut self.late) {
            self.put(&record, headers, expected);
        }
    }
}

impl Streams for Mutex<Stream> {
    async fn find(&self, _subject: &str) -> Result<Option<String>, ApiError> {
        Ok(Some("S".to_owned()))
    }

    async fn last(&self, _stream: &str, subject: &str) -> Result<Option<(HeaderMap, u64)>, String> {
        let mut stream = self.lock().unwrap();
        let last = stream.last(subject);
        if stream.fate == Some(Fate::Overtaken) {
            stream.late_arrives();
        }
        Ok(last)
    }

    async fn store(&self, record: &Record, headers: HeaderMap, expected: Option<u64>) -> Answer {
        let mut stream = self.lock().unwrap();
        if !stream.takes_large && is_large(record) {
            return Answer::TooLarge("1 MB is too much".to_owned());
        }
        let lost = || Answer::Failed("no answer".to_owned());
        match stream.fate {
            None | Some(Fate::Answered | Fate::Overtaken) => stream.put(record, headers, expected),
            Some(Fate::AnswerLost) => {
                stream.put(record, headers, expected);
                lost()
            }
            Some(Fate::NotSent) => lost(),
            Some(Fate::Late) => {
                stream.late.push((record.clone(), headers, expected));
                lost()
            }
        }
    }
}

fn is_large(record: &Record) -> bool {
    !record.payload.is_empty()
}

/// One process of the agent.
struct Process {
    instance: String,
    backlog: Backlog,
    hand: Option<by_hand::Hand>,
    seq: u64,
    episode: u64,
    open: bool,
    /// Ids of what the disk would have the next start close.
    will: Vec<String>,
}

struct World {
    dir: TempDir,
    stream: Arc<Mutex<Stream>>,
    process: Option<Process>,
    processes: u64,
    /// Every start so far had the spool.
    always_a_spool: bool,
    /// Ids in the order in which the records were made, without those that are large or may be made by another start.
    made: Vec<String>,
    /// Ids that are promised.
    committed: BTreeSet<String>,
    /// By id of a score or of a lost episode: the episode.
    episodes: BTreeMap<String, String>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            dir: TempDir::new().unwrap(),
            stream: Arc::default(),
            process: None,
            processes: 0,
            always_a_spool: true,
            made: Vec::new(),
            committed: BTreeSet::new(),
            episodes: BTreeMap::new(),
        };
        world.kill(true);
        world
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    fn kill(&mut self, spool: bool) {
        if let Some(process) = self.process.take() {
            // What was on disk of an open episode is a record from now on.
            self.committed.extend(process.will);
        }
        self.processes += 1;
        let instance = format!("{:08}-0000-7000-8000-000000000000", self.processes);
        let (spool, hand) = spool.then(|| by_hand::open(&self.dir.path().join("records"), &instance)).unzip();
        self.always_a_spool &= spool.is_some();
        let backlog = Backlog::new(spool, RecordSettings::default(), Arc::new(Ledger::default()));
        self.process = Some(Process { instance, backlog, hand, seq: 0, episode: 0, open: false, will: Vec::new() });
    }

    fn record(&self, id: &str, subject: &str, large: bool) -> Record {
        let mut headers = HeaderMap::new();
        headers.insert(header::MSG_ID, id);
        let group = if subject == ERROR { ERROR } else { ORDERED };
        let payload = if large { vec![0] } else { Vec::new() };
        Record { order: 0, group: group.into(), subject: Subject::from(subject), headers, payload: payload.into(), own: true }
    }

    fn make(&mut self, subject: &str, large: bool) {
        let process = self.process();
        process.seq += 1;
        let id = format!("{}-{}", process.instance, process.seq);
        if subject == SCORE {
            // An episode that nobody noted is begun and ended at once.
            process.episode += u64::from(!std::mem::take(&mut process.open));
            let episode = format!("{}-{}", process.instance, process.episode);
            self.episodes.insert(id.clone(), episode);
        }
        if !large {
            self.made.push(id.clone());
        }
        let record = self.record(&id, subject, large);
        self.process().backlog.push(record);
        self.renew_will();
    }

    fn renew_will(&mut self) {
        let process = self.process();
        let id = process.open.then(|| format!("{}-lost-{}", process.instance, process.episode));
        let episode = format!("{}-{}", process.instance, process.episode);
        let will = id.map(|id| {
            let record = self.record(&id, SCORE, false);
            self.episodes.insert(id, episode);
            record
        });
        self.process().backlog.set_will(will.into_iter().collect());
    }

    fn serve(&mut self, fails: bool) {
        let Some(hand) = &mut self.process.as_mut().unwrap().hand else { return };
        if fails {
            return hand.fail();
        }
        let (records, will) = hand.serve();
        self.committed.extend(records.iter().map(|r| r.message_id().to_owned()));
        if let Some(will) = will {
            self.process().will = will.iter().map(|r| r.message_id().to_owned()).collect();
        }
    }

    fn hear(&mut self) {
        let backlog = &mut self.process().backlog;
        while let Some(answer) = backlog.answer().now_or_never() {
            backlog.take(answer);
        }
    }

    async fn send(&mut self, fate: Fate) {
        let stream = Arc::clone(&self.stream);
        stream.lock().unwrap().fate = Some(fate);
        let backlog = &mut self.process().backlog;
        for key in backlog.due(tokio::time::Instant::now()) {
            let task = backlog.start(&key).unwrap();
            let outcome = attempt(&*stream, task).await;
            backlog.settle(&key, outcome);
        }
        backlog.refused.clear();
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Open => {
                let process = self.process();
                process.episode += u64::from(!std::mem::replace(&mut process.open, true));
                self.renew_will();
            }
            Act::Die => self.make(DEATH, false),
            Act::Score { large } => self.make(SCORE, large),
            Act::Error => self.make(ERROR, false),
            Act::Disk { fails } => self.serve(fails),
            Act::Hear => self.hear(),
            Act::Send(fate) => self.send(fate).await,
            Act::LateArrives => self.stream.lock().unwrap().late_arrives(),
            Act::Forget => self.stream.lock().unwrap().remembered.clear(),
            Act::Evict => {
                let mut stream = self.stream.lock().unwrap();
                stream.evicted = stream.stored.len();
                // It takes longer than a connection with something unread on it lives.
                stream.late.clear();
            }
            Act::Limit(takes_large) => self.stream.lock().unwrap().takes_large = takes_large,
            Act::Connect => self.process().backlog.connected_anew(),
            Act::Time(milliseconds) => tokio::time::advance(Duration::from_millis(milliseconds)).await,
            Act::Kill { spool } => self.kill(spool),
        }
        let backlog = &mut self.process().backlog;
        backlog.try_again();
        backlog.ask();
        // What health calls durable is.
        assert!(backlog.disk != Disk::Good || backlog.memory_only == backlog.pending.len(), "{backlog:?}");
        // The runtime counts what is done in one go.
        tokio::task::yield_now().await;
    }

    /// Everything is well again: the next start sends what is left.
    async fn settle(&mut self) {
        self.stream.lock().unwrap().takes_large = true;
        self.act(Act::Kill { spool: true }).await;
        for _ in 0..500 {
            for act in [Act::Disk { fails: false }, Act::Hear, Act::Send(Fate::Answered), Act::Time(300)] {
                self.act(act).await;
            }
            let backlog = &self.process().backlog;
            if backlog.is_committed() && backlog.next_ask().is_none() && backlog.groups.values().all(super::Group::is_done) {
                return;
            }
        }
        panic!("never done: {:?}", self.process().backlog);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let stream = self.stream.lock().unwrap();
        let id = |headers: &HeaderMap| headers.get(header::MSG_ID).unwrap().as_str().to_owned();
        let of = |subject: &str| stream.stored.iter().filter(|(s, _)| s == subject).map(|(_, h)| id(h)).collect::<Vec<_>>();
        let mut all: BTreeSet<String> = of(ERROR).into_iter().collect();
        let mut told = BTreeSet::new();
        for subject in [SCORE, DEATH] {
            for id in of(subject) {
                prop_assert!(all.insert(id.clone()), "stored twice: {}", id);
                if let Some(episode) = self.episodes.get(&id) {
                    prop_assert!(told.insert(episode), "scored and called lost: {}", episode);
                }
            }
            let place: BTreeMap<_, _> = self.made.iter().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
            let stored = of(subject);
            let mut last: BTreeMap<&str, usize> = BTreeMap::new();
            for (id, n) in stored.iter().filter_map(|id| Some((id, *place.get(id.as_str())?))) {
                // A start without the spool stores its own before what waits there.
                let among = if self.always_a_spool { "" } else { &id[..36] };
                let before = last.insert(among, n);
                prop_assert!(before.is_none_or(|b| b < n), "out of order: {} in {:?}", id, stored);
            }
        }
        for id in &self.committed {
            let is_told = self.episodes.get(id).is_some_and(|episode| told.contains(episode));
            prop_assert!(all.contains(id) || is_told, "lost: {}", id);
        }
        Ok(())
    }
}

fn run(acts: impl IntoIterator<Item = Act>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        for act in acts {
            world.act(act).await;
        }
        world.settle().await;
        world.check()?;
        // And whatever is still on its way, or left on disk, changes nothing.
        world.act(Act::LateArrives).await;
        world.settle().await;
        world.check()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_is_stored_once_and_in_order(acts in prop::collection::vec(act(), 1..90)) {
        run(acts)?;
    }
}

const GOOD: Act = Act::Disk { fails: false };
const BAD: Act = Act::Disk { fails: true };
const SCORED: Act = Act::Score { large: false };
const SENT: Act = Act::Send(Fate::Answered);
const KILLED: Act = Act::Kill { spool: true };

/// Of three processes: what the first has left is sent by the second, whose disk fails before that is erased and who has scores of its own.
#[test]
fn what_was_sent_and_not_erased_is_not_sent_again_although_more_was_stored_from_memory() {
    let first = [SCORED, Act::Time(50), GOOD, Act::Hear, KILLED];
    let second = [GOOD, Act::Hear, SENT, SCORED, Act::Time(300), BAD, Act::Hear, SENT, SENT, Act::Forget, KILLED];
    run(first.into_iter().chain(second)).unwrap();
}

/// The same where the second has no spool at all.
#[test]
fn what_was_sent_and_not_erased_is_not_sent_again_after_a_start_without_a_spool() {
    let first = [SCORED, Act::Time(50), GOOD, Act::Hear, SENT, Act::Kill { spool: false }];
    let second = [SCORED, SENT, SCORED, SENT, Act::Forget, KILLED];
    run(first.into_iter().chain(second)).unwrap();
}

/// A large one and another: the first is put aside, the second is stored.
const PUT_ASIDE: [Act; 14] = [
    Act::Score { large: true },
    SCORED,
    Act::Time(50),
    GOOD,
    Act::Hear,
    SENT,
    Act::Time(50),
    GOOD,
    Act::Hear,
    SENT,
    Act::Time(50),
    GOOD,
    Act::Hear,
    SENT,
];

/// What was put aside is older than what is stored, and is not taken for stored.
#[test]
fn what_was_put_aside_is_sent_by_the_next_start() {
    run(PUT_ASIDE.into_iter().chain([SENT, Act::Limit(true), Act::Forget])).unwrap();
}

/// The same within one process: read, written anew, sent. Between them the disk may be asked to erase something.
const AGAIN: [Act; 14] =
    [GOOD, Act::Hear, GOOD, Act::Hear, Act::Time(50), GOOD, Act::Hear, GOOD, Act::Hear, SENT, Act::Time(50), GOOD, Act::Hear, SENT];

/// The numbers of the scores that the stream has after these acts, in its order.
fn stored_after(acts: impl IntoIterator<Item = Act>) -> (Vec<String>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        for act in acts {
            world.act(act).await;
        }
        let number = |headers: &HeaderMap| headers.get(header::MSG_ID).unwrap().as_str().rsplit('-').next().unwrap().to_owned();
        let stored = world.stream.lock().unwrap().stored.iter().map(|(_, headers)| number(headers)).collect();
        (stored, world.process().backlog.ledger.records().aside)
    })
}

#[test]
fn what_was_put_aside_is_sent_by_the_same_process_with_the_next_connection_or_after_a_while() {
    for again in [Act::Connect, Act::Time(21_000)] {
        assert_eq!(stored_after(PUT_ASIDE), (vec!["2".to_owned()], 1));
        let refused = PUT_ASIDE.into_iter().chain([again]).chain(AGAIN);
        assert_eq!(stored_after(refused.clone()), (vec!["2".to_owned()], 1), "it is still too large, and aside again");
        let taken = refused.chain([Act::Limit(true), again]).chain(AGAIN);
        assert_eq!(stored_after(taken), (vec!["2".to_owned(), "1".to_owned()], 0));
    }
}

/// The disk hangs just when it is to write anew what is tried again, and is given up; what it did then is what counts.
#[test]
fn what_is_tried_again_while_the_disk_hangs_is_neither_lost_nor_doubled() {
    let hang = [Act::Limit(true), Act::Connect, GOOD, Act::Hear, Act::Time(50), SCORED, Act::Time(21_000), SENT, SENT];
    for end in [&[GOOD, Act::Hear, SENT, SENT][..], &[BAD, Act::Hear, SENT, SENT], &[GOOD, KILLED], &[BAD, KILLED], &[KILLED]] {
        run(PUT_ASIDE.into_iter().chain(hang).chain(end.iter().copied())).unwrap();
    }
}
