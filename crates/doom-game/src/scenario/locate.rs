//! Finds a scenario by its name: as a path, then among our own, then among ViZDoom's.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{FileRefBase, ScenarioError, embedded};

/// Scenario files are a few hundred bytes; what is larger is something else.
pub(super) const SIZE_LIMIT: u64 = 1 << 20;

/// Where ViZDoom's files are, as far as there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPaths {
    /// ViZDoom's scenarios: `.cfg` files and their WADs.
    pub scenarios_dir: Option<PathBuf>,
    /// The engine's directory, with `freedoom2.wad`.
    pub engine_dir: Option<PathBuf>,
}

/// A scenario's bytes and where they come from.
pub(super) struct Found {
    /// Its name in errors.
    pub(super) shown: String,
    pub(super) bytes: Cow<'static, [u8]>,
    pub(super) path: Option<PathBuf>,
    pub(super) base: FileRefBase,
}

/// The name without directories and `.cfg`.
pub(super) fn stem(name: &str) -> String {
    let file = Path::new(name).file_name().map_or_else(|| name.into(), |f| f.to_string_lossy().into_owned());
    without_cfg(&file).to_owned()
}

fn without_cfg(name: &str) -> &str {
    match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((stem, end)) if !stem.is_empty() && end.eq_ignore_ascii_case(".cfg") => stem,
        _ => name,
    }
}

/// A path as given, and with `.cfg` where it has none.
fn spellings(path: &Path) -> impl Iterator<Item = PathBuf> {
    let with_cfg = (without_cfg(&path.to_string_lossy()) == path.to_string_lossy()).then(|| {
        let mut longer = path.as_os_str().to_owned();
        longer.push(".cfg");
        PathBuf::from(longer)
    });
    [Some(path.to_owned()), with_cfg].into_iter().flatten()
}

pub(super) fn find(name: &str, search: &SearchPaths) -> Result<Found, ScenarioError> {
    let mut looked = Vec::new();
    if !name.trim().is_empty() {
        if let Some(found) = try_paths(Path::new(name), &mut looked)? {
            return Ok(found);
        }
        let own = without_cfg(name);
        if let Some((name, text)) = embedded::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(own)) {
            return Ok(Found {
                shown: format!("{name}.cfg"),
                bytes: Cow::Borrowed(text.as_bytes()),
                path: None,
                base: FileRefBase::VizdoomScenarios,
            });
        }
    }
    looked.push(format!("our own ({})", embedded::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")));
    match &search.scenarios_dir {
        Some(directory) if !name.trim().is_empty() && Path::new(name).is_relative() => {
            if let Some(found) = try_paths(&directory.join(name), &mut looked)? {
                return Ok(found);
            }
        }
        Some(_) => {}
        None => looked.push("ViZDoom's scenarios (not installed)".into()),
    }
    Err(ScenarioError::NotFound { name: name.into(), looked })
}

fn try_paths(path: &Path, looked: &mut Vec<String>) -> Result<Option<Found>, ScenarioError> {
    for path in spellings(path) {
        // A directory of that name is not what is meant, and a device or a pipe would block.
        if path.metadata().is_ok_and(|m| m.is_file()) {
            let bytes = read(&path)?;
            let directory = path.parent().map(Path::to_owned).unwrap_or_default();
            return Ok(Some(Found {
                shown: path.display().to_string(),
                bytes: Cow::Owned(bytes),
                path: Some(path),
                base: FileRefBase::Directory(directory),
            }));
        }
        looked.push(path.display().to_string());
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Vec<u8>, ScenarioError> {
    let failed = |source: io::Error| ScenarioError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    // One byte over the limit is enough to know that the file is too large.
    File::open(path).map_err(failed)?.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
