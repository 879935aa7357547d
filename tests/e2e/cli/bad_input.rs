//! Whatever is wrong is refused before anything starts: with what was wrong, where, what would be right, and the exit code.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::support::{Backend, Spec, WITHIN};

/// The agent ends with this code before it has touched its state directory, and its standard error says all of this and no secret.
#[track_caller]
fn refused(what: &str, spec: Spec, code: i32, says: &[&str]) {
    let mut agent = spec.spawn();
    let ended = agent.wait_exit(WITHIN);
    let err = agent.log().join("\n");
    assert_eq!(ended, code, "{what}: {err}");
    for text in says {
        assert!(err.contains(text), "{what}: {text:?} is not in: {err}");
    }
    assert!(!err.contains("hunter2"), "{what}: {err}");
    assert!(!err.contains("panicked") && !err.contains("RUST_BACKTRACE"), "{what}: {err}");
    assert!(agent.out().is_empty(), "{what} wrote to standard output: {:?}", agent.out());
    let left: Vec<_> = fs::read_dir(agent.home()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.is_empty(), "{what} left {left:?}");
}

/// One episode of the mock, unless an argument says otherwise.
fn mock(arguments: &[&str]) -> Spec {
    Spec::new(Backend::Mock, "A", "basic.cfg").with(&["--episodes", "1"]).with(arguments)
}

#[test]
fn ids_that_are_no_subject_tokens() {
    let long = "x".repeat(65);
    for (id, says) in [
        ("", "must not be empty"),
        (" ", "' ' at position 1"),
        ("a.b", "'.' at position 2"),
        ("a*", "'*' at position 2"),
        (">", "'>' at position 1"),
        ("a b", "' ' at position 2"),
        ("a\tb", "position 2"),
        ("dämon", "'ä' at position 2"),
        ("\u{ff21}", "position 1"),
        (long.as_str(), "has 65 characters; at most 64"),
    ] {
        let whole = if says.contains("position") { "only A-Z a-z 0-9 _ - are allowed" } else { says };
        for flag in ["--id", "--generation", "--experiment"] {
            refused(&format!("{flag} {id:?}"), mock(&["--run", "1", flag, id]), 2, &[flag, says, whole]);
        }
        if !id.is_empty() {
            refused(&format!("AGENT_ID={id:?}"), Spec::bare(["--scenario", "basic"]).env("AGENT_ID", id), 2, &["AGENT_ID: id", says]);
        }
        refused(&format!("health of {id:?}"), Spec::bare(["health", "--id", id]), 2, &[says]);
    }
    refused("no id", Spec::bare(["--scenario", "basic"]), 2, &["--id is missing", "doom-agent --id A --scenario basic.cfg"]);
    refused("no id for health", Spec::bare(["health"]), 2, &["--id is missing"]);
    refused("no scenario", Spec::bare(["--id", "A"]), 2, &["--scenario is missing"]);
}

#[test]
fn scenarios_that_are_none() {
    let dir = TempDir::new().unwrap();
    let buttons = "available_buttons = { ATTACK }\n";
    let wad = "doom_scenario_path = basic.wad\n";
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let scenario = |name: &str, text: &[u8], says: &[&str]| {
        let path = file(name, text);
        let places: Vec<String> = says.iter().map(|s| if s.starts_with(':') { format!("{path}{s}") } else { (*s).to_owned() }).collect();
        refused(name, mock(&["--scenario", &path]), 65, &places.iter().map(String::as_str).collect::<Vec<_>>());
    };
    refused("nowhere", mock(&["--scenario", "nowhere.cfg"]), 65, &["`nowhere.cfg` not found", "looked for", "basic, deadly_corridor"]);
    refused("a folder", mock(&["--scenario", dir.path().to_str().unwrap()]), 65, &[dir.path().to_str().unwrap()]);
    // Malformed, each in its way.
    scenario("no-value.cfg", format!("{wad}{buttons}living_reward\n").as_bytes(), &[":3:", "="]);
    scenario("open-list.cfg", format!("{wad}\navailable_buttons = {{ ATTACK\n").as_bytes(), &[":3:", "}"]);
    scenario(
        "no-number.cfg",
        format!("{wad}{buttons}living_reward = much\n").as_bytes(),
        &[":3:17: living_reward cannot be `much`", "number"],
    );
    scenario("too-large-number.cfg", format!("{wad}{buttons}doom_skill = 9\n").as_bytes(), &[":3:14: doom_skill cannot be `9`", "1 to 5"]);
    scenario("negative.cfg", format!("{wad}{buttons}episode_timeout = -1\n").as_bytes(), &[":3:19: episode_timeout cannot be `-1`"]);
    scenario("huge.cfg", format!("{wad}{buttons}episode_timeout = 99999999999999999999\n").as_bytes(), &[":3:19: episode_timeout"]);
    scenario("not-text.cfg", b"doom_map = map01\n\xff\xfe\n", &[":2:1", "UTF-8 text"]);
    scenario("large.cfg", &b"# Doom\n".repeat(200_000), &["is larger than"]);
    scenario("empty.cfg", b"", &["available_buttons"]);
    // Names that nobody knows.
    scenario(
        "key.cfg",
        format!("{wad}{buttons}  living_rewrad = 1\n").as_bytes(),
        &[":3:3: unknown scenario key `living_rewrad`", "did you mean living_reward?", "valid are"],
    );
    scenario(
        "button.cfg",
        format!("{wad}available_buttons = {{ ATACK }}\n").as_bytes(),
        &[":2:23: unknown button `ATACK`", "did you mean ATTACK?", "MOVE_LEFT"],
    );
    scenario(
        "variable.cfg",
        format!("{wad}{buttons}available_game_variables = {{ HELTH }}\n").as_bytes(),
        &[":3:30: unknown", "`HELTH`", "did you mean HEALTH?", "AMMO2"],
    );
    scenario("format.cfg", format!("{wad}{buttons}screen_format = GRAY9\n").as_bytes(), &[":3:17:", "did you mean GRAY8?", "CRCGCB"]);
    // The same by --set.
    refused("--set of an unknown key", mock(&["--set", "doom_skil=3"]), 65, &["--set doom_skil=3", "did you mean doom_skill?"]);
    refused("--set of a bad value", mock(&["--set", "doom_skill=9"]), 65, &["--set doom_skill=9", "1 to 5"]);
    refused("--set without a value", mock(&["--set", "doom_skill"]), 2, &["--set", "KEY=VALUE"]);
}

