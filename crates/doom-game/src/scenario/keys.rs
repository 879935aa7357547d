//! The 61 keys of a scenario file: what each takes, where it goes, and how it is printed again.
//!
//! Source: upstream `src/lib/ViZDoomConfigLoader.cpp`. Keys are matched without regard to case and underscores.

use std::{path::PathBuf, str::FromStr};

use super::{
    FileRef, FileRefBase, Scenario,
    error::{Place, ScenarioError},
    parse::{Entry, Token, Value},
};
use crate::names::{Button, UnknownName, Variable};

/// Where the value of a key lives, which also says what it takes.
enum Kind {
    Flag(fn(&mut Scenario) -> &mut bool),
    Real(fn(&mut Scenario) -> &mut f64),
    /// The same number with the other sign, as upstream's `death_reward` is to `death_penalty`.
    Negated(fn(&mut Scenario) -> &mut f64),
    /// A whole number from the first to the second.
    Count(u32, u32, fn(&mut Scenario) -> &mut u32),
    File(fn(&mut Scenario) -> &mut Option<FileRef>),
    Seed,
    Map,
    GameArgs,
    Buttons,
    Variables,
    ButtonMaxValue,
    Mode,
    AutomapMode,
    Resolution,
    Format,
    SamplingRate,
}

/// Upstream keeps these numbers in C ints.
const INT_MAX: u32 = i32::MAX.unsigned_abs();

/// Declares the table and, beside it, the names alone.
macro_rules! keys {
    ($($name:literal => $kind:expr),* $(,)?) => {
        const NAMES: &[&str] = &[$($name),*];
        const KEYS: &[(&str, Kind)] = &[$(($name, $kind)),*];
    };
}

