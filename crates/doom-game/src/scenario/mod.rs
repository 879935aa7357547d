//! Scenario files: read by ViZDoom's rules, checked whole, and typed.
//!
//! Promises: a scenario that loads has only names and values that the engine knows; what does not load says the file, the line, the
//! column and what would be right. Loading looks at no file but the scenario itself: whether its WADs exist is asked by
//! [`Scenario::check_files`], which the mock never needs.
//!
//! Whatever ViZDoom's own reader (`src/lib/ViZDoomConfigLoader.cpp`) takes whole is understood in the same way. On purpose differ:
//! - what it skips with a warning is an error here: unknown keys and names, values of the wrong kind, lines without `=`;
//! - so is what it takes and then does not play as written: a comment behind a value, a skill or ticrate out of range, infinite
//!   rewards, the greatest value of a button that has none, a map that no WAD can name;
//! - and what no agent can play: the spectator modes and multiplayer games;
//! - absolute paths are absolute, where ViZDoom appends them to the file's directory; relative ones that are not beside the file are
//!   looked for among ViZDoom's files too;
//! - keys may have their underscores anywhere, and `ACTIVATE_SELECTED_ITEM` may be called that (ViZDoom's reader knows it as
//!   `activate_selected_weapon` alone, which is understood too);
//! - the engine's window is not shown unless the file asks for it.

mod embedded;
mod error;
mod files;
mod keys;
mod locate;
mod parse;
mod screen;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use error::{Place, ScenarioError};
pub use files::{FileRef, FileRefBase, GameFiles};
pub use locate::SearchPaths;
pub use screen::{AutomapMode, Mode, SamplingRate, ScreenFormat, ScreenResolution};

use crate::names::{Button, Variable};
use parse::{Entry, Token, Value};

/// What the engine pays and takes, by upstream's keys. `*_reward` twins of penalties are kept as penalties with the other sign.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "one field per upstream key, of that name")]
pub struct Rewards {
    /// For every tic that passed.
    pub living_reward: f64,
    /// Taken once at death.
    pub death_penalty: f64,
    /// Once when the map ends and the player lives.
    pub map_exit_reward: f64,
    pub kill_reward: f64,
    pub secret_reward: f64,
    pub item_reward: f64,
    pub frag_reward: f64,
    pub hit_reward: f64,
    pub hit_taken_penalty: f64,
    /// For every point of damage dealt.
    pub damage_made_reward: f64,
    /// For every point of damage taken.
    pub damage_taken_penalty: f64,
    /// For every point of health gained (losses cost nothing).
    pub health_reward: f64,
    /// For every point of armor gained.
    pub armor_reward: f64,
}

/// What is drawn, by upstream's `render_…` keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "one field per upstream key, of that name without `render_`")]
#[expect(clippy::struct_excessive_bools, reason = "upstream has one switch per key")]
pub struct Render {
    pub hud: bool,
    pub minimal_hud: bool,
    pub weapon: bool,
    pub crosshair: bool,
    pub decals: bool,
    pub particles: bool,
    pub effects_sprites: bool,
    pub messages: bool,
    pub corpses: bool,
    pub screen_flashes: bool,
    /// Draw the tics of a skip that nobody looks at, too.
    pub all_frames: bool,
}

impl Default for Render {
    fn default() -> Self {
        Self {
            hud: false,
            minimal_hud: false,
            weapon: true,
            crosshair: false,
            decals: true,
            particles: true,
            effects_sprites: true,
            messages: false,
            corpses: true,
            screen_flashes: true,
            all_frames: false,
        }
    }
}

