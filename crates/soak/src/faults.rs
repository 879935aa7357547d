//! The faults: each is made, lasts, and is taken back; which and for how long, the dice say.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::Result;
use bad_network::{Side, Way};
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{agent::Agents, broker::Broker};

/// What is made, for the table: a name for each time.
pub(crate) type Made = Vec<&'static str>;

fn say(began: Instant, what: &str) {
    println!("{:7.1} s  {what}", began.elapsed().as_secs_f64());
}

fn pause(dice: &mut ChaCha8Rng, most: f64) -> Duration {
    Duration::from_secs_f64(dice.random_range(0.2..most))
}

/// What happens to server and network, one after the other.
pub(crate) fn of_broker(broker: &Broker, dice: &mut ChaCha8Rng, began: Instant, until: Instant) -> Result<Made> {
    const FAULTS: [&str; 9] = [
        "server killed",
        "server stopped",
        "connections cut",
        "connections refused",
        "half-open connections",
        "acknowledgement lost",
        "connections reset at random",
        "half a second of latency",
        "stream full",
    ];
    let mut made = Vec::new();
    sleep(Duration::from_secs(1));
    while Instant::now() < until {
        let fault = *FAULTS.choose(dice).unwrap_or(&FAULTS[0]);
        let lasts = pause(dice, 5.0);
        let way = if dice.random() { Way::ToServer } else { Way::ToClient };
        say(began, &format!("{fault} for {:.1} s", lasts.as_secs_f64()));
        let proxy = &broker.proxy;
        match fault {
            "server killed" => {
                broker.server().kill();
                sleep(lasts);
                broker.server().restart()?;
            }
            "server stopped" => {
                broker.server().pause();
                sleep(lasts * 2);
                broker.server().unpause();
            }
            "connections cut" => {
                if way == Way::ToServer {
                    proxy.cut_seen_by(Side::Client)
                } else {
                    proxy.cut()
                }
                sleep(lasts / 4);
                proxy.rejoin();
            }
            "connections refused" => {
                proxy.refuse(true);
                proxy.cut();
                sleep(lasts);
            }
            "half-open connections" => {
                proxy.swallow(way, true);
                sleep(lasts * 2);
            }
            "acknowledgement lost" => {
                proxy.lose(Way::ToClient, "\"stream\":\"AGENT_EVENTS\"");
                sleep(lasts);
            }
            "connections reset at random" => {
                proxy.reset_one_in(Some(100));
                sleep(lasts);
            }
            "half a second of latency" => {
                proxy.delay(Duration::from_millis(250));
                sleep(lasts);
            }
            _ => {
                broker.set_full(true)?;
                sleep(lasts);
                broker.set_full(false)?;
            }
        }
        proxy.heal();
        made.push(fault);
        sleep(pause(dice, 2.5));
    }
    Ok(made)
}

/// What happens to agents and their engines and disks, one after the other.
pub(crate) fn of_agents(agents: &Agents, dice: &mut ChaCha8Rng, began: Instant, until: Instant) -> Result<Made> {
    const FAULTS: [&str; 6] =
        ["agent killed", "agent killed", "agent told to end", "engine killed", "engine stopped", "disk takes nothing"];
    let mut made = Vec::new();
    sleep(Duration::from_secs(2));
    while Instant::now() < until {
        let fault = *FAULTS.choose(dice).unwrap_or(&FAULTS[0]);
        let lasts = pause(dice, 4.0);
        let mut who = agents.pick(dice);
        say(began, &format!("{fault}: {}, for {:.1} s", who.id, lasts.as_secs_f64()));
        match fault {
            "agent killed" => {
                who.kill();
                sleep(lasts / 4);
                who.start()?;
            }
            "agent told to end" => {
                who.end();
                who.start()?;
            }
            "engine killed" => who.signal_engine(rustix::process::Signal::KILL),
            "engine stopped" => who.signal_engine(rustix::process::Signal::STOP),
            _ => {
                who.limit_disk(true);
                sleep(lasts);
                who.limit_disk(false);
                // Until then records are in memory alone, and a kill may take them with it.
                who.wait_durable();
            }
        }
        drop(who);
        made.push(fault);
        sleep(pause(dice, 3.0));
    }
    Ok(made)
}
