//! Contracts of the scenario reader that need no engine; `tests/scenarios.rs` compares it with the stock package.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("dir/x.cfg", text.as_bytes(), Path::new("dir"), &[])
}

fn overridden(text: &str, overrides: &[(&str, &str)]) -> Result<Scenario, ScenarioError> {
    let overrides: Vec<_> = overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Scenario::parse("dir/x.cfg", text.as_bytes(), Path::new("dir"), &overrides)
}

/// The error of a text that must not load.
#[track_caller]
fn error(text: &str) -> String {
    match read(text) {
        Ok(scenario) => panic!("{text:?} loads: {scenario:?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_error(text: &str, parts: &[&str]) {
    let error = error(text);
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

/// A value that the key takes.
fn example(key: &str) -> &'static str {
    match key {
        "available_buttons" => "{ ATTACK }",
        "available_game_variables" => "{ HEALTH }",
        "automap_mode" => "WHOLE",
        "button_max_value" => "TURN_LEFT_RIGHT_DELTA 5",
        "mode" => "ASYNC_PLAYER",
        "screen_format" => "RGB24",
        "screen_resolution" => "RES_640X480",
        "audio_sampling_rate" => "SR_22050",
        "doom_map" => "map02",
        "game_args" => "+sv_cheats 1",
        "doom_scenario_path" | "doom_game_path" | "doom_config_path" | "vizdoom_path" => "some/file",
        "doom_skill"
        | "episode_start_time"
        | "episode_timeout"
        | "ticrate"
        | "seed"
        | "audio_buffer_size"
        | "notifications_buffer_size" => "2",
        _ if key.ends_with("_reward") || key.ends_with("_penalty") => "-2.5",
        // The switches: the other way than their default.
        "render_weapon"
        | "render_decals"
        | "render_particles"
        | "render_effects_sprites"
        | "render_corpses"
        | "render_screen_flashes"
        | "automap_render_textures" => "false",
        _ => "true",
    }
}

#[test]
fn our_own_scenarios_load_without_an_engine() {
    assert_eq!(Scenario::embedded().count(), 7);
    for name in Scenario::embedded() {
        let scenario = Scenario::load(name, &SearchPaths::default(), &[]).unwrap();
        assert_eq!(scenario.name, name);
        assert!(!scenario.buttons.is_empty() && !scenario.variables.is_empty(), "{name}");
        assert_eq!(scenario.screen_format, ScreenFormat::Gray8);
        assert_eq!(read(&scenario.to_cfg()).unwrap().buttons, scenario.buttons);
    }
}

#[test]
fn all_61_keys_are_known_in_every_spelling_and_each_sets_something_of_its_own() {
    let camel = |key: &str| {
        let words = key.split('_').enumerate();
        words.map(|(i, word)| if i == 0 { word.to_owned() } else { word[..1].to_uppercase() + &word[1..] }).collect::<String>()
    };
    let default = read("").unwrap();
    let mut seen: Vec<(Scenario, &str)> = Vec::new();
    assert_eq!(Scenario::keys().len(), 61);
    for key in Scenario::keys() {
        let value = example(key);
        let spellings = [(*key).to_owned(), key.to_uppercase(), camel(key), key.replace('_', ""), key.replace('_', "").to_uppercase()];
        let read = spellings.map(|key| Scenario { sha256: String::new(), ..read(&format!(" {key}\t= {value} ")).unwrap() });
        assert!(read.iter().all(|scenario| *scenario == read[0]), "{key}");
        assert_ne!(read[0], Scenario { sha256: String::new(), ..default.clone() }, "{key} changes nothing");
        for (other, name) in &seen {
            // These are one number under two signs, and -2.5 is not 2.5.
            assert_ne!(read[0], *other, "{key} and {name} set the same");
        }
        let [first, ..] = read;
        seen.push((first, key));
    }
}

#[test]
fn a_printed_scenario_reads_as_the_same_whatever_it_holds() {
    let everything: String = Scenario::keys().iter().map(|key| format!("{key} = {}\n", example(key))).collect();
    let scenario = read(&everything).unwrap();
    let again = read(&scenario.to_cfg()).unwrap();
    assert_eq!(Scenario { sha256: scenario.sha256.clone(), ..again }, scenario);
}

#[test]
fn a_list_may_go_over_lines_with_comments_between_and_be_added_to() {
    let text = "available_buttons =\n\n  # which ones\n{\n ATTACK Use\n # more\n\tJUMP }\navailableButtons += { USE CROUCH }";
    assert_eq!(read(text).unwrap().buttons, [Button::ATTACK, Button::USE, Button::JUMP, Button::CROUCH]);
    assert_eq!(read("available_buttons = { ATTACK }\navailable_buttons = {}").unwrap().buttons, []);
    let args = read("game_args = -a  b\ngame_args += c=d").unwrap().game_args;
    assert_eq!(args, ["-a", "b", "c=d"]);
}

#[test]
fn a_reward_and_the_penalty_of_the_same_thing_are_one_number() {
    let rewards = read("death_reward = -3\nhit_taken_reward = 2\ndamage_taken_reward = 0.5").unwrap().rewards;
    assert_eq!((rewards.death_penalty, rewards.hit_taken_penalty, rewards.damage_taken_penalty), (3.0, -2.0, -0.5));
    assert_eq!(read("death_penalty = 4\ndeath_reward = -3").unwrap().rewards.death_penalty, 3.0, "the last one counts");
}

#[test]
fn an_error_has_file_line_and_column_and_says_what_would_be_right() {
    assert_error(
        "living_reward = 1\n\n  living_rewrad = 2",
        &["dir/x.cfg:3:3: unknown scenario key `living_rewrad`", "did you mean living_reward?", "window_visible"],
    );
    assert_error("available_buttons =\n {\n  ATTACK FIRE }", &["dir/x.cfg:3:10: unknown button `FIRE`", "valid are ATTACK, USE"]);
    assert_error("available_game_variables = { HELTH }", &["dir/x.cfg:1:30:", "did you mean HEALTH?", "USER60"]);
    assert_error("mode = PLAYR", &["dir/x.cfg:1:8: unknown mode", "PLAYER, ASYNC_PLAYER"]);
    assert_error("screen_format = GRAY9", &["1:17", "did you mean GRAY8?", "CRCGCB"]);
    assert_error("screen_resolution = 320x240", &["1:21", "RES_320X240"]);
    assert_error("doom_skill = 6", &["dir/x.cfg:1:14: doom_skill cannot be `6`: expected a whole number from 1 to 5"]);
    assert_error("livingReward = x", &["living_reward cannot be `x`: expected a finite number"]);
    assert_error("render_hud = maybe", &["expected true or false"]);
    assert_error("\u{fc}\u{fc} = 1\n\u{fc}b = 1", &["dir/x.cfg:1:1"]);
    assert_error("# \u{fc}\n  \u{fc}\u{fc} = {", &["dir/x.cfg:2:8: this list is not closed"]);
    assert_error("button_max_value = ATTACK 3", &["ATTACK is pressed or not"]);
    assert_error("button_max_value = TURN_LEFT_RIGHT_DELTA", &["such as TURN_LEFT_RIGHT_DELTA 10"]);
    assert_error("doom_map = level one", &["such as map01"]);
    assert_error("doom_map = a_long_name", &["such as map01"]);
    assert_error("ticrate = 1001", &["from 1 to 1000"]);
}

#[test]
fn what_has_not_the_form_of_a_scenario_is_said_where_it_stands() {
    assert_error("living_reward 1", &["dir/x.cfg:1:1: expected `key = value`"]);
    assert_error(" = 1", &["expected a key before `=`"]);
    assert_error("living_reward =  ", &["living_reward cannot be ``: expected a value"]);
    assert_error("living_reward += 1", &["1:1", "`+=` works for available_buttons"]);
    assert_error("living_reward = { 1 }", &["takes a single value, not a list"]);
    assert_error("available_buttons = ATTACK", &["expected a list in braces"]);
    assert_error("available_buttons = { ATTACK", &["1:21: this list is not closed: the file ends"]);
    assert_error("available_buttons = { ATTACK\nliving_reward = 1", &["2:15", "the list that starts on line 1 is not closed"]);
    assert_error("available_buttons = { ATTACK, USE }", &["1:29: names in a list are separated by blanks"]);
    assert_error("available_buttons = { ATTACK } USE", &["1:32: nothing may follow `}`"]);
    assert_error("living_reward = 1 # each tic", &["1:19: a comment cannot follow a value"]);
    assert_error("available_buttons = {\n ATTACK # shoot\n}", &["2:9: a comment cannot follow a value"]);
    assert_error("mode = SPECTATOR", &["1:8: mode SPECTATOR hands the game to a person"]);
    assert_error("game_args = +x -HOST 2", &["-HOST start a multiplayer game"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let parse = |bytes: &[u8]| Scenario::parse("x.cfg", bytes, Path::new(""), &[]);
    let text = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert!(text(b"mode = PLAYER\nab\xff").contains("x.cfg:2:3: these bytes are not UTF-8"));
    assert!(text(b"IWAD\x00\x01").contains("x.cfg:1:5: a control character"));
    assert!(text(&vec![b'#'; 2 << 20]).contains("larger than 1048576 bytes"));
    assert_eq!(parse("\u{feff}doom_skill = 5\r\n".as_bytes()).unwrap().doom_skill, 5, "a byte order mark is none of the text");
}

#[test]
fn a_relative_path_is_looked_for_beside_the_file_then_among_vizdooms() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    for name in ["own", "scenarios", "engine"] {
        std::fs::create_dir(place(name)).unwrap();
    }
    let search = SearchPaths { scenarios_dir: Some(place("scenarios")), engine_dir: Some(place("engine")) };
    std::fs::write(place("engine/freedoom2.wad"), "").unwrap();
    std::fs::write(place("own/x.cfg"), "doom_scenario_path = maps.wad").unwrap();
    let load = || Scenario::load(place("own/x").to_str().unwrap(), &search, &[]).unwrap();
    let error = load().check_files(&search).unwrap_err().to_string();
    for part in ["doom_scenario_path of scenario `x`", "no file `maps.wad`", "own/maps.wad", "scenarios/maps.wad", "engine/maps.wad"] {
        assert!(error.contains(part), "{error}");
    }
    std::fs::write(place("scenarios/maps.wad"), "").unwrap();
    let found = || load().check_files(&search).unwrap();
    assert_eq!((found().scenario.unwrap(), found().game), (place("scenarios/maps.wad"), place("engine/freedoom2.wad")));
    std::fs::write(place("own/maps.wad"), "").unwrap();
    assert_eq!(found().scenario.unwrap(), place("own/maps.wad"));
    // Absolute ones are what they say, wherever the file is.
    std::fs::write(place("own/x.cfg"), format!("doom_scenario_path = {}", place("scenarios/maps").display())).unwrap();
    assert_eq!(found().scenario.unwrap(), place("scenarios/maps.wad"));
}

#[test]
fn a_name_is_a_path_then_one_of_ours_then_one_of_vizdooms() {
    let dir = tempfile::tempdir().unwrap();
    let search = SearchPaths { scenarios_dir: Some(dir.path().into()), engine_dir: None };
    for name in ["basic.cfg", "other.cfg"] {
        std::fs::write(dir.path().join(name), "doom_skill = 1").unwrap();
    }
    let skill = |name: &str| Scenario::load(name, &search, &[]).map(|s| (s.name, s.doom_skill));
    for ours in ["basic", "basic.cfg", "BASIC", "Basic.CFG"] {
        assert_eq!(skill(ours).unwrap(), ("basic".to_owned(), 5), "{ours}");
    }
    for theirs in ["other", "other.cfg"] {
        assert_eq!(skill(theirs).unwrap(), ("other".to_owned(), 1), "{theirs}");
    }
    assert_eq!(skill(dir.path().join("basic").to_str().unwrap()).unwrap(), ("basic".to_owned(), 1));
    let error = skill("none").unwrap_err().to_string();
    assert!(error.contains("`none` not found") && error.contains("none.cfg") && error.contains("our own (basic, "), "{error}");
    assert!(skill("").is_err() && skill("  ").is_err());
}

#[test]
fn overrides_come_last_in_order_and_count_in_the_digest() {
    let text = "doom_skill = 2\navailable_buttons = { ATTACK }";
    let plain = read(text).unwrap();
    let with = |overrides| overridden(text, overrides).unwrap();
    let scenario = with(&[("doomSkill", "3"), ("doom_skill", " 4 "), ("available_buttons+", "USE,JUMP")]);
    assert_eq!((scenario.doom_skill, scenario.buttons.len()), (4, 3));
    assert_ne!(scenario.sha256, plain.sha256);
    assert_eq!(with(&[("DoomSkill", "3")]).sha256, with(&[("doom_skill", "3 ")]).sha256, "one setting, one digest");
    let error = overridden(text, &[("doom_skill", "9")]).unwrap_err().to_string();
    assert!(error.contains("--set doom_skill=9: doom_skill cannot be `9`"), "{error}");
    let error = overridden(text, &[("doom_skil", "3")]).unwrap_err().to_string();
    assert!(error.contains("--set doom_skil=3: unknown scenario key") && error.contains("did you mean doom_skill?"), "{error}");
}

/// Lines that are nearly right.
fn nearly() -> impl Strategy<Value = String> {
    let key = prop_oneof![proptest::sample::select(Scenario::keys()).prop_map(str::to_owned), "[a-zA-Z_]{0,12}"];
    let sign = prop_oneof![Just("="), Just(" = "), Just("+="), Just(""), Just("= {"), Just("=\n{")];
    let value = prop_oneof!["[0-9.eE+-]{0,12}", "[A-Z_0-9 {}#,=]{0,30}", "\\PC{0,12}", Just("TURN_LEFT_RIGHT_DELTA 5 }".to_owned())];
    proptest::collection::vec((key, sign, value), 0..8)
        .prop_map(|lines| lines.iter().map(|(key, sign, value)| format!("{key}{sign}{value}\n")).collect())
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Scenario::parse("x.cfg", &bytes, Path::new("dir"), &[]);
    }

    #[test]
    fn no_text_makes_the_reader_panic_and_every_error_has_a_place(text in nearly()) {
        if let Err(error) = read(&text) {
            prop_assert!(error.to_string().starts_with("dir/x.cfg:"), "{}", error);
        }
    }

    #[test]
    fn no_override_makes_the_reader_panic(key in "\\PC{0,20}", value in "\\PC{0,20}") {
        let _ = overridden("", &[(&key, &value)]);
    }

    #[test]
    fn what_was_read_reads_the_same_when_printed(text in nearly()) {
        if let Ok(scenario) = read(&text) {
            let again = read(&scenario.to_cfg()).unwrap();
            prop_assert_eq!(Scenario { sha256: scenario.sha256.clone(), ..again }, scenario);
        }
    }
}
