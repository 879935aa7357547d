//! The virtual environment in `vendor/python`: its pip fetches for us, and the tests run the stock packages in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{fetch::sha256_of, manifest::Manifest, stamp::Stamp, system::python_version};
use crate::{
    progress::Step,
    workspace::{Workspace, output_of},
};

const STAMP: &str = "python";

/// The environment, which may not have been made yet.
pub(crate) struct Python {
    directory: PathBuf,
    requirements: PathBuf,
    vendor: PathBuf,
}

impl Python {
    pub(crate) fn new(workspace: &Workspace, manifest: &Manifest) -> Self {
        Self {
            directory: workspace.vendor.join(&manifest.python.directory),
            requirements: workspace.root.join(&manifest.python.requirements),
            vendor: workspace.vendor.clone(),
        }
    }

    fn interpreter(&self) -> PathBuf {
        self.directory.join("bin/python")
    }

    /// A command that runs its pip, which asks nobody anything.
    pub(crate) fn pip(&self) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-m", "pip", "--no-input", "--disable-pip-version-check", "--quiet"]);
        command
    }

    /// Makes the environment where there is none whose pip works.
    pub(crate) fn provide_pip(&self) -> Result<()> {
        if self.interpreter().is_file() && output_of(self.pip().arg("--version")).is_ok() {
            return Ok(());
        }
        let step = Step::begin("making a Python environment", None);
        Stamp::remove(&self.vendor, STAMP)?;
        output_of(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&self.directory))?;
        step.done();
        Ok(())
    }

    /// What the stamp says of a complete environment: the requirements and the Python that they were installed for.
    fn recipe(&self) -> Result<String> {
        let requirements = sha256_of(&self.requirements)?;
        Ok(format!("{requirements} for Python {}", python_version(&self.interpreter())?))
    }

    /// All that the tests need is installed.
    pub(crate) fn is_complete(&self) -> bool {
        self.recipe().is_ok_and(|recipe| Stamp::holds(&self.vendor, STAMP, &recipe))
    }

    /// Installs what the tests need, every file of it checked by its hash.
    pub(crate) fn complete(&self) -> Result<()> {
        self.provide_pip()?;
        Stamp::remove(&self.vendor, STAMP)?;
        let step = Step::begin("installing the tests' Python packages", None);
        let mut pip = self.pip();
        pip.args(["install", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement"]).arg(&self.requirements);
        output_of(&mut pip).with_context(|| format!("the packages of {} cannot be installed", self.requirements.display()))?;
        let files = self.installed()?;
        Stamp { of: self.recipe()?, files }.write(&self.vendor, STAMP)?;
        step.done();
        Ok(())
    }

    /// What each package says about itself, which goes last when it is removed and comes last when it is installed.
    fn installed(&self) -> Result<Vec<(PathBuf, u64)>> {
        let mut files = Vec::new();
        let script = "import sysconfig; print(sysconfig.get_paths()['platlib'])";
        let packages = output_of(Command::new(self.interpreter()).args(["-c", script]))?;
        for entry in fs::read_dir(&packages).with_context(|| format!("cannot list {packages}"))? {
            let record = entry?.path().join("RECORD");
            if let Ok(meta) = fs::metadata(&record) {
                files.push((self.relative(&record), meta.len()));
            }
        }
        Ok(files)
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.vendor).unwrap_or(path).to_owned()
    }
}
