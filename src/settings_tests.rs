//! Precedence, rivals, mistakes and secrets, over every source of settings.

use std::collections::BTreeMap;

use super::*;
use crate::nats_choice::NatsChoice;

struct Told {
    arguments: Vec<&'static str>,
    variables: BTreeMap<String, String>,
    file: Option<String>,
}

fn told(arguments: &[&'static str]) -> Told {
    Told { arguments: arguments.to_vec(), variables: BTreeMap::new(), file: None }
}

impl Told {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }

    fn read(self) -> Result<Invocation, Stop> {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments: Vec<OsString> = std::iter::once("doom-agent").chain(self.arguments).map(OsString::from).collect();
        if let Some(text) = self.file {
            let path = dir.path().join("agent.toml");
            std::fs::write(&path, text).unwrap();
            arguments.extend(["--config".into(), path.into_os_string()]);
        }
        read(arguments, &|name| self.variables.get(name).map(OsString::from))
    }

    fn options(self) -> Options {
        self.read().unwrap().options
    }

    /// The exit code and the text of a refusal.
    fn refused(self) -> (i32, String) {
        match self.read().unwrap_err() {
            Stop::CommandLine(error) => (error.exit_code(), error.to_string()),
            Stop::Elsewhere(failure) => (failure.code, failure.message),
        }
    }
}

/// A value for each flag that is not its default, and the same as TOML.
fn sample(name: &str) -> (&'static str, &'static str) {
    match name {
        "id" | "generation" | "experiment" => ("B7", "\"B7\""),
        "scenario" => ("deathmatch", "\"deathmatch\""),
        "set" => ("doom_skill=5", "{ doom_skill = 5 }"),
        // The one that is not the default of this build.
        "backend" if cfg!(feature = "vizdoom") => ("mock", "\"mock\""),
        "backend" => ("vizdoom", "\"vizdoom\""),
        "policy" => ("cycle:ATTACK", "\"cycle:ATTACK\""),
        "policy-param" => ("hold=2.5", "{ hold = 2.5 }"),
        "pace" => ("70", "70"),
        "mock-fault" => ("crash@episode=3", "\"crash@episode=3\""),
        "seeds" => ("7,8", "[7, 8]"),
        "start-paused" | "require-nats" => ("true", "true"),
        "nats" => ("nats://h:1", "\"nats://h:1\""),
        "codec" => ("msgpack", "\"msgpack\""),
        "http" => ("127.0.0.1:80", "\"127.0.0.1:80\""),
        "cpu" => ("off", "\"off\""),
        "log-format" => ("json", "\"json\""),
        "log" => ("debug", "\"debug\""),
        "subject-root" => ("other", "\"other\""),
        n if n.ends_with("timeout") || n.ends_with("interval") || n.ends_with("limit") => ("77s", "\"77s\""),
        "frames" => ("png", "\"png\""),
        n if matches!(n, "record" | "events" | "state-dir") || n.starts_with("nats-") => ("some-text", "\"some-text\""),
        _ => ("77", "77"),
    }
}

#[test]
fn every_flag_has_a_variable_and_a_key_that_mean_the_same() {
    let command = cli::command();
    let defaults = format!("{:?}", told(&[]).options());
    let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        if matches!(name, "config" | "help" | "version") {
            continue;
        }
        let (text, toml) = sample(name);
        let flag = format!("--{name}={text}").leak();
        let by_flag = format!("{:?}", told(&[flag]).options());
        let by_variable = format!("{:?}", told(&[]).variable(&variable_of(name), text).options());
        let by_key = told(&[]).file(&format!("{name} = {toml}")).read().unwrap();
        let origin = by_key.given.iter().find(|g| g.name == name).unwrap();
        assert!(matches!(&origin.place, Place::File(_, 1)), "{origin:?}");
        let mut options = by_key.options;
        options.config = None;
        assert_ne!(by_flag, defaults, "{name} was not understood");
        assert_eq!(by_flag, by_variable, "{name} by its variable");
        assert_eq!(by_flag, format!("{options:?}"), "{name} by its key");
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "frame-skip = 2\nid = \"file\"\nseed = 2\n";
    assert_eq!(told(&[]).options().frame_skip, 1);
    assert_eq!(told(&[]).file(file).options().frame_skip, 2);
    assert_eq!(told(&[]).file(file).variable("DOOM_AGENT_FRAME_SKIP", "3").options().frame_skip, 3);
    assert_eq!(told(&["--frame-skip", "4"]).file(file).variable("DOOM_AGENT_FRAME_SKIP", "3").options().frame_skip, 4);
    // Also after a subcommand.
    assert_eq!(told(&["check", "--frame-skip", "4"]).file(file).variable("DOOM_AGENT_FRAME_SKIP", "3").options().frame_skip, 4);
}

