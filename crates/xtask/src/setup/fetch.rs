//! One archive: downloaded by pip into a directory beside its place, checked by its hash, unpacked there, and only then moved into place.

use std::{
    env, fs,
    fs::File,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{
    manifest::{Archive, File as Pinned, Format, Manifest},
    python::Python,
    stamp::Stamp,
    unpack::unpack,
};
use crate::{
    progress::{Step, megabytes},
    workspace::check,
};

/// What stands in for a package's build backend while pip downloads its sources.
const BUILD_BACKEND: &str = include_str!("build_meta.py");

/// The archive must be fetched: it is for this machine, nothing stands in for it, and its files are not all there.
///
/// # Errors
/// There is none for this machine, or what is named instead of it is not there.
pub(crate) fn is_missing(archive: &Archive, vendor: &Path) -> Result<bool> {
    if let Some(instead) = &archive.instead
        && let Some(named) = env::var_os(&instead.env).filter(|v| !v.is_empty())
    {
        let wanted = if instead.has.is_empty() { PathBuf::from(&named) } else { Path::new(&named).join(&instead.has) };
        if !wanted.exists() {
            bail!(
                "{} is set and stands in for {}, but there is no {}; correct the variable, or unset it",
                instead.env,
                archive.what,
                wanted.display()
            );
        }
        return Ok(false);
    }
    Ok(!Stamp::holds(vendor, &archive.name, &archive.file()?.sha256))
}

/// Fetches it.
pub(crate) fn fetch(archive: &Archive, manifest: &Manifest, vendor: &Path, python: &Python) -> Result<()> {
    let (file, version) = (archive.file()?, manifest.version(&archive.package)?);
    let staging = tempfile::Builder::new().prefix(".fetching-").tempdir_in(vendor);
    let staging = staging.with_context(|| format!("cannot make a directory in {}", vendor.display()))?;
    let what = format!("fetching {} {version} ({})", archive.what, megabytes(file.size));
    let step = Step::begin(what, Some(file.size));
    let downloaded = download(archive, file, version, staging.path(), python, &step)?;
    verify(&downloaded, file, archive)?;
    let unpacked = staging.path().join("unpacked");
    let takes = archive.takes(file, version);
    let files = unpack(&downloaded, archive.format, &takes, &unpacked)?;
    for path in &archive.executable {
        make_executable(&unpacked.join(path))?;
    }
    Stamp::remove(vendor, &archive.name)?;
    for take in &takes {
        replace(&vendor.join(&take.to), &unpacked.join(&take.to))?;
    }
    Stamp { of: file.sha256.clone(), files }.write(vendor, &archive.name)?;
    step.done();
    Ok(())
}

fn download(archive: &Archive, file: &Pinned, version: &str, staging: &Path, python: &Python, step: &Step) -> Result<PathBuf> {
    let (into, temporary) = (staging.join("downloaded"), staging.join("pip"));
    fs::create_dir_all(&into)?;
    fs::create_dir_all(&temporary)?;
    let mut pip = python.pip();
    pip.args(["download", "--progress-bar", "off", "--no-deps", "--dest"]).arg(&into).env("TMPDIR", &temporary);
    match archive.format {
        Format::Wheel => {
            pip.args(["--only-binary", ":all:", "--platform", file.platform.as_deref().unwrap_or_default()]);
            if let Some(python) = &archive.python {
                let abi = format!("cp{}", python.replace('.', ""));
                pip.args(["--implementation", "cp", "--python-version", python, "--abi", &abi]);
            }
        }
        Format::Sdist => {
            let backend = staging.join("backend");
            fs::create_dir_all(backend.join("setuptools"))?;
            fs::write(backend.join("setuptools/__init__.py"), "")?;
            fs::write(backend.join("setuptools/build_meta.py"), BUILD_BACKEND)?;
            pip.args(["--no-binary", ":all:", "--no-build-isolation"]);
            pip.env("PYTHONPATH", backend).env("SETUP_PACKAGE", &archive.package).env("SETUP_VERSION", version);
        }
    }
    pip.arg(format!("{}=={version}", archive.package));
    watch(&mut pip, || step.at(bytes_below(&temporary).min(file.size)))
        .context("the download failed; pip takes its index, mirror and proxy from its usual configuration and environment")?;
    let mut found = fs::read_dir(&into)?.collect::<io::Result<Vec<_>>>()?;
    match (found.pop(), found.is_empty()) {
        (Some(entry), true) => Ok(entry.path()),
        _ => bail!("pip was to download one file of {}, and did not", archive.package),
    }
}

/// Runs to the end and calls `tick` ten times a second.
fn watch(command: &mut Command, tick: impl Fn()) -> Result<()> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child: Child = spawned.context("cannot run pip")?;
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        stderr.map(|mut pipe| io::copy(&mut pipe, &mut said));
        said
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tick();
        thread::sleep(Duration::from_millis(100));
    };
    let said = reader.join().unwrap_or_default();
    check(command, &std::process::Output { status, stdout: Vec::new(), stderr: said })
}

