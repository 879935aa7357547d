//! One line an event, for people; action and observe of a step share one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Color, Style};
use serde_json::Value;

use super::feed::{Event, STREAMS};

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const PLAIN: anstyle::Reset = anstyle::Reset;
const GOOD: Style = color(AnsiColor::Green);
const BAD: Style = color(AnsiColor::Red);
const RECORD: Style = color(AnsiColor::Cyan).bold();
const SYSTEM: Style = color(AnsiColor::Yellow);

/// Five lines a second at realtime.
const EVERY: u64 = 7;

const fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

/// What was shown so far, as far as the next line depends on it.
pub(super) struct Show {
    every: u64,
    /// Of the last `action`: its step, and what was pressed.
    pressed: (u64, String),
    /// What a step of this episode mostly brings.
    usual_reward: f64,
    /// As last shown.
    variables: BTreeMap<String, f64>,
}

impl Show {
    pub(super) fn new(every_step: bool) -> Self {
        Self { every: if every_step { 1 } else { EVERY }, pressed: (0, String::new()), usual_reward: 0.0, variables: BTreeMap::new() }
    }

    /// Says what follows.
    pub(super) fn intro(&self, url: &str) -> io::Result<()> {
        let thinned = match self.every {
            1 => "every step is shown".to_owned(),
            n => format!("every {n}th step is shown and each with an unusual reward (--every-step shows all)"),
        };
        let mut out = anstream::stdout();
        writeln!(out, "{DIM}Another client of {url} reads the streams {}.{PLAIN}", STREAMS.join(" and "))?;
        writeln!(out, "{DIM}One line an event, action and observe of a step in one: {thinned}; all else is shown whole.{PLAIN}\n")
    }

    /// Shows it, if it is one to show.
    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        match self.line(event) {
            Some(line) => writeln!(anstream::stdout(), "{line}"),
            None => Ok(()),
        }
    }

    /// The line, unless this event waits for its pair or is passed over.
    fn line(&mut self, event: &Event) -> Option<String> {
        let payload = &event.payload;
        match event.kind.as_str() {
            "agent.action" => {
                self.pressed = (whole(payload, "step"), text(&payload["action"], "action_type"));
                None
            }
            "agent.observe" => self.observe(payload),
            "agent.death" => {
                let position = |axis| number(payload["position"][axis].as_f64());
                Some(format!(
                    "{BAD}death{PLAIN}      tic {:<6} at ({}, {}, {})  health {}  kills {}  survived {:.1} s",
                    whole(payload, "tic"),
                    position("x"),
                    position("y"),
                    position("z"),
                    number(payload["health"].as_f64()),
                    whole(payload, "kills"),
                    payload["survival_seconds"].as_f64().unwrap_or_default(),
                ))
            }
            "agent.score" => Some(format!(
                "{RECORD}score{PLAIN}      episode {}: {}  reward {}  steps {}  kills {}  hits {}  ammo used {}  survived {:.1} s  ({})",
                whole(payload, "episode_number"),
                text(payload, "end_reason"),
                number(payload["total_reward"].as_f64()),
                whole(payload, "steps"),
                whole(payload, "kills"),
                whole(payload, "hits"),
                number(payload["ammo_used"].as_f64()),
                payload["survival_seconds"].as_f64().unwrap_or_default(),
                event.backend,
            )),
            "system.lifecycle" => Some(format!("{SYSTEM}lifecycle{PLAIN}  {}", flat(payload, &["agent_id", "timestamp", "instance"]))),
            "system.error" => Some(format!("{BAD}error{PLAIN}      {}", flat(payload, &["agent_id", "timestamp", "instance"]))),
            other => Some(format!("{other}  {}", flat(payload, &[]))),
        }
    }

    fn observe(&mut self, payload: &Value) -> Option<String> {
        let step = whole(payload, "step");
        let reward = payload["reward"].as_f64().unwrap_or_default();
        if step <= 1 {
            self.usual_reward = reward;
        }
        let ended = payload["terminated"] == true || payload["truncated"] == true;
        let unusual = differs(reward, self.usual_reward);
        if !step.is_multiple_of(self.every) && !unusual && !ended {
            return None;
        }
        let pressed = match &self.pressed {
            (of, pressed) if *of == step && step > 0 => pressed.as_str(),
            _ => "",
        };
        let style = if reward > 0.0 { GOOD } else { Style::new() };
        let mut line = format!(
            "step {step:<5} tic {:<6} {pressed:<22} {style}reward {:>6}{PLAIN}  total {:>7} ",
            whole(payload, "tic"),
            number(Some(reward)),
            number(payload["total_reward"].as_f64()),
        );
        if step == 0 {
            self.variables.clear();
        }
        for (name, value) in payload["variables"].as_object().into_iter().flatten() {
            let value = value.as_f64().unwrap_or_default();
            if self.variables.insert(name.clone(), value).is_none_or(|last| differs(last, value)) {
                let _ = write!(line, " {DIM}{name}{PLAIN} {}", number(Some(value)));
            }
        }
        Some(line)
    }
}

fn differs(a: f64, b: f64) -> bool {
    (a - b).abs() > 1e-9
}

fn whole(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or("?").to_owned()
}

/// Without digits that say nothing.
pub(super) fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
        None => "-".to_owned(),
    }
}

/// `name=value` for each field but those that are `known`, and for the fields of a field.
fn flat(payload: &Value, known: &[&str]) -> String {
    let mut parts = Vec::new();
    for (name, value) in payload.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str())) {
        match value {
            Value::String(text) => parts.push(format!("{name}={text}")),
            Value::Object(_) => parts.push(format!("{name}=({})", flat(value, &[]))),
            other => parts.push(format!("{name}={other}")),
        }
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    fn event(kind: &str, payload: Value) -> Event {
        Event { kind: kind.into(), seq: None, backend: "mock".into(), payload }
    }

    fn observe(step: u64, reward: f64, ammo: f64) -> Event {
        let variables = json!({"AMMO2": ammo, "HEALTH": 100.0});
        event("agent.observe", json!({"step": step, "tic": 14 + step, "reward": reward, "total_reward": reward, "variables": variables}))
    }

    #[test]
    fn a_step_is_one_line_with_what_was_pressed_and_what_changed() {
        let mut show = Show::new(true);
        show.line(&observe(0, 0.0, 50.0));
        assert!(show.line(&event("agent.action", json!({"step": 1, "action": {"action_type": "MOVE_LEFT+ATTACK"}}))).is_none());
        let line = strip_str(&show.line(&observe(1, -6.0, 49.0)).unwrap()).to_string();
        assert!(line.contains("MOVE_LEFT+ATTACK") && line.contains("AMMO2 49") && !line.contains("HEALTH"), "{line}");
    }

    #[test]
    fn of_the_steps_each_seventh_and_each_unusual_one_is_shown() {
        let mut show = Show::new(false);
        let shown: Vec<u64> = (0..20).filter(|&n| show.line(&observe(n, if n == 10 { 101.0 } else { -1.0 }, 50.0)).is_some()).collect();
        assert_eq!(shown, [0, 7, 10, 14]);
    }

    #[test]
    fn results_and_lifecycle_are_always_shown() {
        let mut show = Show::new(false);
        for kind in ["agent.score", "agent.death", "system.lifecycle", "system.error"] {
            assert!(show.line(&event(kind, json!({"state": "stopped"}))).is_some(), "{kind}");
        }
    }
}