/// The buffers besides the screen, all off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "one field per upstream key, of that name without `_buffer_enabled`")]
#[expect(clippy::struct_excessive_bools, reason = "upstream has one switch per key")]
pub struct Buffers {
    pub depth: bool,
    pub labels: bool,
    pub automap: bool,
    pub automap_mode: AutomapMode,
    pub automap_rotate: bool,
    pub automap_render_textures: bool,
    pub automap_render_objects_as_sprites: bool,
    pub objects_info: bool,
    pub sectors_info: bool,
    pub audio: bool,
    /// In tics.
    pub audio_size: u32,
    pub audio_sampling_rate: SamplingRate,
    pub notifications: bool,
    /// In tics.
    pub notifications_size: u32,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            depth: false,
            labels: false,
            automap: false,
            automap_mode: AutomapMode::Normal,
            automap_rotate: false,
            automap_render_textures: true,
            automap_render_objects_as_sprites: false,
            objects_info: false,
            sectors_info: false,
            audio: false,
            audio_size: 1,
            audio_sampling_rate: SamplingRate::Sr44100,
            notifications: false,
            notifications_size: 1,
        }
    }
}

impl Buffers {
    /// What the scenario asks for and an [`Observation`](crate::Observation) has no room for, by the names of the switches.
    #[must_use]
    pub fn unread(&self) -> Vec<&'static str> {
        let switches = [
            (self.depth, "depth_buffer_enabled"),
            (self.automap, "automap_buffer_enabled"),
            (self.objects_info, "objects_info_enabled"),
            (self.sectors_info, "sectors_info_enabled"),
            (self.audio, "audio_buffer_enabled"),
            (self.notifications, "notifications_buffer_enabled"),
        ];
        switches.into_iter().filter_map(|(on, name)| on.then_some(name)).collect()
    }
}

/// A scenario, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The file's name without `.cfg`.
    pub name: String,
    /// The file it was read from; none for one of ours that is compiled in.
    pub path: Option<PathBuf>,
    /// SHA-256 in hex: of the file's bytes, and where there are overrides, of their canonical `key=value` lines behind them.
    pub sha256: String,
    /// The WAD with the scenario's maps; none plays the game's own.
    pub doom_scenario_path: Option<FileRef>,
    /// The game's WAD; none means the engine's `freedoom2.wad`.
    pub doom_game_path: Option<FileRef>,
    /// The engine's own settings file.
    pub doom_config_path: Option<FileRef>,
    /// The engine's executable; none means the installed one.
    pub vizdoom_path: Option<FileRef>,
    /// In lower case, such as `map01`.
    pub doom_map: String,
    /// From 1 (easiest) to 5.
    pub doom_skill: u32,
    /// In tics after the start; 0 means none.
    pub episode_timeout: u32,
    /// The tic at which an episode starts; the tics before it run unseen.
    pub episode_start_time: u32,
    /// Tics per second in ASYNC_PLAYER mode.
    pub ticrate: u32,
    /// Who drives.
    pub mode: Mode,
    /// The size of the screen buffer.
    pub screen_resolution: ScreenResolution,
    /// The layout of the screen buffer.
    pub screen_format: ScreenFormat,
    /// In the file's order, each once.
    pub buttons: Vec<Button>,
    /// In the file's order, each once.
    pub variables: Vec<Variable>,
    /// The largest value of delta buttons; 0 means no limit.
    pub button_max_values: Vec<(Button, f64)>,
    /// What is paid and taken.
    pub rewards: Rewards,
    /// What is drawn.
    pub render: Render,
    /// Buffers besides the screen.
    pub buffers: Buffers,
    /// Show the engine's window.
    pub window_visible: bool,
    /// Show the engine's console.
    pub console_enabled: bool,
    /// Play sound.
    pub sound_enabled: bool,
    /// More arguments of the engine.
    pub game_args: Vec<String>,
    /// The file's seed. Episodes have seeds of their own; this one is the default of the first.
    pub seed: Option<u32>,
}

impl Default for Scenario {
    /// Upstream's defaults, without a window.
    fn default() -> Self {
        Self {
            name: String::new(),
            path: None,
            sha256: hex(&Sha256::digest(b"")),
            doom_scenario_path: None,
            doom_game_path: None,
            doom_config_path: None,
            vizdoom_path: None,
            doom_map: "map01".into(),
            doom_skill: 3,
            episode_timeout: 0,
            episode_start_time: 1,
            ticrate: 35,
            mode: Mode::Player,
            screen_resolution: ScreenResolution::DEFAULT,
            screen_format: ScreenFormat::Crcgcb,
            buttons: Vec::new(),
            variables: Vec::new(),
            button_max_values: Vec::new(),
            rewards: Rewards::default(),
            render: Render::default(),
            buffers: Buffers::default(),
            window_visible: false,
            console_enabled: false,
            sound_enabled: false,
            game_args: Vec::new(),
            seed: None,
        }
    }
}

