//! Ready means that the server has the agent's subscriptions, proved by a round trip, and that the game makes progress.

use crate::support::{Backend, Gate, Spec, Tap, http, nats_with_streams, on_both};

on_both!(subscriptions_that_are_only_sent_do_not_make_an_agent_ready, who_is_ready_answers_at_once, the_probes_tell_a_lost_connection,);

fn subscriptions_that_are_only_sent_do_not_make_an_agent_ready(backend: Backend) {
    let server = nats_with_streams();
    let gate = Gate::before(&server);
    let spec = Spec::new(backend, "A", "health_gathering.cfg").with(&["--nats", &gate.url, "--pace", "350", "--http", "127.0.0.1:0"]);
    let agent = spec.spawn();
    let address = agent.http();
    gate.wait_held();
    http::wait_get(&address, "/livez", "connected and playing", |_, body| {
        let health: serde_json::Value = serde_json::from_str(body).unwrap();
        health["nats"]["state"] == "connected" && health["tic"].as_u64().unwrap() > 200
    });
    assert_eq!(http::get(&address, "/readyz").0, 503, "sent is not received");
    gate.open();
    http::wait_get(&address, "/readyz", "ready", |status, body| (status, body) == (200, "ready\n"));
}

fn who_is_ready_answers_at_once(backend: Backend) {
    let server = nats_with_streams();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "350", "--http", "127.0.0.1:0"]);
    let agent = spec.spawn();
    http::wait_get(&agent.http(), "/readyz", "ready", |status, _| status == 200);
    // Nobody waits here: a subscription that the server does not have means "no responders" at once.
    assert_eq!(tap.request("clau-doom.agent.A.health", "")["agent_id"], "A");
    assert_eq!(tap.request("clau-doom.agent.A.control.pause", "")["ok"], true);
    assert_eq!(tap.request("clau-doom.system.control.resume", "")["ok"], true);
}

fn the_probes_tell_a_lost_connection(backend: Backend) {
    let mut server = nats_with_streams();
    let spec = Spec::new(backend, "A", "health_gathering.cfg").nats(&server).with(&["--pace", "350", "--http", "127.0.0.1:0"]);
    let agent = spec.spawn();
    let address = agent.http();
    http::wait_get(&address, "/readyz", "ready", |status, _| status == 200);
    server.kill();
    let reason = http::wait_get(&address, "/readyz", "unready", |status, _| status == 503);
    assert!(reason.contains("NATS"), "{reason}");
    assert_eq!(http::get(&address, "/livez").0, 200, "without a broker the game is as alive as with one");
    server.restart().unwrap();
    http::wait_get(&address, "/readyz", "ready again", |status, _| status == 200);
    let (_, text) = http::get(&address, "/metrics");
    assert_eq!((http::metric(&text, "nats_connected"), http::metric(&text, "nats_reconnects")), (1.0, 1.0));
}
