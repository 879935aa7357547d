//! Two agents of one id that cannot see each other, until they can: one stays, the other drains and exits 69, within two seconds of that.

use std::time::{Duration, Instant};

use nats_server_process::NatsServer;

use crate::support::{Agent, Backend, Proxy, Spec, WITHIN, free_port, http, nats_with_streams, on_both};

on_both!(of_two_agents_that_a_healing_partition_shows_to_each_other_the_younger_leaves);

fn playing(backend: Backend, url: &str) -> Agent {
    let spec = Spec::new(backend, "A", "health_gathering.cfg").with(&["--pace", "350", "--nats", url, "--http", "127.0.0.1:0"]);
    let agent = spec.spawn();
    http::wait_get(&agent.http(), "/livez", "playing", |_, body| body.contains("\"state\":\"running\""));
    agent
}

/// How long it took from then until the younger one drained, which is when there is one again.
fn leaves(mut younger: Agent, older: &Agent, since: Instant) {
    younger.wait_log("already alive elsewhere");
    let took = since.elapsed();
    assert_eq!(younger.wait_exit(WITHIN), 69);
    println!("one again after {took:?}; the other one was gone after {:?}", since.elapsed());
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(younger.log().last().unwrap().contains("A is already alive"), "{:?}", younger.log().last());
    assert!(!older.has_ended());
    assert_eq!(http::get(&older.http(), "/livez").0, 200);
}

/// One of them was cut off: its connection comes back.
fn of_two_agents_that_a_healing_partition_shows_to_each_other_the_younger_leaves(backend: Backend) {
    let server = nats_with_streams();
    let proxy = Proxy::before(server.port());
    proxy.refuse(true);
    let older = playing(backend, &proxy.url);
    let younger = playing(backend, &server.url());
    http::wait_get(&younger.http(), "/readyz", "ready", |status, _| status == 200);
    proxy.refuse(false);
    older.wait_log("connected to NATS");
    leaves(younger, &older, Instant::now());
    http::wait_get(&older.http(), "/readyz", "ready", |status, _| status == 200);
}

/// Neither connection breaks: it is the servers that find each other again.
#[test]
fn of_two_agents_on_two_servers_that_find_each_other_the_younger_leaves() {
    let route = free_port();
    let cluster = |name: &str, listen: u16, routes: &str| {
        format!("server_name: {name}\ncluster {{ name: c, listen: \"127.0.0.1:{listen}\", no_advertise: true, pool_size: -1, {routes} }}\n")
    };
    let one = NatsServer::builder().config_text(cluster("one", route, "")).start().unwrap();
    let proxy = Proxy::before(route);
    proxy.refuse(true);
    let routes = format!("routes: [\"{}\"]", proxy.url);
    let two = NatsServer::builder().config_text(cluster("two", free_port(), &routes)).start().unwrap();
    let older = playing(Backend::Mock, &one.url());
    let younger = playing(Backend::Mock, &two.url());
    for agent in [&older, &younger] {
        http::wait_get(&agent.http(), "/readyz", "ready", |status, _| status == 200);
    }
    proxy.refuse(false);
    let until = Instant::now() + WITHIN;
    while !two.log().contains("Route connection created") {
        assert!(Instant::now() < until, "no route: {}", two.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    leaves(younger, &older, Instant::now());
}