keys! {
    "doom_scenario_path" => Kind::File(|s| &mut s.doom_scenario_path),
    "doom_game_path" => Kind::File(|s| &mut s.doom_game_path),
    "doom_config_path" => Kind::File(|s| &mut s.doom_config_path),
    "vizdoom_path" => Kind::File(|s| &mut s.vizdoom_path),
    "doom_map" => Kind::Map,
    "doom_skill" => Kind::Count(1, 5, |s| &mut s.doom_skill),
    "seed" => Kind::Seed,
    "ticrate" => Kind::Count(1, 1_000, |s| &mut s.ticrate),
    "mode" => Kind::Mode,
    "game_args" => Kind::GameArgs,
    "episode_start_time" => Kind::Count(0, INT_MAX, |s| &mut s.episode_start_time),
    "episode_timeout" => Kind::Count(0, INT_MAX, |s| &mut s.episode_timeout),
    "available_buttons" => Kind::Buttons,
    "button_max_value" => Kind::ButtonMaxValue,
    "available_game_variables" => Kind::Variables,
    "living_reward" => Kind::Real(|s| &mut s.rewards.living_reward),
    "death_penalty" => Kind::Real(|s| &mut s.rewards.death_penalty),
    "death_reward" => Kind::Negated(|s| &mut s.rewards.death_penalty),
    "map_exit_reward" => Kind::Real(|s| &mut s.rewards.map_exit_reward),
    "kill_reward" => Kind::Real(|s| &mut s.rewards.kill_reward),
    "secret_reward" => Kind::Real(|s| &mut s.rewards.secret_reward),
    "item_reward" => Kind::Real(|s| &mut s.rewards.item_reward),
    "frag_reward" => Kind::Real(|s| &mut s.rewards.frag_reward),
    "hit_reward" => Kind::Real(|s| &mut s.rewards.hit_reward),
    "hit_taken_penalty" => Kind::Real(|s| &mut s.rewards.hit_taken_penalty),
    "hit_taken_reward" => Kind::Negated(|s| &mut s.rewards.hit_taken_penalty),
    "damage_made_reward" => Kind::Real(|s| &mut s.rewards.damage_made_reward),
    "damage_taken_penalty" => Kind::Real(|s| &mut s.rewards.damage_taken_penalty),
    "damage_taken_reward" => Kind::Negated(|s| &mut s.rewards.damage_taken_penalty),
    "health_reward" => Kind::Real(|s| &mut s.rewards.health_reward),
    "armor_reward" => Kind::Real(|s| &mut s.rewards.armor_reward),
    "screen_resolution" => Kind::Resolution,
    "screen_format" => Kind::Format,
    "depth_buffer_enabled" => Kind::Flag(|s| &mut s.buffers.depth),
    "labels_buffer_enabled" => Kind::Flag(|s| &mut s.buffers.labels),
    "automap_buffer_enabled" => Kind::Flag(|s| &mut s.buffers.automap),
    "automap_mode" => Kind::AutomapMode,
    "automap_rotate" => Kind::Flag(|s| &mut s.buffers.automap_rotate),
    "automap_render_textures" => Kind::Flag(|s| &mut s.buffers.automap_render_textures),
    "automap_render_objects_as_sprites" => Kind::Flag(|s| &mut s.buffers.automap_render_objects_as_sprites),
    "objects_info_enabled" => Kind::Flag(|s| &mut s.buffers.objects_info),
    "sectors_info_enabled" => Kind::Flag(|s| &mut s.buffers.sectors_info),
    "audio_buffer_enabled" => Kind::Flag(|s| &mut s.buffers.audio),
    "audio_buffer_size" => Kind::Count(1, 1_000, |s| &mut s.buffers.audio_size),
    "audio_sampling_rate" => Kind::SamplingRate,
    "notifications_buffer_enabled" => Kind::Flag(|s| &mut s.buffers.notifications),
    "notifications_buffer_size" => Kind::Count(1, 1_000, |s| &mut s.buffers.notifications_size),
    "render_hud" => Kind::Flag(|s| &mut s.render.hud),
    "render_minimal_hud" => Kind::Flag(|s| &mut s.render.minimal_hud),
    "render_weapon" => Kind::Flag(|s| &mut s.render.weapon),
    "render_crosshair" => Kind::Flag(|s| &mut s.render.crosshair),
    "render_decals" => Kind::Flag(|s| &mut s.render.decals),
    "render_particles" => Kind::Flag(|s| &mut s.render.particles),
    "render_effects_sprites" => Kind::Flag(|s| &mut s.render.effects_sprites),
    "render_messages" => Kind::Flag(|s| &mut s.render.messages),
    "render_corpses" => Kind::Flag(|s| &mut s.render.corpses),
    "render_screen_flashes" => Kind::Flag(|s| &mut s.render.screen_flashes),
    "render_all_frames" => Kind::Flag(|s| &mut s.render.all_frames),
    "window_visible" => Kind::Flag(|s| &mut s.window_visible),
    "console_enabled" => Kind::Flag(|s| &mut s.console_enabled),
    "sound_enabled" => Kind::Flag(|s| &mut s.sound_enabled),
}

/// The canonical spelling of every key.
#[must_use]
pub(super) fn names() -> &'static [&'static str] {
    NAMES
}

/// Finds a key as ViZDoom would.
fn find(key: &Token<'_>) -> Result<(&'static str, &'static Kind), ScenarioError> {
    let fold = |s: &str| s.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect::<String>();
    let folded = fold(key.text);
    KEYS.iter().find(|(name, _)| fold(name) == folded).map(|(name, kind)| (*name, kind)).ok_or_else(|| ScenarioError::UnknownKey {
        place: key.place.clone(),
        source: Box::new(UnknownName::new("scenario key", key.text, NAMES)),
    })
}

