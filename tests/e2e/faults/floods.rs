//! Floods of requests and commands, and messages that are too large: the game keeps its rhythm, the log stays short, and what is right is
//! answered nevertheless.

use std::time::{Duration, Instant};

use futures::StreamExt;
use nats_server_process::NatsServer;
use serde_json::Value;
use tokio::time::{interval, timeout};

use crate::support::{Agent, Backend, Spec, Tap, WITHIN, http, instant, on_both, runtime};
use rustix::process::Signal;

on_both!(
    five_thousand_health_requests_a_second_are_answered_and_slow_nothing,
    ten_thousand_malformed_commands_are_refused_each_and_logged_now_and_then,
    a_payload_of_two_megabytes_is_refused_on_every_subject_of_the_agent,
    a_flood_of_pauses_and_resumes_is_answered_and_the_last_word_holds,
    observations_that_the_server_never_takes_are_refused_at_the_start,
    observations_that_become_too_large_are_counted_and_told_once_and_the_game_goes_on,
);

const HEALTH: &str = "clau-doom.agent.A.health";
const CONTROL: &str = "clau-doom.agent.A.control";
const OBSERVE: &str = "clau-doom.agent.A.observe";
/// Steps a second; a busy machine keeps it.
const PACE: f64 = 100.0;
/// Steps that are looked at before a flood.
const BEFORE: usize = 300;
/// Lines that a flood may add to the log: each kind of line comes at most once or in a small burst within five seconds.
const LINES: usize = 40;

struct Flooded {
    agent: Agent,
    tap: Tap,
    lines: usize,
}

impl Flooded {
    fn new(backend: Backend, server: &NatsServer) -> Self {
        let tap = Tap::open(&server.url());
        let agent = Spec::new(backend, "A", "health_gathering.cfg").nats(server).with(&["--pace", "100"]).spawn_ready();
        tap.wait(OBSERVE, BEFORE);
        let lines = agent.log().len();
        Self { agent, tap, lines }
    }

    /// Steps a second, and the longest pause between two steps, of what was played between these moments.
    fn rhythm(&self, from: i64, to: i64) -> (f64, f64) {
        let steps = self.tap.on(OBSERVE);
        let times: Vec<i64> = steps.iter().map(|e| instant(&e.header("timestamp").into())).filter(|t| (from..=to).contains(t)).collect();
        assert!(times.len() > 10, "{} steps between {from} and {to}", times.len());
        let longest = times.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        let span = (times[times.len() - 1] - times[0]) as f64 / 1e6;
        ((times.len() - 1) as f64 / span, longest as f64 / 1e6)
    }