#[test]
fn the_orchestrators_variables_stand_between_our_own_and_the_file() {
    let file = "id = \"file\"\nnats = \"off\"\ngeneration = \"file\"\nscenario = \"file\"\nseed = 1\n";
    let values = [("AGENT_ID", "env"), ("NATS_URL", "env"), ("GENERATION", "env"), ("SCENARIO", "env"), ("SEED", "2")];
    let alias = |t: Told| values.iter().fold(t, |t, (name, value)| t.variable(name, value));
    let shown = |o: Options| {
        let text = |id: Option<doom_protocol::Id>| id.unwrap().to_string();
        [text(o.id), o.nats.to_string(), text(o.generation), o.scenario.unwrap(), o.seed.unwrap().to_string()]
    };
    assert_eq!(shown(told(&[]).file(file).options()), ["file", "off", "file", "file", "1"]);
    assert_eq!(shown(alias(told(&[]).file(file)).options()), ["env", "env", "env", "env", "2"]);
    let own = ["ID", "NATS", "GENERATION", "SCENARIO"]
        .iter()
        .fold(alias(told(&[]).file(file)), |t, name| t.variable(&format!("DOOM_AGENT_{name}"), "own"));
    assert_eq!(shown(own.variable("DOOM_AGENT_SEED", "3").options()), ["own", "own", "own", "own", "3"]);
    let flags = ["--id=flag", "--nats=flag", "--generation=flag", "--scenario=flag", "--seed=4"];
    assert_eq!(shown(alias(told(&flags).file(file)).variable("DOOM_AGENT_ID", "own").options()), ["flag", "flag", "flag", "flag", "4"]);
}

#[test]
fn an_empty_variable_counts_as_none() {
    let options = told(&[]).variable("AGENT_ID", "").variable("DOOM_AGENT_NATS", "").file("id = \"file\"").options();
    assert_eq!(options.id.unwrap().as_str(), "file");
    assert_eq!(options.nats, NatsChoice::Url("nats://127.0.0.1:4222".parse().unwrap()));
}

#[test]
fn a_flag_replaces_its_rivals_from_elsewhere() {
    let options = told(&["--seeds", "42,73"]).file("seed = 1").variable("SEED", "2").options();
    assert_eq!((options.seeds, options.seed), (vec![42, 73], None));
    let options = told(&["--seed", "5"]).file("seeds = [1, 2]").options();
    assert_eq!((options.seeds, options.seed), (vec![], Some(5)));
    let options = told(&["--nats-token", "t"]).file("nats-user = \"me\"\nnats-password = \"pw\"").options();
    assert!(options.login.nats_token.is_some() && options.login.nats_user.is_none() && options.login.nats_password.is_none());
    // Lists are replaced, not continued.
    let options = told(&["--set", "doom_skill=5"]).file("[set]\ndoom_skill = 1\nticrate = 70").options();
    assert_eq!(options.set, [("doom_skill".to_owned(), "5".to_owned())]);
    // The user's name may stand in the file and the password in the environment.
    let options = told(&[]).file("nats-user = \"me\"").variable("DOOM_AGENT_NATS_PASSWORD", "pw").options();
    assert!(options.login.nats_user.is_some() && options.login.nats_password.is_some());
}

