//! What makes libvizdoom crash its host or loop for ever, given to the agent: refused in a moment with what is wrong, or played around. No
//! crash, no hang.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::{Backend, Spec, WITHIN};

fn playing(more: &[&str]) -> Spec {
    let spec = Spec::new(Backend::Engine, "A", "basic.cfg").with(&["--episodes", "2", "--set", "episode_timeout=35"]);
    spec.with(&["--start-timeout", "20s"]).with(more)
}

#[test]
fn what_would_crash_or_hang_the_host_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (text, short) = (file("text.wad", b"this is no WAD"), file("short.wad", b"IWAD\xff\xff\xff\x7f\x0c\0\0\0"));
    let (empty, folder) = (file("empty.wad", b""), dir.path().to_str().unwrap().to_owned());
    let mut cases: Vec<(String, &str)> = vec![("doom_map=map77".into(), "map77"), ("doom_map=map01 quit".into(), "map01 quit")];
    for bad in [&text, &short, &empty, &folder] {
        cases.push((format!("doom_game_path={bad}"), bad));
        cases.push((format!("doom_scenario_path={bad}"), bad));
    }
    for (set, says) in &cases {
        let since = Instant::now();
        let (code, _, err) = playing(&["--set", set]).run();
        assert_eq!(code, 65, "{set}: {err}");
        assert!(err.contains(says) && !err.contains("panicked"), "{set}: {err}");
        assert!(since.elapsed() < Duration::from_secs(20), "{set} took {:?}", since.elapsed());
    }
}

/// A WAD of these lumps, all with the same bytes.
fn wad(lumps: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut wad = b"PWAD".to_vec();
    wad.extend(u32::try_from(lumps.len()).unwrap().to_le_bytes());
    wad.extend(u32::try_from(12 + bytes.len()).unwrap().to_le_bytes());
    wad.extend(bytes);
    for lump in lumps {
        wad.extend(12u32.to_le_bytes());
        wad.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        let mut name = lump.as_bytes().to_vec();
        name.resize(8, 0);
        wad.extend(name);
    }
    wad
}

/// Only the engine knows that such a map is none. It says so, or is given up; the agent ends in time and says what it was.
#[test]
fn a_map_whose_lumps_are_broken_ends_the_agent_in_time() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("broken.wad");
    let lumps = ["MAP01", "THINGS", "LINEDEFS", "SIDEDEFS", "VERTEXES", "SEGS", "SSECTORS", "NODES", "SECTORS", "REJECT", "BLOCKMAP"];
    for (what, lumps, bytes) in
        [("garbage", &lumps[..], &[0xa5; 4_096][..]), ("nothing", &lumps[..], &[]), ("half a map", &lumps[..2], &[0; 100])]
    {
        fs::write(&path, wad(lumps, bytes)).unwrap();
        let since = Instant::now();
        let set = format!("doom_scenario_path={}", path.display());
        let arguments = ["--set", &set, "--set", "doom_map=map01", "--step-timeout", "3s", "--max-engine-restarts", "1"];
        let (code, _, err) = playing(&arguments).run();
        println!("{what}: exit code {code} after {:?}", since.elapsed());
        assert!([65, 71].contains(&code), "{what}: {code}: {err}");
        assert!(!err.contains("panicked") && err.lines().any(|l| l.starts_with("doom-agent: ")), "{what}: {err}");
        assert!(since.elapsed() < Duration::from_secs(30), "{what} took {:?}", since.elapsed());
    }
}

/// A console command has 128 characters at most; libvizdoom drops a longer one and waits for ever.
#[test]
fn a_recording_is_written_however_long_its_path_is() {
    let dir = TempDir::new().unwrap();
    let deep = dir.path().join("a".repeat(120)).join("b".repeat(120));
    let (code, _, err) = playing(&["--record", deep.to_str().unwrap()]).run();
    assert_eq!(code, 0, "{err}");
    for name in ["episode-000001.lmp", "episode-000002.lmp"] {
        assert!(fs::metadata(deep.join(name)).is_ok_and(|m| m.len() > 0), "{name}: {err}");
    }
}

/// An engine that dies while it records makes libvizdoom re-enter its own end.
#[test]
fn an_engine_that_is_killed_while_it_records_is_replaced() {
    use crate::support::{Tap, faults::signal_engine, nats_with_streams};
    let server = nats_with_streams();
    let (tap, dir) = (Tap::open(&server.url()), TempDir::new().unwrap());
    let spec = Spec::new(Backend::Engine, "A", "my_way_home.cfg").nats(&server).with(&["--pace", "350"]);
    let mut agent = spec.with(&["--record", dir.path().to_str().unwrap()]).spawn_ready();
    tap.wait("clau-doom.agent.A.observe", 20);
    signal_engine(&tap, "A", rustix::process::Signal::KILL);
    assert_eq!(tap.wait("clau-doom.agent.A.score", 1).payload()["end_reason"], "engine_fault");
    tap.nth(5, "the next episode", |e| e.leaf() == "observe" && e.payload()["episode_id"].as_str().unwrap().ends_with("-000002"));
    agent.signal(rustix::process::Signal::TERM);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    assert!(Path::new(dir.path()).join("episode-000002.lmp").exists());
}