/// The key's canonical spelling.
pub(super) fn canonical(key: &Token<'_>) -> Result<&'static str, ScenarioError> {
    find(key).map(|(name, _)| name)
}

/// The name's error with its place.
fn unknown(place: &Place) -> impl FnOnce(UnknownName) -> ScenarioError {
    let place = place.clone();
    |source| ScenarioError::UnknownName { place, source: Box::new(source) }
}

/// Applies one entry. `base` is what its paths are relative to.
pub(super) fn apply(scenario: &mut Scenario, entry: &Entry<'_>, base: &FileRefBase) -> Result<(), ScenarioError> {
    let (key, kind) = find(&entry.key)?;
    match (kind, &entry.value) {
        (Kind::Buttons, Value::List(words)) => return list(&mut scenario.buttons, words, entry.append, button),
        (Kind::Variables, Value::List(words)) => return list(&mut scenario.variables, words, entry.append, Variable::from_str),
        _ => {}
    }
    let value = match &entry.value {
        Value::Single(value) => value,
        Value::List(_) => {
            let what = format!("{key} takes a single value, not a list in braces");
            return Err(ScenarioError::Syntax { place: entry.key.place.clone(), what });
        }
    };
    let bad = |expected: String| ScenarioError::BadValue { place: value.place.clone(), key, value: value.text.into(), expected };
    if matches!(kind, Kind::Buttons | Kind::Variables) {
        return Err(bad("expected a list in braces, such as { A B }".into()));
    }
    if entry.append && !matches!(kind, Kind::GameArgs) {
        let what = format!("`+=` works for available_buttons, available_game_variables and game_args; {key} takes `=`");
        return Err(ScenarioError::Syntax { place: entry.key.place.clone(), what });
    }
    if value.text.is_empty() && !matches!(kind, Kind::GameArgs) {
        return Err(bad("expected a value after `=`".into()));
    }
    match kind {
        Kind::Flag(field) => *field(scenario) = flag(value.text).ok_or_else(|| bad("expected true or false".into()))?,
        Kind::Real(field) => *field(scenario) = real(value.text).ok_or_else(|| bad("expected a finite number".into()))?,
        Kind::Negated(field) => *field(scenario) = -real(value.text).ok_or_else(|| bad("expected a finite number".into()))?,
        Kind::Count(low, high, field) => *field(scenario) = count(value.text, *low, *high).map_err(bad)?,
        Kind::Seed => scenario.seed = Some(count(value.text, 0, u32::MAX).map_err(bad)?),
        Kind::File(field) => *field(scenario) = Some(FileRef { given: PathBuf::from(value.text), base: base.clone() }),
        Kind::Map => {
            // A lump's name has at most eight characters.
            if value.text.len() > 8 || !value.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(bad("expected a map's name, such as map01".into()));
            }
            scenario.doom_map = value.text.to_ascii_lowercase();
        }
        Kind::GameArgs => game_args(scenario, value, entry.append)?,
        Kind::ButtonMaxValue => button_max_value(scenario, value, &bad)?,
        Kind::Mode => {
            let spectator = ["SPECTATOR", "ASYNC_SPECTATOR"].iter().any(|m| m.eq_ignore_ascii_case(value.text));
            if spectator {
                let what = format!("mode {} hands the game to a person at the keyboard; an agent needs PLAYER or ASYNC_PLAYER", value.text);
                return Err(ScenarioError::Unsupported { place: value.place.clone(), what });
            }
            scenario.mode = value.text.parse().map_err(unknown(&value.place))?;
        }
        Kind::AutomapMode => scenario.buffers.automap_mode = value.text.parse().map_err(unknown(&value.place))?,
        Kind::Resolution => scenario.screen_resolution = value.text.parse().map_err(unknown(&value.place))?,
        Kind::Format => scenario.screen_format = value.text.parse().map_err(unknown(&value.place))?,
        Kind::SamplingRate => scenario.buffers.audio_sampling_rate = value.text.parse().map_err(unknown(&value.place))?,
        Kind::Buttons | Kind::Variables => {}
    }
    Ok(())
}

/// A button by either of the names that ViZDoom has used for it.
fn button(name: &str) -> Result<Button, UnknownName> {
    if name.eq_ignore_ascii_case("ACTIVATE_SELECTED_WEAPON") { Ok(Button::ACTIVATE_SELECTED_ITEM) } else { name.parse() }
}