#[test]
fn policies_that_cannot_play() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing.toml");
    let rules = format!("rules:{}", missing.display());
    refused("no policy file", mock(&["--policy", &rules]), 65, &["policy file", missing.to_str().unwrap(), "cannot be read"]);
    refused("an unknown policy", mock(&["--policy", "clever"]), 2, &["unknown policy `clever`", "random, cycle:", "rules:FILE"]);
    refused("rules without a file", mock(&["--policy", "rules:"]), 2, &["rules:FILE"]);
    refused("an unknown button", mock(&["--policy", "cycle:ATACK"]), 2, &["unknown button `ATACK`", "did you mean ATTACK?", "MOVE_LEFT"]);
    let away = "the scenario has no button MOVE_FORWARD; it has MOVE_LEFT, MOVE_RIGHT, ATTACK";
    refused("a button of another scenario", mock(&["--policy", "cycle:MOVE_FORWARD"]), 65, &[away]);
    refused("an unknown parameter", mock(&["--policy-param", "hold=1"]), 65, &["no parameter `hold`"]);
    refused("a parameter without a number", mock(&["--policy-param", "hold=long"]), 2, &["`long` is not a finite number"]);
}

#[test]
fn numbers_out_of_range() {
    let whole = "must be a whole number from";
    for (flag, values, says) in [
        ("--frame-skip", &["0", "-1", "1001", "99999999999999999999", "1.5", "four", ""][..], "must be a whole number from 1 to 1000"),
        ("--seed", &["-1", "4294967296", "99999999999999999999", "0x10", "1e3"], "must be a whole number from 0 to 4294967295"),
        ("--seeds", &["1,-1", "1,,2", "4294967296"], "must be a whole number from 0 to 4294967295"),
        ("--seed-step", &["-1", "4294967296"], whole),
        ("--episodes", &["-1", "18446744073709551616", "many"], whole),
        ("--run", &["-1", "18446744073709551616"], whole),
        ("--max-engine-restarts", &["-1", "1001"], whole),
        ("--pace", &["0", "-35", "nan", "inf", "1e9", "fast"], "max, realtime, or tics a second from 0.1 to 10000"),
        ("--step-timeout", &["0s", "-5s", "5", "99999999999999999999s", "1000y", "soon"], "write it like 500ms, 10s or 2h"),
        ("--shutdown-timeout", &["0", "-1s"], "write it like"),
        ("--time-limit", &["0ms", "-2h"], "write it like"),
        ("--metrics-interval", &["0s", "-1s"], "write it like"),
        ("--http", &["8080", "localhost", "127.0.0.1:65536", "127.0.0.1:-1"], "such as 127.0.0.1:8080"),
        ("--cpu", &["-1", "4096", "99999999999999999999", "fastest"], "auto"),
        ("--backend", &["real"], "vizdoom, mock"),
        ("--codec", &["xml"], "msgpack"),
        ("--log-format", &["xml"], "json"),
        ("--log", &["a=b=c"], "--log"),
        ("--subject-root", &["", "a..b", "a.>", "a b"], "subject root"),
        ("--mock-fault", &["explode"], "hang@tic="),
    ] {
        for value in values {
            refused(&format!("{flag} {value}"), mock(&["--run", "1", "--experiment", "e", flag, value]), 2, &[flag, says]);
        }
    }
    refused("a flag that is none", mock(&["--frame-skp", "4"]), 2, &["--frame-skp", "--frame-skip"]);
    refused("a word too many", mock(&["basic.cfg"]), 2, &["basic.cfg"]);
    refused("a run without its experiment", mock(&["--run", "1"]), 2, &["--experiment and --run belong together"]);
    refused("an experiment without its run", mock(&["--experiment", "e"]), 2, &["--experiment and --run belong together"]);
    refused("two kinds of seeds", mock(&["--seeds", "1,2"]), 2, &["`seed`", "`seeds`", "exclude each other"]);
    let fault = Spec::new(Backend::Engine, "A", "basic").with(&["--mock-fault", "slow=1ms"]);
    refused("a mock's fault without the mock", fault, 2, &["--backend mock"]);
}