impl Scenario {
    /// Loads a scenario by path or name, then applies `overrides` (key and value, any key of a scenario file) in order.
    ///
    /// A name is looked up as a path, then among our own, then in ViZDoom's scenarios; `.cfg` may be left out.
    ///
    /// # Errors
    /// Each of [`ScenarioError`] but `MissingFile`.
    pub fn load(name_or_path: &str, search: &SearchPaths, overrides: &[(String, String)]) -> Result<Self, ScenarioError> {
        let found = locate::find(name_or_path, search)?;
        Self::build(&found.shown, &found.bytes, found.path, &found.base, overrides)
    }

    /// Reads a scenario from bytes; `file` is its name in errors, and its paths are relative to `directory`.
    ///
    /// # Errors
    /// As [`Scenario::load`], but for what concerns finding the file.
    pub fn parse(file: &str, bytes: &[u8], directory: &Path, overrides: &[(String, String)]) -> Result<Self, ScenarioError> {
        Self::build(file, bytes, None, &FileRefBase::Directory(directory.into()), overrides)
    }

    fn build(
        shown: &str,
        bytes: &[u8],
        path: Option<PathBuf>,
        base: &FileRefBase,
        overrides: &[(String, String)],
    ) -> Result<Self, ScenarioError> {
        if bytes.len() as u64 > locate::SIZE_LIMIT {
            return Err(ScenarioError::TooLarge { file: shown.into(), limit: locate::SIZE_LIMIT });
        }
        let mut scenario = Self { path, name: locate::stem(shown), ..Self::default() };
        for entry in parse::entries(shown, parse::text(shown, bytes)?)? {
            keys::apply(&mut scenario, &entry, base)?;
        }
        let mut hash = Sha256::new_with_prefix(bytes);
        let here = FileRefBase::Directory(PathBuf::new());
        for (key, value) in overrides {
            let entry = override_entry(key, value);
            hash.update(format!("\n{}{}={}", keys::canonical(&entry.key)?, if entry.append { "+" } else { "" }, value.trim()));
            keys::apply(&mut scenario, &entry, &here)?;
        }
        scenario.sha256 = hex(&hash.finalize());
        Ok(scenario)
    }

    /// The scenario as the text of a scenario file; reading it in the same directory gives the same scenario.
    #[must_use]
    pub fn to_cfg(&self) -> String {
        keys::print(self)
    }

    /// The canonical spelling of every key of a scenario file.
    #[must_use]
    pub fn keys() -> &'static [&'static str] {
        keys::names()
    }

    /// The names of the scenarios that are compiled in.
    pub fn embedded() -> impl Iterator<Item = &'static str> {
        embedded::ALL.iter().map(|(name, _)| *name)
    }
}

/// An override as an entry: the key may end in `+` to add to a list, and the braces of a list may be left out.
fn override_entry<'t>(key: &'t str, value: &'t str) -> Entry<'t> {
    let place = Place::Override { key: key.into(), value: value.into() };
    let token = |text: &'t str| Token { text, place: place.clone() };
    let (name, append) = key.trim().strip_suffix('+').map_or((key.trim(), false), |name| (name.trim_end(), true));
    let folded = name.replace('_', "").to_ascii_lowercase();
    let value = if matches!(folded.as_str(), "availablebuttons" | "availablegamevariables") {
        let inside = value.trim().strip_prefix('{').and_then(|v| v.strip_suffix('}')).unwrap_or(value);
        let words = inside.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
        Value::List(words.map(token).collect())
    } else {
        Value::Single(token(value.trim()))
    };
    Entry { key: token(name), append, value }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