/// Sets a list, or adds to it; a name given twice counts once, as upstream.
fn list<T: PartialEq>(
    field: &mut Vec<T>,
    words: &[Token<'_>],
    append: bool,
    parse: impl Fn(&str) -> Result<T, UnknownName>,
) -> Result<(), ScenarioError> {
    let parsed = words.iter().map(|w| parse(w.text).map_err(unknown(&w.place))).collect::<Result<Vec<_>, _>>()?;
    if !append {
        field.clear();
    }
    for item in parsed {
        if !field.contains(&item) {
            field.push(item);
        }
    }
    Ok(())
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn real(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|x| x.is_finite())
}

fn count(text: &str, low: u32, high: u32) -> Result<u32, String> {
    text.parse::<u32>().ok().filter(|n| (low..=high).contains(n)).ok_or_else(|| format!("expected a whole number from {low} to {high}"))
}

fn game_args(scenario: &mut Scenario, value: &Token<'_>, append: bool) -> Result<(), ScenarioError> {
    let network = |a: &&str| matches!(a.to_ascii_lowercase().as_str(), "-host" | "-join");
    if let Some(arg) = value.text.split_whitespace().find(network) {
        let what = format!("game_args with {arg} start a multiplayer game; an agent plays a single-player game");
        return Err(ScenarioError::Unsupported { place: value.place.clone(), what });
    }
    if !append {
        scenario.game_args.clear();
    }
    scenario.game_args.extend(value.text.split_whitespace().map(str::to_owned));
    Ok(())
}

fn button_max_value(scenario: &mut Scenario, value: &Token<'_>, bad: &dyn Fn(String) -> ScenarioError) -> Result<(), ScenarioError> {
    let form = || bad("expected a delta button and a whole number, such as TURN_LEFT_RIGHT_DELTA 10".into());
    let (name, number) = value.text.split_once(char::is_whitespace).ok_or_else(form)?;
    let named = button(name).map_err(unknown(&value.place))?;
    if !named.is_delta() {
        return Err(bad(format!("{named} is pressed or not; only buttons that end in _DELTA have a largest value")));
    }
    let max = f64::from(count(number.trim(), 0, INT_MAX).map_err(|_| form())?);
    scenario.button_max_values.retain(|(b, _)| *b != named);
    scenario.button_max_values.push((named, max));
    Ok(())
}

/// Prints every key that differs from nothing at all, so that reading the text again gives the same scenario.
pub(super) fn print(scenario: &Scenario) -> String {
    let mut copy = scenario.clone();
    let mut out = String::new();
    let join = |names: Vec<&str>| format!("{{ {} }}", names.join(" "));
    for (name, kind) in KEYS {
        let values = match kind {
            Kind::Flag(field) => vec![field(&mut copy).to_string()],
            Kind::Real(field) => vec![field(&mut copy).to_string()],
            Kind::Negated(_) => vec![],
            Kind::Count(_, _, field) => vec![field(&mut copy).to_string()],
            Kind::File(field) => field(&mut copy).iter().map(|f| f.given.display().to_string()).collect(),
            Kind::Seed => copy.seed.iter().map(u32::to_string).collect(),
            Kind::Map => vec![copy.doom_map.clone()],
            Kind::GameArgs => vec![copy.game_args.join(" ")],
            Kind::Buttons => vec![join(copy.buttons.iter().map(|b| b.name()).collect())],
            Kind::Variables => vec![join(copy.variables.iter().map(|v| v.name()).collect())],
            Kind::ButtonMaxValue => copy.button_max_values.iter().map(|(b, max)| format!("{b} {max}")).collect(),
            Kind::Mode => vec![copy.mode.name().into()],
            Kind::AutomapMode => vec![copy.buffers.automap_mode.name().into()],
            Kind::Resolution => vec![copy.screen_resolution.name().into()],
            Kind::Format => vec![copy.screen_format.name().into()],
            Kind::SamplingRate => vec![copy.buffers.audio_sampling_rate.name().into()],
        };
        for value in values {
            out.push_str(&format!("{name} = {value}\n"));
        }
    }
    out
}
