//! The process needs no root, and writes only below its state directory.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use nats_server_process::NatsServer;
use tempfile::TempDir;

use crate::support::{Backend, Tap, WITHIN, on_both};

on_both!(an_agent_without_rights_plays_and_writes_only_below_its_state_directory);

/// An id that nobody else on the machine has, so that whatever bears it afterwards is the agent's.
fn nobody(backend: Backend) -> u32 {
    61_234 + u32::from(backend == Backend::Engine)
}
/// Where anybody may write.
const COMMON: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// A folder that others can look into.
fn open_folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

/// Everything below a folder that belongs to this user.
fn owned(dir: &Path, user: u32, all: &mut Vec<PathBuf>) {
    // What goes away while we look was not left behind.
    for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.uid() == user {
            all.push(path.clone());
        }
        if meta.is_dir() {
            owned(&path, user, all);
        }
    }
}

/// What a process has open for writing, as paths.
fn written(pid: u32) -> Vec<PathBuf> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let writable = fds.filter(|fd| {
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", fd.file_name().display())).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim).unwrap_or("0");
        u32::from_str_radix(flags, 8).is_ok_and(|flags| flags & 0o3 != 0)
    });
    writable.filter_map(|fd| fs::read_link(fd.path()).ok()).filter(|path| path.is_absolute() && !path.starts_with("/memfd:")).collect()
}

/// A process and what it has started, as far as it runs.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = children.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children: Vec<u32> = children.flat_map(|text| text.split_whitespace().map(|p| p.parse().unwrap()).collect::<Vec<_>>()).collect();
    std::iter::once(pid).chain(children.into_iter().flat_map(family)).collect()
}

fn wait(mut child: Child) -> i32 {
    let until = Instant::now() + WITHIN;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("the agent did not end within {WITHIN:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn an_agent_without_rights_plays_and_writes_only_below_its_state_directory(backend: Backend) {
    let me = rustix::process::geteuid();
    // Only root can become somebody else; who is not is without rights already.
    let nobody = if me.is_root() { nobody(backend) } else { me.as_raw() };
    let (house, work, state) = (open_folder(), open_folder(), open_folder());
    // Wherever the program was built, others may not be let in; as it is installed they are.
    let program = house.path().join("doom-agent");
    fs::copy(env!("CARGO_BIN_EXE_doom-agent"), &program).unwrap();
    let engine = house.path().join("engine");
    if backend == Backend::Engine {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/vizdoom/engine");
        let given = std::env::var_os("VIZDOOM_DIR").map_or(built, PathBuf::from);
        copy_tree(&given, &engine);
        // The engine looks for its libraries beside its folder.
        copy_tree(&given.parent().unwrap().join("vizdoom.libs"), &house.path().join("vizdoom.libs"));
    }
    let own = state.path().join("agent");
    fs::DirBuilder::new().mode(0o700).create(&own).unwrap();
    if me.is_root() {
        chown(&own, Some(nobody), Some(nobody)).unwrap();
    }
    let server = NatsServer::builder().jetstream(true).start().unwrap();
    let tap = Tap::open(&server.url());
    let mut command = Command::new("setpriv");
    if me.is_root() {
        command.args([format!("--reuid={nobody}"), format!("--regid={nobody}")]);
        command.args(["--clear-groups", "--no-new-privs", "--bounding-set=-all"]);
    }
    command.arg("--").arg(&program).args(["--id", "N", "--scenario", "basic.cfg", "--seed", "1", "--episodes", "0"]);
    command.args(["--backend", backend.name(), "--nats", &server.url(), "--state-dir"]).arg(&own);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").env("VIZDOOM_DIR", &engine).current_dir(work.path());
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    tap.wait("clau-doom.agent.N.score", 2);
    let family = family(pid);
    assert_eq!(family.len(), if backend == Backend::Engine { 2 } else { 1 }, "{family:?}");
    for member in &family {
        let status = fs::read_to_string(format!("/proc/{member}/status")).unwrap();
        assert!(status.contains(&format!("Uid:\t{nobody}\t{nobody}")) && status.contains("CapEff:\t0000000000000000"), "{status}");
        // Shared memory is the engine's, and has its own test; a device keeps nothing.
        let elsewhere: Vec<PathBuf> = written(*member).into_iter().filter(|p| !p.starts_with(&own) && !p.starts_with("/dev")).collect();
        assert!(elsewhere.is_empty(), "process {member} has {elsewhere:?} open for writing");
    }
    assert_eq!(tap.request("clau-doom.agent.N.control.shutdown", "")["ok"], true);
    assert_eq!(wait(child), 0);
    let mut left = Vec::new();
    if me.is_root() {
        COMMON.iter().for_each(|dir| owned(Path::new(dir), nobody, &mut left));
    }
    // Besides its state: the register that the agents of one user on a host share, for clearing up after each other and for their CPUs.
    let register = Path::new("/dev/shm").join(format!("doom-agent-{nobody}"));
    left.retain(|path| !path.starts_with(&own) && !path.starts_with(&register));
    assert!(left.is_empty(), "left behind: {left:?}");
    assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0, "the working directory stays empty");
    assert!(own.join("clau-doom/N/records.sqlite").is_file());
}