/// The sizes of all files below; what vanishes meanwhile counts nothing.
fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// The SHA-256 of a file, in lower-case hexadecimal digits.
pub(crate) fn sha256_of(file: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let copied = File::open(file).and_then(|mut f| io::copy(&mut f, &mut hash));
    copied.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(format!("{:x}", hash.finalize()))
}

/// Refuses what is not the pinned file.
fn verify(downloaded: &Path, file: &Pinned, archive: &Archive) -> Result<()> {
    let found = sha256_of(downloaded)?;
    if found != file.sha256 {
        bail!(
            "{} is not the pinned file of {} and was thrown away.\n  pinned: {}\n  found:  {found} ({} bytes)\n\
             If your index or mirror serves another build, use one that serves the original; if the download was damaged \
             (`pip cache purge`), run this again; if the version was changed on purpose, correct vendor/manifest.toml.",
            downloaded.file_name().unwrap_or_default().display(),
            archive.what,
            file.sha256,
            fs::metadata(downloaded)?.len(),
        );
    }
    Ok(())
}

fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).with_context(|| format!("cannot make {} executable", file.display()))
}

/// `new` takes the place of `old`, if there is one.
fn replace(old: &Path, new: &Path) -> Result<()> {
    let removed = match fs::remove_dir_all(old) {
        Err(e) if e.kind() == ErrorKind::NotFound => old.parent().map_or(Ok(()), fs::create_dir_all),
        other => other,
    };
    removed.and_then(|()| fs::rename(new, old)).with_context(|| format!("cannot put {} in place", old.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        toml::from_str(
            "name = 'x'\nwhat = 'the x'\npackage = 'x'\nformat = 'sdist'\ntake = []\ninstead = { env = 'XTASK_TEST_X_DIR', has = 'x' }\n\
             [file.any]\nsize = 3\nsha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'",
        )
        .unwrap()
    }

    #[test]
    fn a_wrong_hash_is_refused_with_both_hashes_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x-1.tar.gz");
        let archive = archive();
        fs::write(&file, "abc").unwrap();
        verify(&file, archive.file().unwrap(), &archive).unwrap();
        fs::write(&file, "abd").unwrap();
        let error = verify(&file, archive.file().unwrap(), &archive).unwrap_err().to_string();
        for part in ["x-1.tar.gz", "the x", "ba7816bf", "a52d159f", "pip cache purge", "vendor/manifest.toml"] {
            assert!(error.contains(part), "no {part} in {error}");
        }
    }

    #[test]
    fn an_archive_without_its_stamp_is_missing() {
        let vendor = tempfile::tempdir().unwrap();
        let archive = archive();
        assert!(is_missing(&archive, vendor.path()).unwrap());
        Stamp { of: archive.file().unwrap().sha256.clone(), files: vec![] }.write(vendor.path(), "x").unwrap();
        assert!(!is_missing(&archive, vendor.path()).unwrap());
    }

    #[test]
    fn a_new_directory_takes_the_place_of_the_old_one_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("deep/old"), directory.path().join("new"));
        for content in ["1", "2"] {
            fs::create_dir(&new).unwrap();
            fs::write(new.join(content), content).unwrap();
            replace(&old, &new).unwrap();
            assert!(!new.exists());
        }
        assert!(!old.join("1").exists() && old.join("2").exists());
    }
}