#[test]
fn rivals_in_one_place_are_refused() {
    let (code, text) = told(&["--seed", "1", "--seeds", "1,2"]).refused();
    assert_eq!(code, exit::USAGE);
    assert!(text.contains("`seed`") && text.contains("`seeds`") && text.contains("exclude each other"), "{text}");
    let (code, text) = told(&[]).file("seed = 1\nseeds = [1]").refused();
    assert_eq!(code, exit::DATA);
    assert!(text.contains("agent.toml:1") && text.contains("agent.toml:2"), "{text}");
    assert_eq!(told(&["--nats-token", "a", "--nats-creds", "b"]).refused().0, exit::USAGE);
}

#[test]
fn a_setting_given_twice_is_the_later_one() {
    assert_eq!(told(&["--seed", "1", "--seed", "2"]).options().seed, Some(2));
    assert!(!told(&["--start-paused", "--start-paused=false"]).options().start_paused);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let (code, text) = told(&[]).variable("DOOM_AGENT_FRAME_SKIP", "0").refused();
    assert_eq!((code, text.as_str()), (2, "DOOM_AGENT_FRAME_SKIP: frame-skip cannot be `0`: must be a whole number from 1 to 1000"));
    let (code, text) = told(&[]).variable("AGENT_ID", "a.b").refused();
    assert!(code == 2 && text.starts_with("AGENT_ID: id cannot be `a.b`: the id \"a.b\" has '.' at position 2"), "{text}");
    let (code, text) = told(&[]).variable("DOOM_AGENT_BACKEND", "real").refused();
    assert_eq!((code, text.as_str()), (2, "DOOM_AGENT_BACKEND: backend cannot be `real`: valid are vizdoom, mock"));
    let (code, text) = told(&[]).file("\n\npace = \"fast\"").refused();
    assert!(code == 65 && text.contains("agent.toml:3: pace cannot be `fast`: "), "{text}");
    // Even where a flag would win.
    assert_eq!(told(&["--pace", "max"]).file("pace = -1").refused().0, 65);
    let (code, text) = told(&["--config", "no-such.toml"]).refused();
    assert!(code == 65 && text.starts_with("no-such.toml: the configuration cannot be read: "), "{text}");
    assert_eq!(told(&[]).variable("DOOM_AGENT_CONFIG", "no-such.toml").refused().0, 65);
}

#[test]
fn secrets_stay_out_of_errors_and_debug() {
    let url = "http://me:hunter2@h";
    let refusals = [
        told(&["--nats=http://me:hunter2@h"]).refused(),
        told(&["--nats", "http://me:hunter2@h"]).refused(),
        told(&[]).variable("NATS_URL", url).refused(),
        told(&[]).file(&format!("nats = \"{url}\"")).refused(),
        told(&[]).file("nats-password = [\"hunter2\"]").refused(),
        told(&["--nats-pasword=hunter2"]).refused(),
    ];
    for (code, text) in refusals {
        assert!(code == 2 || code == 65, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let told = told(&["--nats", "nats://me:hunter2@h", "--nats-user=me", "--nats-password=hunter2"]).variable("DOOM_AGENT_HTTP", "[::1]:1");
    let text = format!("{:?}", told.read().unwrap().options);
    assert!(text.contains("[::1]:1") && !text.contains("hunter2"), "{text}");
}

#[test]
fn origins_are_listed_in_the_order_of_the_help_and_without_secrets() {
    let given = told(&["--nats-token", "hunter2", "--seed", "3"]).variable("AGENT_ID", "A").file("pace = 35").read().unwrap().given;
    let shown: Vec<String> = given.iter().filter(|g| g.name != "config").map(|g| format!("{g}")).collect();
    assert_eq!(shown, ["id=A", "pace=35", "seed=3", "nats-token=(hidden)"]);
}
