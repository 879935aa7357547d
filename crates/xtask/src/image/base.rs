//! The images that the others are made from. Where none is given and none can be pulled, they are made here: Debian from the mirror that this
//! machine itself uses, and on it the Rust that this machine has.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{docker, exists};
use crate::{
    progress::Step,
    setup::system::{Wanted, provide},
    workspace::{Workspace, output_of, shown},
};

const SUITE: &str = "bookworm";
/// As the Dockerfile has them.
const PULLED: [&str; 2] = ["rust:1-bookworm", "debian:bookworm-slim"];
const MADE: [&str; 2] = ["doom-agent-builder-base:bookworm", "doom-agent-runtime-base:bookworm"];
/// What a machine trusts, which may be more than Debian does: a network that looks into connections has an authority of its own.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";
/// `FOLDER SUITE TRUSTED [MIRROR]`: a new Debian as a tar stream. It is made in memory, which goes with the process, for dpkg waits for its disk at
/// every file.
const DEBIAN: &str = r#"
set -eu
root=$1/root log=$1/log suite=$2 trusted=$3
mount -t tmpfs -o mode=755 tmpfs "$1"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${4:+"$4"} >"$log" 2>&1 || { tail -n 15 "$log" >&2; exit 1; }
if [ -f "$trusted" ]; then cp "$trusted" "$root$trusted"; fi
tar --create --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' --directory "$root" .
"#;

/// The base of what is shipped: the one that is given; else the Dockerfile's, where it is here or can be pulled; else a made one.
pub(crate) fn runtime(given: Option<&str>) -> Result<String> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None if is_to_be_had(PULLED[1]) => Ok(PULLED[1].to_owned()),
        None => debian(),
    }
}

/// The base of what compiles, likewise.
pub(crate) fn builder(workspace: &Workspace, given: Option<&str>) -> Result<String> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None if is_to_be_had(PULLED[0]) => Ok(PULLED[0].to_owned()),
        None => rust(workspace),
    }
}

fn is_to_be_had(image: &str) -> bool {
    // A registry that answers says so soon, however much it then sends; where none can be reached, an engine may try for minutes.
    exists(image) || begins_within(docker().args(["pull", image]), Duration::from_secs(20)).unwrap_or(false)
}

/// Whether a command comes to a good end; one that has said nothing by then is killed.
fn begins_within(command: &mut Command, time: Duration) -> Result<bool> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("the command has no standard output")?).lines();
    let (says, said) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more to what came too late.
        let _ = says.send(lines.next().is_some());
        lines.for_each(drop);
    });
    if !said.recv_timeout(time).unwrap_or(false) {
        child.kill()?;
    }
    Ok(child.wait()?.success())
}

/// Debian's smallest set of packages, with certificates.
fn debian() -> Result<String> {
    let image = MADE[1];
    if exists(image) {
        return Ok(image.to_owned());
    }
    eprintln!("{} is not here and cannot be pulled; {image} is made instead", PULLED[1]);
    provide(Wanted { debootstrap: true, ..Wanted::default() })?;
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let step = Step::begin(format!("debootstrap {SUITE} (a minute or two)"), None);
    let mut debian = Command::new("unshare");
    debian.args(["--mount", "sh", "-c", DEBIAN, "debian"]).arg(scratch.path()).args([SUITE, TRUSTED]).args(mirror());
    if let Err(why) = pipe("making Debian", &mut debian, docker().args(["import", "--change", "CMD [\"/bin/sh\"]", "-", image])) {
        // Of what came before the failure the engine may have made one.
        let _ = output_of(docker().args(["image", "rm", image]));
        return Err(why);
    }
    step.done();
    Ok(image.to_owned())
}

/// Debian with the Rust of this machine in /usr/local, and cargo's settings where this machine has some.
fn rust(workspace: &Workspace) -> Result<String> {
    let image = MADE[0];
    if exists(image) {
        return Ok(image.to_owned());
    }
    eprintln!("{} is not here and cannot be pulled; {image} is made instead", PULLED[0]);
    let debian = debian()?;
    let context = tempfile::tempdir().context("no temporary folder")?;
    let places = "COPY bin /usr/local/bin\nCOPY lib /usr/local/lib\nCOPY libexec /usr/local/libexec\nCOPY cargo /root/.cargo\n";
    std::fs::write(context.path().join("Dockerfile"), format!("FROM {debian}\n{places}"))?;
    let settings = context.path().join("cargo");
    std::fs::create_dir_all(&settings)?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    if let Some(own) = home.map(|home| home.join("config.toml")).filter(|own| own.is_file()) {
        std::fs::copy(&own, settings.join("config.toml")).with_context(|| format!("cannot copy {}", own.display()))?;
    }
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]).current_dir(&workspace.root))?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--exclude=lib/rustlib/src", "--directory"]).arg(context.path()).args(["Dockerfile", "cargo"]);
    tar.args(["--directory", &sysroot, "bin", "lib", "libexec"]);
    let step = Step::begin(format!("copying Rust from {sysroot}"), None);
    pipe("copying Rust", &mut tar, docker().args(["build", "--quiet", "--tag", image, "-"]))?;
    step.done();
    Ok(image.to_owned())
}

/// The mirror of this machine's own packages, where apt can tell.
fn mirror() -> Option<String> {
    let arguments = ["indextargets", "--format", "$(SITE) $(CODENAME)", "Identifier: Packages"];
    let targets = output_of(Command::new("apt-get").args(arguments)).ok()?;
    targets.lines().find_map(|line| line.strip_suffix(&format!(" {SUITE}"))).map(str::to_owned)
}

/// Runs `from | to`.
fn pipe(what: &str, from: &mut Command, to: &mut Command) -> Result<()> {
    let program = from.get_program().to_owned();
    let mut source = from.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let output = source.stdout.take().context("no standard output")?;
    let output = to.stdin(output).output().with_context(|| format!("cannot run `{}`", shown(to)))?;
    if !source.wait()?.success() {
        bail!("{what} failed; what {} said stands above", program.display());
    }
    crate::workspace::check(to, &output)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_command_that_says_nothing_is_not_waited_for_and_one_that_does_is() {
        let shell = |script: &str, time| begins_within(Command::new("sh").args(["-c", script]), time).unwrap();
        let (soon, late) = (Duration::from_millis(50), Duration::from_secs(60));
        assert!(shell("echo Pulling; read -r nothing; echo done", late));
        assert!(!shell("echo Pulling; exit 1", late));
        assert!(!shell("exit 1", late));
        let began = Instant::now();
        assert!(!shell("exec sleep 60", soon));
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
