//! What the machine itself must bring: looked for by what is needed (a command, a file), so that a machine that has it by another way
//! is left alone; installed with apt-get where it is missing and we are root.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    progress::Step,
    workspace::{in_path, output_of},
};

/// One thing, and the Debian packages that bring it.
struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    met: fn() -> bool,
}

const COMPILER: Need = Need { what: "a C++ compiler", packages: &["g++"], met: || env::var_os("CXX").is_some() || in_path("c++") };
const BOOST: Need = Need {
    what: "Boost (headers and static libraries of filesystem, thread, chrono, atomic)",
    packages: &["libboost-filesystem-dev", "libboost-thread-dev", "libboost-chrono-dev", "libboost-atomic-dev"],
    met: boost,
};
const PYTHON: Need = Need { what: "Python 3 with venv and ensurepip", packages: &["python3", "python3-venv"], met: python };
const DISKS: Need = Need {
    what: "file systems and namespaces for tests of disks (util-linux, e2fsprogs)",
    packages: &["util-linux", "e2fsprogs", "mount"],
    met: || {
        ["unshare", "nsenter", "mount", "fsfreeze", "mkfs.ext4"]
            .into_iter()
            .all(|tool| in_path(tool) || Path::new("/usr/sbin").join(tool).is_file())
    },
};
const FAKETIME: Need = Need { what: "libfaketime, for tests of clocks that step", packages: &["libfaketime"], met: faketime };
const LIBCLANG: Need = Need { what: "libclang", packages: &["libclang-dev"], met: libclang };
const DEBOOTSTRAP: Need = Need { what: "debootstrap", packages: &["debootstrap"], met: || in_path("debootstrap") };
const COMPOSE: Need = Need { what: "docker compose", packages: &["docker-compose"], met: compose };
const VALGRIND: Need =
    Need { what: "valgrind, and the C library's names for it", packages: &["valgrind", "libc6-dbg"], met: || in_path("valgrind") };

/// What the machine is wanted for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// Compiling libvizdoom and its shim.
    pub(crate) engine: bool,
    /// Fetching from the Python package index, or running the tests' Python.
    pub(crate) python: bool,
    /// Making the bindings afresh.
    pub(crate) bindgen: bool,
    /// Making a base image of Debian.
    pub(crate) debootstrap: bool,
    /// Starting populations of containers.
    pub(crate) compose: bool,
    /// Clocks and disks that fail on request.
    pub(crate) faults: bool,
    /// Running tests under valgrind.
    pub(crate) memcheck: bool,
}

/// Sees to it that all of it is there; `true` where something had to be installed.
///
/// # Errors
/// What is missing and the one command to run, where we may not or cannot install it.
pub(crate) fn provide(wanted: Wanted) -> Result<bool> {
    let needs = [
        (wanted.engine, COMPILER),
        (wanted.engine, BOOST),
        (wanted.python, PYTHON),
        (wanted.bindgen, LIBCLANG),
        (wanted.debootstrap, DEBOOTSTRAP),
        (wanted.compose, COMPOSE),
        (wanted.faults, DISKS),
        (wanted.faults, FAKETIME),
        (wanted.memcheck, VALGRIND),
    ];
    let missing: Vec<Need> = needs.into_iter().filter_map(|(wanted, need)| (wanted && !(need.met)()).then_some(need)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let what = missing.iter().map(|need| need.what).collect::<Vec<_>>().join("; ");
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let install = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    if !in_path("apt-get") {
        bail!("this machine lacks: {what}. Install it and run this again (on Debian it would be `{install}`)");
    }
    if output_of(Command::new("id").arg("-u"))? != "0" {
        bail!("this machine lacks: {what}. Run this once, then this command again:\n\n    sudo sh -c 'apt-get update && {install}'\n");
    }
    eprintln!("Installing system packages, for this machine lacks: {what}");
    provide_package_lists()?;
    let arguments: Vec<&str> = ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages).collect();
    if apt_get(&arguments).is_err() {
        // Lists that are old name files that are gone.
        apt_get(&["update"])?;
        apt_get(&arguments)?;
    }
    match missing.iter().find(|need| !(need.met)()) {
        Some(need) => bail!("{} is still not found, although {} is installed", need.what, need.packages.join(" ")),
        None => Ok(true),
    }
}

fn faketime() -> bool {
    let of_architectures = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    of_architectures.chain(["/usr/lib".into()]).any(|dir| dir.join("faketime/libfaketimeMT.so.1").is_file())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let step = Step::begin(format!("apt-get {}", arguments.join(" ")), None);
    output_of(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))?;
    step.done();
    Ok(())
}

/// A machine that is new has none.
pub(crate) fn provide_package_lists() -> Result<()> {
    if have_package_lists() { Ok(()) } else { apt_get(&["update"]) }
}

fn have_package_lists() -> bool {
    let names = fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().contains("_Packages"))
}

/// Looked for where `vizdoom-sys` looks.
fn boost() -> bool {
    let libraries = match env::var_os("BOOST_LIB_DIR") {
        Some(named) => vec![PathBuf::from(named)],
        None => ["/usr/lib64", "/usr/lib", "/opt/homebrew/lib", "/usr/local/lib"]
            .into_iter()
            .map(PathBuf::from)
            .chain([PathBuf::from(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH))])
            .collect(),
    };
    let all = |dir: &Path| ["filesystem", "thread", "chrono", "atomic"].iter().all(|l| dir.join(format!("libboost_{l}.a")).is_file());
    let headers = ["/usr/include", "/usr/local/include", "/opt/homebrew/include"];
    let named = env::var_os("CPLUS_INCLUDE_PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let headers = headers.iter().map(PathBuf::from).chain(named).any(|dir| dir.join("boost/interprocess/ipc/message_queue.hpp").is_file());
    headers && libraries.iter().any(|dir| all(dir))
}

/// The plugin of Docker's command line, or the program that came before it.
fn compose() -> bool {
    in_path("docker-compose") || output_of(Command::new("docker").args(["compose", "version"])).is_ok()
}

fn python() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import venv, ensurepip"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where bindgen looks: `LIBCLANG_PATH`, `llvm-config`, and the system's library directories.
fn libclang() -> bool {
    let named = env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let arch = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
    let llvms = fs::read_dir("/usr/lib").into_iter().flatten().flatten().filter_map(|entry| {
        let is_llvm = entry.file_name().to_string_lossy().starts_with("llvm-");
        is_llvm.then(|| entry.path().join("lib"))
    });
    let mut places = named.into_iter().chain([arch, "/usr/lib64".into(), "/usr/lib".into()].map(PathBuf::from)).chain(llvms);
    places.any(|dir| {
        let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| {
            let name = name.to_string_lossy();
            name == "libclang.so"
                || name == "libclang.dylib"
                || (name.starts_with("libclang-") && name.contains(".so") && !name.contains("cpp"))
        })
    })
}

/// An interpreter's version, such as `3.11`.
pub(crate) fn python_version(python: &Path) -> Result<String> {
    output_of(Command::new(python).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]))
        .with_context(|| format!("{} does not run", python.display()))
}