    /// The rhythm during what `flood` does is that of before; the log has hardly grown; health is answered and commands are obeyed.
    fn assert_unmoved(&self, what: &str, flood: impl FnOnce()) {
        let first = instant(&self.tap.wait(OBSERVE, BEFORE - 250).header("timestamp").into());
        let began = now();
        flood();
        let ended = now();
        self.tap.nth(1, "a step after the flood", |e| e.subject == OBSERVE && instant(&e.header("timestamp").into()) > ended);
        let ((before, calm), (during, pause)) = (self.rhythm(first, began), self.rhythm(began, ended));
        let lines = self.agent.log().len() - self.lines;
        println!(
            "{what}: {:.1} s, {before:.1} and {during:.1} steps/s, longest pause {calm:.3} and {pause:.3} s, {lines} lines",
            (ended - began) as f64 / 1e6
        );
        assert!(during >= 0.8 * PACE, "{what}: {during} steps a second, {before} before");
        assert!(lines <= LINES, "{what}: {lines} lines: {:?}", &self.agent.log()[self.lines..][..LINES]);
        assert_eq!(self.tap.request(HEALTH, "")["state"], "running", "{what}");
        assert_eq!(self.tap.request(&format!("{CONTROL}.pause"), "")["ok"], true, "{what}");
        assert_eq!(self.tap.request(&format!("{CONTROL}.resume"), "")["ok"], true, "{what}");
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Asks so often, `each` in every hundredth of a second, and returns the answers.
fn ask(url: &str, times: usize, each: usize, question: impl Fn(usize) -> (String, Vec<u8>)) -> Vec<Value> {
    runtime().block_on(async {
        let client = async_nats::ConnectOptions::new().subscription_capacity(1 << 20).connect(url).await.unwrap();
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.unwrap();
        let mut beat = interval(Duration::from_millis(10));
        for n in 0..times {
            if n % each == 0 {
                beat.tick().await;
            }
            let (subject, body) = question(n);
            client.publish_with_reply(subject, inbox.clone(), body.into()).await.unwrap();
        }
        client.flush().await.unwrap();
        let mut all = Vec::with_capacity(times);
        while all.len() < times {
            let answer = timeout(WITHIN, answers.next()).await;
            let answer = answer.unwrap_or_else(|_| panic!("{} of {times} were answered", all.len())).unwrap();
            all.push(serde_json::from_slice(&answer.payload).unwrap());
        }
        all
    })
}

fn five_thousand_health_requests_a_second_are_answered_and_slow_nothing(backend: Backend) {
    let server = NatsServer::builder().start().unwrap();
    let flooded = Flooded::new(backend, &server);
    flooded.assert_unmoved("health requests", || {
        let began = Instant::now();
        let answers = ask(&server.url(), 25_000, 50, |_| (HEALTH.to_owned(), Vec::new()));
        assert!(answers.iter().all(|a| a["agent_id"] == "A" && a["healthy"] == true));
        println!("{:.0} answers a second", 25_000.0 / began.elapsed().as_secs_f64());
    });
}

fn ten_thousand_malformed_commands_are_refused_each_and_logged_now_and_then(backend: Backend) {
    let server = NatsServer::builder().start().unwrap();
    let flooded = Flooded::new(backend, &server);
    flooded.assert_unmoved("malformed commands", || {
        // Among every hundred, one that is right.
        let answers = ask(&server.url(), 10_100, 50, |n| {
            let (verb, body) = match n % 6 {
                _ if n % 101 == 100 => ("resume", b"{\"reason\":\"why not\"}".to_vec()),
                0 => ("pause", b"{".to_vec()),
                1 => ("explode", Vec::new()),
                2 => ("shutdown", b"{\"deadline_ms\":-1}".to_vec()),
                3 => ("shutdown", vec![b'['; 20_000]),
                4 => ("pause", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
                _ => ("shutdown", b"{\"agents\":\"A\"}".to_vec()),
            };
            (format!("{CONTROL}.{verb}"), body)
        });
        let (right, wrong): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a["ok"] == true);
        assert_eq!((right.len(), wrong.len()), (100, 10_000));
        assert!(right.iter().all(|a| a["state"] == "running"));
        assert!(wrong.iter().all(|a| a["ok"] == false && a["error"].is_string() && a["state"] == "running"));
    });
}

fn a_payload_of_two_megabytes_is_refused_on_every_subject_of_the_agent(backend: Backend) {
    let server = NatsServer::builder().config_text("max_payload: 8MB\n").start().unwrap();
    let flooded = Flooded::new(backend, &server);
    flooded.assert_unmoved("2 MB", || {
        for verb in ["pause", "resume", "shutdown"] {
            let answers = ask(&server.url(), 20, 1, |_| (format!("{CONTROL}.{verb}"), vec![b' '; 2 << 20]));
            assert!(answers.iter().all(|a| a["ok"] == false && a["error"].as_str().unwrap().contains("2097152 bytes")), "{answers:?}");
        }
        let answers = ask(&server.url(), 20, 1, |_| (HEALTH.to_owned(), vec![b'['; 2 << 20]));
        assert!(answers.iter().all(|a| a["healthy"] == true));
    });
}

fn a_flood_of_pauses_and_resumes_is_answered_and_the_last_word_holds(backend: Backend) {
    let server = NatsServer::builder().start().unwrap();
    let flooded = Flooded::new(backend, &server);
    let verb = |n: usize| if n.is_multiple_of(2) { "pause" } else { "resume" };
    let answers = ask(&server.url(), 4_000, 50, |n| (format!("{CONTROL}.{}", verb(n)), Vec::new()));
    let refused = answers.iter().filter(|a| a["ok"] == false).count();
    println!("pauses and resumes: {refused} of {} refused", answers.len());
    assert!(answers.iter().all(|a| a["ok"] == true || a["error"].is_string()));
    let lines = flooded.agent.log().len() - flooded.lines;
    assert!(lines <= LINES, "{lines} lines");
    assert_eq!(flooded.tap.request(&format!("{CONTROL}.pause"), "")["state"], "paused");
    assert_eq!(flooded.tap.request(&format!("{CONTROL}.resume"), "")["ok"], true);
    let began = now();
    flooded.tap.nth(BEFORE, "steps after the flood", |e| e.subject == OBSERVE && instant(&e.header("timestamp").into()) > began);
    let (after, _) = flooded.rhythm(began, now());
    assert!(after >= 0.8 * PACE, "{after} steps a second");
}

fn observations_that_the_server_never_takes_are_refused_at_the_start(backend: Backend) {
    let server = NatsServer::builder().config_text("max_payload: 400\n").start().unwrap();
    for command in [&[][..], &["check"]] {
        let (code, _, err) = Spec::new(backend, "A", "basic.cfg").nats(&server).with(command).run();
        assert_eq!(code, 65, "{err}");
        assert!(err.contains("an observation of basic has at least") && err.contains("takes messages up to 400 bytes"), "{err}");
    }
}

fn observations_that_become_too_large_are_counted_and_told_once_and_the_game_goes_on(backend: Backend) {
    let mut server = NatsServer::builder().start().unwrap();
    let tap = Tap::open(&server.url());
    let more = ["--pace", "100", "--http", "127.0.0.1:0"];
    let mut agent = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&more).spawn_ready();
    tap.wait(OBSERVE, 50);
    let address = agent.http();
    server.reload("max_payload: 400\n").unwrap();
    agent.wait_log("an event is larger than the NATS server takes");
    let text = http::wait_get(&address, "/metrics", "events that are dropped", |_, text| http::metric(text, "telemetry_dropped") > 500.0);
    assert_eq!(http::metric(&text, "records_lost"), 0.0);
    assert_eq!(http::get(&address, "/livez").0, 200);
    server.reload("").unwrap();
    // The client learns the new limit when it connects.
    server.restart().unwrap();
    let heard = tap.on(OBSERVE).len();
    tap.wait(OBSERVE, heard + 100);
    assert_eq!(agent.log().iter().filter(|line| line.contains("larger than the NATS server takes")).count(), 1);
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
}
