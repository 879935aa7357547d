//! The files that a scenario names, and where they turn out to be.

use std::path::{Path, PathBuf};

use super::{Scenario, ScenarioError, SearchPaths};

/// What a relative path in a scenario is relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRefBase {
    /// The directory of the scenario file (or, for an override, the working directory, which is the empty path).
    Directory(PathBuf),
    /// ViZDoom's scenarios: where the WADs of our own scenarios are.
    VizdoomScenarios,
}

/// A file that a scenario names. That it exists is not yet known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// As the scenario has it.
    pub given: PathBuf,
    /// What it is relative to, unless it is absolute.
    pub base: FileRefBase,
}

impl FileRef {
    /// Every path it may be at, the first that exists counts: an absolute path as it stands; else beside the scenario file, then among
    /// ViZDoom's scenarios, then beside the engine (a copied scenario need not bring the WADs along). With `extension` where it has none.
    #[must_use]
    pub fn candidates(&self, search: &SearchPaths, extension: &str) -> Vec<PathBuf> {
        let directories: Vec<&Path> = if self.given.is_absolute() {
            vec![Path::new("")]
        } else {
            let own = match &self.base {
                FileRefBase::Directory(directory) => Some(directory.as_path()),
                FileRefBase::VizdoomScenarios => None,
            };
            [own, search.scenarios_dir.as_deref(), search.engine_dir.as_deref()].into_iter().flatten().collect()
        };
        let mut paths = Vec::new();
        for directory in directories {
            let path = directory.join(&self.given);
            let with_extension = (path.extension().is_none() && !extension.is_empty()).then(|| path.with_extension(extension));
            paths.push(path);
            paths.extend(with_extension);
        }
        paths
    }
}

/// Where a scenario's files are; all of them exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GameFiles {
    /// The WAD with the scenario's maps.
    pub scenario: Option<PathBuf>,
    /// The game's WAD.
    pub game: PathBuf,
    /// The engine's own settings file.
    pub config: Option<PathBuf>,
    /// The engine's executable, where the scenario names one.
    pub vizdoom: Option<PathBuf>,
}

impl Scenario {
    /// Finds the files that the scenario names, as the engine needs them and the mock does not.
    ///
    /// # Errors
    /// [`ScenarioError::MissingFile`] with every path that was tried.
    pub fn check_files(&self, search: &SearchPaths) -> Result<GameFiles, ScenarioError> {
        let find = |key, file: &FileRef, extension| {
            let looked = file.candidates(search, extension);
            looked.iter().find(|p| p.is_file()).cloned().ok_or_else(|| ScenarioError::MissingFile {
                scenario: self.name.clone(),
                key,
                file: file.given.display().to_string(),
                looked: looked.clone(),
            })
        };
        let optional = |key, file: &Option<FileRef>, extension| file.as_ref().map(|f| find(key, f, extension)).transpose();
        let default_game = FileRef { given: "freedoom2.wad".into(), base: FileRefBase::VizdoomScenarios };
        Ok(GameFiles {
            scenario: optional("doom_scenario_path", &self.doom_scenario_path, "wad")?,
            game: find("doom_game_path", self.doom_game_path.as_ref().unwrap_or(&default_game), "wad")?,
            config: optional("doom_config_path", &self.doom_config_path, "")?,
            vizdoom: optional("vizdoom_path", &self.vizdoom_path, "")?,
        })
    }
}
