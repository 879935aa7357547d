//! What has been fetched: a stamp holds the hash of the archive and every file that came out of it, so that a later run sees without
//! the network whether all is still there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One stamp; see the module.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// What it was made from: a hash, or another text that changes when it must be made anew.
    pub(crate) of: String,
    /// Relative to `vendor`, with sizes in bytes.
    pub(crate) files: Vec<(PathBuf, u64)>,
}

fn path(vendor: &Path, name: &str) -> PathBuf {
    vendor.join(".stamps").join(format!("{name}.json"))
}

impl Stamp {
    /// The stamp of that name holds, and each of its files is there in its size.
    pub(crate) fn holds(vendor: &Path, name: &str, of: &str) -> bool {
        let stamp = fs::read(path(vendor, name)).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let there = |(file, size): &(PathBuf, u64)| fs::metadata(vendor.join(file)).is_ok_and(|m| m.len() == *size);
        stamp.is_some_and(|stamp| stamp.of == of && stamp.files.iter().all(there))
    }

    /// Written whole or not at all.
    pub(crate) fn write(&self, vendor: &Path, name: &str) -> Result<()> {
        let file = path(vendor, name);
        let beside = file.with_extension("new");
        fs::create_dir_all(vendor.join(".stamps"))
            .and_then(|()| fs::write(&beside, serde_json::to_vec(self).map_err(io::Error::other)?))
            .and_then(|()| fs::rename(&beside, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Before what it speaks of is replaced.
    pub(crate) fn remove(vendor: &Path, name: &str) -> Result<()> {
        let file = path(vendor, name);
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| format!("cannot remove {}", file.display())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_its_source_or_a_file_changes() {
        let vendor = tempfile::tempdir().unwrap();
        let file = vendor.path().join("x/engine");
        fs::create_dir_all(vendor.path().join("x")).unwrap();
        fs::write(&file, "12345").unwrap();
        let holds = |of| Stamp::holds(vendor.path(), "x", of);
        assert!(!holds("hash"));
        Stamp { of: "hash".into(), files: vec![("x/engine".into(), 5)] }.write(vendor.path(), "x").unwrap();
        assert!(holds("hash"));
        assert!(!holds("another hash"));
        fs::write(&file, "1234").unwrap();
        assert!(!holds("hash"), "a file cut short");
        fs::remove_file(&file).unwrap();
        assert!(!holds("hash"), "a file gone");
        fs::write(&file, "12345").unwrap();
        assert!(holds("hash"));
        Stamp::remove(vendor.path(), "x").unwrap();
        assert!(!holds("hash"));
        Stamp::remove(vendor.path(), "x").unwrap();
    }
}