#[test]
fn ways_to_nats_that_cannot_be_gone() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    for url in
        ["http://me:hunter2@h", "nats://", "nats://:4222", "nats://me:hunter2@h:0", "nats://h:65536", "nats://h:port", "a b", "nats://h,"]
    {
        refused(url, mock(&["--nats", url]), 2, &["--nats", "write nats://HOST:PORT"]);
        refused(
            url,
            Spec::bare(["--id", "A", "--scenario", "basic"]).env("NATS_URL", url),
            2,
            &["NATS_URL: nats", "write nats://HOST:PORT"],
        );
        refused(url, Spec::bare(["health", "--id", "A", "--nats", url]), 2, &["write nats://HOST:PORT"]);
    }
    for flag in ["--nats-creds", "--nats-nkey", "--nats-ca"] {
        refused(flag, mock(&["--nats", "nats://127.0.0.1:1", flag, missing]), 65, &[missing, "cannot be read"]);
    }
    let pair = ["--nats-cert", missing, "--nats-key", missing];
    refused("no certificate", mock(&pair), 65, &[missing, "cannot be read"]);
    refused("a certificate without its key", mock(&["--nats-cert", missing]), 2, &["--nats-cert needs --nats-key"]);
    refused("a key without its certificate", mock(&["--nats-key", missing]), 2, &["--nats-key needs --nats-cert"]);
    refused("a user without a password", mock(&["--nats-user", "me"]), 2, &["--nats-user needs --nats-password"]);
    refused("a password without a user", mock(&["--nats-password", "hunter2"]), 2, &["--nats-password needs --nats-user"]);
    let two = ["--nats-token", "hunter2", "--nats-creds", missing];
    refused("two ways to log in", mock(&two), 2, &["`nats-creds`", "`nats-token`", "exclude each other"]);
    let junk = dir.path().join("junk");
    fs::write(&junk, "hunter2\n").unwrap();
    let junk = junk.to_str().unwrap();
    for flag in ["--nats-creds", "--nats-nkey"] {
        refused(flag, mock(&["--nats", "nats://127.0.0.1:1", flag, junk]), 65, &[junk]);
    }
}

#[test]
fn configuration_files_that_cannot_be_used() {
    let dir = TempDir::new().unwrap();
    let config = |text: &str| {
        let path = dir.path().join("agent.toml");
        fs::write(&path, text).unwrap();
        mock(&["--config", path.to_str().unwrap()])
    };
    let missing = dir.path().join("missing.toml");
    refused("no file", mock(&["--config", missing.to_str().unwrap()]), 65, &[missing.to_str().unwrap(), "cannot be read"]);
    refused("no file", mock(&[]).env("DOOM_AGENT_CONFIG", &missing), 65, &[missing.to_str().unwrap(), "cannot be read"]);
    refused("a folder", mock(&["--config", dir.path().to_str().unwrap()]), 65, &["cannot be read"]);
    refused("an unknown key", config("\nframe-skp = 4"), 65, &["agent.toml:2: unknown key `frame-skp` (did you mean frame-skip?)"]);
    refused("a bad value", config("\n\nframe-skip = 0"), 65, &["agent.toml:3: frame-skip cannot be `0`", "1 to 1000"]);
    refused("a bad kind", config("id = [\"A\"]"), 65, &["agent.toml:1: id must be a text"]);
    refused("no TOML", config("nats-password = hunter2"), 65, &["agent.toml:1: not valid TOML"]);
    refused("a large file", config(&"# Doom\n".repeat(50_000)), 65, &["agent.toml", "at most"]);
}

#[test]
fn folders_and_files_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    // Not even root can write below a file.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("below");
    let text = below.to_str().unwrap();
    refused("state directory", mock(&[]).state_dir(&below), 65, &["state directory", text, "cannot be made", "--state-dir"]);
    refused("events file", mock(&["--events", text]), 65, &["events file", text, "cannot be written"]);
    refused("recordings", mock(&["--record", text]), 65, &["recordings", text, "cannot be made"]);
    assert!(Path::new(&file).is_file());
}
