//! What is refused before the engine starts: each of these would crash libvizdoom, make it wait for ever, or say less.

use std::path::{Path, PathBuf};

use crate::{
    Config, Error,
    names::{Table, lookup},
    wad,
};

/// A configuration that passed: paths are absolute, names are numbers.
pub(crate) struct Checked {
    pub(crate) executable: PathBuf,
    pub(crate) iwad: PathBuf,
    pub(crate) wad: Option<PathBuf>,
    pub(crate) engine_config: Option<PathBuf>,
    pub(crate) run_dir: PathBuf,
    pub(crate) buttons: Vec<i32>,
    pub(crate) button_max: Vec<f64>,
    pub(crate) variables: Vec<i32>,
    pub(crate) skill: i32,
    pub(crate) mode: i32,
    pub(crate) screen_format: i32,
    pub(crate) automap_mode: i32,
}

pub(crate) fn check(config: &Config) -> Result<Checked, Error> {
    let executable = executable(&config.executable)?;
    let iwad = regular("the game's WAD", &config.iwad)?;
    let wad = config.wad.as_deref().map(|path| regular("the scenario's WAD", path)).transpose()?;
    map(&config.map, &iwad, wad.as_deref(), &config.args)?;
    let run_dir = config.run_dir.canonicalize().map_err(|source| Error::RunDir { path: config.run_dir.clone(), source })?;
    if !(1..=5).contains(&config.skill) {
        return Err(Error::OutOfRange { what: "the skill", value: config.skill.to_string(), valid: "1 to 5" });
    }
    if !(1..=1000).contains(&config.ticrate) {
        return Err(Error::OutOfRange { what: "the ticrate", value: config.ticrate.to_string(), valid: "1 to 1000" });
    }
    let (width, height) = config.resolution;
    lookup(Table::Resolution, &format!("RES_{width}X{height}"))?;
    let mut button_max = Vec::new();
    let mut buttons = Vec::new();
    for (name, max) in &config.buttons {
        let button = lookup(Table::Button, name)?;
        if buttons.contains(&button) {
            return Err(Error::OutOfRange { what: "the button", value: name.clone(), valid: "listed once" });
        }
        if max.is_some_and(|max| max.is_nan() || max < 0.0) {
            return Err(Error::OutOfRange { what: "the greatest value of a button", value: name.clone(), valid: "0 or more" });
        }
        buttons.push(button);
        button_max.push(max.unwrap_or(-1.0));
    }
    Ok(Checked {
        executable,
        iwad,
        wad,
        engine_config: config.engine_config.as_deref().map(|path| regular("the engine's settings file", path)).transpose()?,
        run_dir,
        buttons,
        button_max,
        variables: config.variables.iter().map(|name| lookup(Table::Variable, name)).collect::<Result<_, _>>()?,
        skill: config.skill.try_into().unwrap_or(3),
        mode: lookup(Table::Mode, &config.mode)?,
        screen_format: lookup(Table::ScreenFormat, &config.screen_format)?,
        automap_mode: config.buffers.automap.as_ref().map_or(Ok(0), |automap| lookup(Table::AutomapMode, &automap.mode))?,
    })
}

fn regular(what: &'static str, path: &Path) -> Result<PathBuf, Error> {
    let refuse = |problem: String| Error::File { what, path: path.into(), problem };
    let absolute = path.canonicalize().map_err(|e| refuse(format!("cannot be used: {e}")))?;
    if absolute.is_file() { Ok(absolute) } else { Err(refuse("is not a file".into())) }
}

fn executable(path: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::fs::PermissionsExt;
    const WHAT: &str = "the engine's executable";
    let absolute = regular(WHAT, path)?;
    let refuse = |problem: String| Error::File { what: WHAT, path: path.into(), problem };
    let mode = absolute.metadata().map_err(|e| refuse(format!("cannot be used: {e}")))?.permissions().mode();
    if mode & 0o111 == 0 {
        return Err(refuse("may not be executed; `chmod +x` it".into()));
    }
    let data = absolute.with_file_name("vizdoom.pk3");
    if !data.is_file() {
        return Err(refuse("has no vizdoom.pk3 beside it; both come together with ViZDoom, `cargo xtask setup` fetches them".into()));
    }
    Ok(absolute)
}

fn map(map: &str, iwad: &Path, wad: Option<&Path>, args: &[String]) -> Result<(), Error> {
    if map.is_empty() || map.len() > 8 || !map.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(Error::OutOfRange { what: "the map", value: map.into(), valid: "1 to 8 letters, digits and underscores" });
    }
    let mut known = Vec::new();
    let mut certain = !args.iter().any(|arg| arg.eq_ignore_ascii_case("-file"));
    for (what, path) in wad.map(|path| ("the scenario's WAD", path)).into_iter().chain([("the game's WAD", iwad)]) {
        let refuse = |problem: String| Error::File { what, path: path.into(), problem };
        match wad::read(path).map_err(|e| refuse(format!("cannot be read: {e}")))? {
            wad::Kind::Wad(maps) => known.extend(maps),
            wad::Kind::Archive => certain = false,
            wad::Kind::Other => return Err(refuse("is neither a WAD nor a PK3 (it does not begin as one, or is cut short)".into())),
        }
    }
    if !certain || known.iter().any(|name| name.eq_ignore_ascii_case(map)) {
        return Ok(());
    }
    let wads = wad.into_iter().chain([iwad]).map(|path| path.display().to_string()).collect();
    known.sort_unstable();
    known.dedup();
    Err(Error::Map { map: map.into(), wads, known })
}
