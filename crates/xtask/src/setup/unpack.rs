//! Wheels (zip) and source distributions (tar.gz) into a directory. Only plain files are taken, and none may leave its place.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;

use super::manifest::{Format, Take};

/// Takes what `takes` name out of `archive` into `into`; returns each file (relative to `into`) with its size.
pub(crate) fn unpack(archive: &Path, format: Format, takes: &[Take], into: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut taken = Taken { takes, into, files: Vec::new() };
    let opened = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    match format {
        Format::Wheel => taken.wheel(opened),
        Format::Sdist => taken.sdist(opened),
    }
    .with_context(|| format!("cannot unpack {}", archive.display()))?;
    for take in takes {
        if !into.join(&take.to).is_dir() {
            bail!("{} has no {}; vendor/manifest.toml does not fit it", archive.display(), take.from);
        }
    }
    Ok(taken.files)
}

struct Taken<'a> {
    takes: &'a [Take],
    into: &'a Path,
    files: Vec<(PathBuf, u64)>,
}

impl Taken<'_> {
    fn wheel(&mut self, opened: File) -> Result<()> {
        let mut archive = zip::ZipArchive::new(opened)?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            if entry.is_file() {
                let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
                let name = entry.enclosed_name().with_context(|| format!("{:?} leads out of the archive", entry.name()))?;
                self.file(&name, executable, &mut entry)?;
            }
        }
        Ok(())
    }

    fn sdist(&mut self, opened: File) -> Result<()> {
        let mut archive = tar::Archive::new(GzDecoder::new(opened));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.header().entry_type().is_file() {
                let executable = entry.header().mode()? & 0o111 != 0;
                let name = entry.path()?.into_owned();
                if !name.components().all(|c| matches!(c, Component::Normal(_))) {
                    bail!("{} leads out of the archive", name.display());
                }
                self.file(&name, executable, &mut entry)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &Path, executable: bool, content: &mut impl Read) -> Result<()> {
        let found = self.takes.iter().find_map(|take| Some(Path::new(&take.to).join(name.strip_prefix(&take.from).ok()?)));
        let Some(relative) = found else { return Ok(()) };
        let path = self.into.join(&relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = if executable { 0o755 } else { 0o644 };
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&path)?;
        let size = io::copy(content, &mut file).with_context(|| format!("cannot write {}", path.display()))?;
        self.files.push((relative, size));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// An archive with `a-1/bin/tool` (executable), `a-1/text` and `other`; and, if so wished, one that climbs out.
    fn sdist(directory: &Path, climber: bool) -> PathBuf {
        let path = directory.join("a.tar.gz");
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(&path).unwrap(), Compression::fast()));
        let mut add = |name: &str, mode: u32| {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(mode);
            header.set_size(3);
            header.set_cksum();
            tar.append(&header, &b"abc"[..]).unwrap();
        };
        add("a-1/bin/tool", 0o755);
        add("a-1/text", 0o640);
        add("other", 0o644);
        if climber {
            add("a-1/../../out", 0o644);
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    fn take(from: &str) -> [Take; 1] {
        [Take { from: from.into(), to: "x/src".into() }]
    }

    #[test]
    fn only_what_is_named_is_taken_and_stays_executable() {
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("into");
        let files = unpack(&sdist(directory.path(), false), Format::Sdist, &take("a-1"), &into).unwrap();
        assert_eq!(files, [("x/src/bin/tool".into(), 3), ("x/src/text".into(), 3)]);
        let mode = |file: &str| fs::metadata(into.join(file)).unwrap().permissions().mode() & 0o111;
        assert_ne!(mode("x/src/bin/tool"), 0);
        assert_eq!(mode("x/src/text"), 0);
        assert!(!into.join("other").exists());
    }

    #[test]
    fn a_file_that_climbs_out_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = unpack(&sdist(directory.path(), true), Format::Sdist, &take("a-1"), &directory.path().join("into")).unwrap_err();
        assert!(format!("{error:#}").contains("leads out of the archive"), "{error:#}");
        assert!(!directory.path().join("out").exists());
    }

    #[test]
    fn an_archive_without_what_is_wanted_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = unpack(&sdist(directory.path(), false), Format::Sdist, &take("a-2"), &directory.path().join("into")).unwrap_err();
        assert!(error.to_string().contains("has no a-2"), "{error}");
    }
}
