//! A file system of the test's own, in a mount namespace of its own, that can be filled, frozen, and made to fail. It goes with the test.
//!
//! Linux, and root: `unshare`, `nsenter`, `mount`, and for [`Mount::ext4`] a loop device.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// See the module. Seen by what is [`Mount::wrapper`]ped alone.
pub(crate) struct Mount {
    keeper: Child,
    dir: TempDir,
    frozen: bool,
}

impl Mount {
    /// A file system in memory with room for so many MiB.
    pub(crate) fn memory(mebibytes: u32) -> Self {
        Self::make(&format!("mount -t tmpfs -o size={mebibytes}m none \"$1/mnt\""))
    }

    /// A disk of 24 MiB.
    pub(crate) fn ext4() -> Self {
        Self::make("truncate -s 24M \"$1/image\" && mkfs.ext4 -q -F \"$1/image\" && mount -t ext4 -o loop \"$1/image\" \"$1/mnt\"")
    }

    fn make(how: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("mnt")).unwrap();
        let script = format!("mount --make-rprivate / && {how} && echo mounted && exec sleep infinity");
        let mut keeper = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, "sh"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is part of util-linux");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "a mount namespace and a mount need root (and a disk a loop device)");
        Self { keeper, dir, frozen: false }
    }

    /// Where it is mounted, as what is wrapped sees it.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// The same place as the test sees it.
    fn seen_from_here(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.keeper.id().to_string()).join("root");
        root.join(self.path().strip_prefix("/").unwrap())
    }

    /// What starts a program that sees the mount.
    pub(crate) fn wrapper(&self) -> Vec<OsString> {
        ["nsenter".into(), "--target".into(), self.keeper.id().to_string().into(), "--mount".into(), "--".into()].into()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut wrapper = self.wrapper().into_iter();
        let done = Command::new(wrapper.next().unwrap()).args(wrapper).arg(program).args(arguments).arg(self.path()).status().unwrap();
        assert!(done.success(), "{program} {arguments:?}: {done}");
    }

    /// Takes what room there is.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.seen_from_here().join("filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let chunk = vec![7; size];
            while file.write_all(&chunk).is_ok() {}
        }
    }

    /// Gives it back.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.seen_from_here().join("filler")).unwrap();
    }

    /// The disk fails: it can only be read, for those too who have files open.
    pub(crate) fn turn_read_only(&self) {
        self.run("mount", &["-o", "remount,abort"]);
    }

    /// The disk hangs: whoever writes waits.
    pub(crate) fn freeze(&mut self) {
        self.run("fsfreeze", &["--freeze"]);
        self.frozen = true;
    }

    /// It goes on.
    pub(crate) fn thaw(&mut self) {
        self.run("fsfreeze", &["--unfreeze"]);
        self.frozen = false;
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.frozen {
            self.thaw();
        }
        // With the last process in it the namespace goes, and with that the mount.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
