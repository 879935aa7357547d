//! Rules from a file: what a score says of them, the same game again, and what is refused before anything starts.

use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Backend, Spec, on_both};

on_both!(rules_from_a_file_play_and_every_score_says_which, rules_that_draw_play_the_same_game_again);

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/rules").join(name)
}

/// The payloads of this type that an agent writes to its standard output.
fn payloads(spec: Spec, kind: &str) -> Vec<Value> {
    let (code, out, log) = spec.with(&["--events", "-"]).run();
    assert_eq!(code, 0, "{log}");
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"]["type"] == kind).map(|mut line| line["event"]["payload"].take()).collect()
}

fn rules(backend: Backend, scenario: &str) -> Spec {
    let policy = format!("rules:{}", shipped(&format!("{scenario}.toml")).display());
    Spec::new(backend, "A", scenario).with(&["--policy", &policy])
}

fn rules_from_a_file_play_and_every_score_says_which(backend: Backend) {
    let scores = payloads(rules(backend, "basic").with(&["--episodes", "5", "--policy-param", "aim=0.1"]), "agent.score");
    let mut text = std::fs::read(shipped("basic.toml")).unwrap();
    text.extend_from_slice(b"\naim=0.1");
    let hash: String = Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(scores.len(), 5);
    for score in scores {
        assert_eq!((score["policy"].as_str(), score["policy_sha256"].as_str()), (Some("rules:basic.toml"), Some(hash.as_str())));
        let rate = score["rule_match_rate"].as_f64().unwrap();
        assert!(rate > 0.0 && rate <= 1.0, "{score}");
        assert_eq!((score["kills"].as_u64(), score["end_reason"].as_str()), (Some(1), Some("level_exit")), "{score}");
    }
}

fn rules_that_draw_play_the_same_game_again(backend: Backend) {
    let play = || {
        let actions = payloads(rules(backend, "deadly_corridor").with(&["--episodes", "2"]), "agent.action");
        actions.into_iter().map(|mut action| (action["tic"].take(), action["action"].take())).collect::<Vec<_>>()
    };
    let (a, b) = (play(), play());
    assert!(a.len() > 100 && a == b, "{} and {} actions", a.len(), b.len());
}

/// The exit code and the line that says why.
fn refused(arguments: &[&str]) -> (i32, String) {
    let (code, _, log) = Spec::new(Backend::Mock, "A", "basic").with(arguments).run();
    (code, log.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn what_is_wrong_with_a_policy_is_said_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("own.toml");
    let policy = format!("rules:{}", file.display());
    let place = file.display();
    assert_eq!(
        refused(&["--policy", &policy]),
        (65, format!("doom-agent: the policy file {place} cannot be read: No such file or directory (os error 2)"))
    );
    for (when, press, expected) in [
        ("HEALT < 3", "ATTACK", "2:9: unknown name `HEALT` (did you mean HEALTH?); "),
        ("true", "ATACK", "3:10: unknown button `ATACK` (did you mean ATTACK?); valid are ATTACK, USE, "),
        ("true", "USE", "3:10: the scenario has no button USE; it has MOVE_LEFT, MOVE_RIGHT, ATTACK"),
    ] {
        std::fs::write(&file, format!("[[rule]]\nwhen = '{when}'\npress = '{press}'\n")).unwrap();
        let (code, why) = refused(&["--policy", &policy]);
        assert!(code == 65 && why.starts_with(&format!("doom-agent: {place}:{expected}")), "{code}: {why}");
    }
    let basic = format!("rules:{}", shipped("basic.toml").display());
    for (parameter, expected) in [
        (
            "aims=0.3",
            "doom-agent: the policy `rules:basic.toml` has no parameter `aims`; did you mean aim? It has aim (default 0.08, 0 to 1)",
        ),
        ("aim=1.5", "doom-agent: the parameter `aim` of the policy `rules:basic.toml` cannot be 1.5; it takes 0 to 1"),
    ] {
        assert_eq!(refused(&["--policy", &basic, "--policy-param", parameter]), (65, expected.to_owned()));
    }
}
