//! Quick images: the stages of the Dockerfile that compile are replaced by ones that copy what this machine has compiled, for its tests anyway.
//! Every other stage is the Dockerfile's, letter by letter, so what the images hold and how they begin and end is what is shipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::docker;
use crate::{
    progress::Step,
    test::{MOCK, Suite, WORKSPACE},
    workspace::{Workspace, build_in, output_of},
};

/// The stages that compile. Those that others copy from have a folder of the context for their /out.
const COMPILING: [(&str, Option<&str>); 6] = [
    ("base", None),
    ("sources", None),
    ("dependencies", None),
    ("portable", Some("portable")),
    ("engine", Some("engine")),
    ("agent", Some("agent")),
];

/// A folder that the builder gets instead of the sources.
pub(crate) struct Context {
    folder: TempDir,
    /// That the programs in it say they are of.
    pub(crate) commit: String,
}

impl Context {
    /// Compiles where that is not done yet, and lays out what the stages that compile would leave.
    pub(crate) fn make(workspace: &Workspace) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let root = folder.path();
        let dockerfile = fs::read_to_string(workspace.root.join("Dockerfile")).context("cannot read the Dockerfile")?;
        fs::write(root.join("Dockerfile"), without_compiling(&dockerfile)?)?;
        output_of(Command::new("cp").args(["--recursive", "--parents", "LICENSE", "deploy/image"]).arg(root).current_dir(&workspace.root))?;

        // Both builds put their agent in the same place; the one that people expect there comes last.
        let [mock] = programs(workspace, MOCK, "contract", ["doom-agent"])?;
        strip(&mock, &root.join("portable/mock"))?;
        let [agent, doomctl] = programs(workspace, WORKSPACE, "containers", ["doom-agent", "doomctl"])?;
        let commit = commit(&agent)?;
        let step = Step::begin("copying programs, engine and licences", None);
        strip(&doomctl, &root.join("portable/doomctl"))?;
        strip(&agent, &root.join("agent/agent"))?;
        let script = |name: &str, to: &str, arguments: &[&str]| {
            let mut script = Command::new(workspace.root.join("deploy/image").join(name));
            output_of(script.arg(root.join(to)).args(arguments).current_dir(&workspace.root))
        };
        script("licences.sh", "portable/licences/mock", &["--package", "doom-agent", "--no-default-features"])?;
        script("licences.sh", "portable/licences/doomctl", &["--package", "doomctl"])?;
        script("licences.sh", "agent/licences/agent", &["--package", "doom-agent"])?;
        script("engine.sh", "engine", &[])?;
        step.done();
        Ok(Self { folder, commit })
    }

    /// Written to `to` as one tar stream, which is closed at the end; with the engine and its agent where they are wanted.
    pub(crate) fn send(&self, engine: bool, to: impl Into<Stdio>) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.arg("--create").arg("--directory").arg(self.folder.path()).args(["Dockerfile", "LICENSE", "deploy", "portable"]);
        if engine {
            tar.args(["engine", "agent"]);
        }
        if !tar.stdin(Stdio::null()).stdout(to).status().context("cannot run tar")?.success() {
            bail!("the files could not be sent to the builder");
        }
        Ok(())
    }
}

/// Why what this machine compiles is nothing for images on this base, where it is not.
pub(crate) fn obstacle(workspace: &Workspace, runtime: &str) -> Result<Option<String>> {
    if !workspace.vendor.join("vizdoom/engine").is_dir() {
        return Ok(Some(format!("there is no engine in {}", workspace.vendor.display())));
    }
    let theirs = output_of(docker().args(["image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", runtime]))?;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let ours = format!("{}/{architecture}", std::env::consts::OS);
    if ours != theirs {
        return Ok(Some(format!("this machine is {ours}, and {runtime} is {theirs}")));
    }
    let said = |ldd: &mut Command| output_of(ldd.arg("--version")).ok();
    let ours = said(&mut Command::new("ldd"));
    let theirs = said(docker().args(["run", "--rm", "--network", "none", "--entrypoint", "ldd", runtime]));
    Ok(match (ours.as_deref().and_then(libc), theirs.as_deref().and_then(libc)) {
        (Some(ours), Some(theirs)) if ours <= theirs => None,
        (Some((major, minor)), Some(theirs)) => {
            Some(format!("this machine's C library is {major}.{minor}, and that of {runtime} {}.{}", theirs.0, theirs.1))
        }
        (None, _) => Some("`ldd --version` tells no version of this machine's C library".to_owned()),
        (_, None) => Some(format!("`ldd --version` tells no version of the C library of {runtime}")),
    })
}

/// The version at the end of the first line, such as `ldd (Debian GLIBC 2.36-9+deb12u10) 2.36`.
fn libc(ldd: &str) -> Option<(u32, u32)> {
    let (major, minor) = ldd.lines().next()?.split_whitespace().last()?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// The programs of a suite, as it builds them itself: a test among the targets has cargo choose the features of the tests, so that what
/// they have built is there, and the other way round.
fn programs<const N: usize>(workspace: &Workspace, suite: Suite, test: &str, names: [&str; N]) -> Result<[PathBuf; N]> {
    let arguments = [suite.arguments, &["--bins", "--test", test]].concat();
    build_in(workspace, suite.environment, &arguments, names)
}

/// Copies a program into a folder, without symbols, as it is shipped.
fn strip(program: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let name = program.file_name().context("a program has a name")?;
    output_of(Command::new("strip").arg("-o").arg(to.join(name)).arg(program)).map(drop)
}

/// The commit that a program was built from, by its own word; the images' label says the same.
fn commit(program: &Path) -> Result<String> {
    let version = output_of(Command::new(program).arg("--version"))?;
    let commit = version.split_once("(commit ").and_then(|(_, rest)| rest.split([',', ')']).next());
    commit.map(str::to_owned).with_context(|| format!("{} names no commit: {version}", program.display()))
}

/// The Dockerfile with the stages replaced that compile.
fn without_compiling(dockerfile: &str) -> Result<String> {
    let stages = stages(dockerfile);
    for (name, _) in COMPILING {
        if !stages.iter().any(|(stage, _)| *stage == name) {
            bail!("the Dockerfile has no stage `{name}` any more, which quick images do without: correct COMPILING in {}", file!());
        }
    }
    let replaced = stages.iter().map(|(name, text)| match COMPILING.iter().find(|(compiling, _)| compiling == name) {
        None => (*text).to_owned(),
        Some((_, None)) => String::new(),
        Some((_, Some(folder))) => format!("FROM scratch AS {name}\nCOPY {folder} /out\n\n"),
    });
    Ok(replaced.collect())
}

/// The stages by their names, each from its FROM to the next; first what is before them all, which has no name.
fn stages(dockerfile: &str) -> Vec<(&str, &str)> {
    let mut begins = vec![("", 0)];
    let mut at = 0;
    for line in dockerfile.split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["FROM", _, "AS", name] => begins.push((name, at)),
            ["FROM", ..] => begins.push(("", at)),
            _ => {}
        }
        at += line.len();
    }
    let ends = begins.iter().skip(1).map(|(_, begin)| *begin).chain([dockerfile.len()]);
    begins.iter().zip(ends).map(|((name, begin), end)| (*name, &dockerfile[*begin..end])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> String {
        fs::read_to_string(Workspace::find().unwrap().root.join("Dockerfile")).unwrap()
    }

    #[test]
    fn every_stage_of_the_dockerfile_but_those_that_compile_is_left_as_it_is() {
        let real = real();
        let before = stages(&real);
        let quick = without_compiling(&real).unwrap();
        let after = stages(&quick);
        assert_eq!(before.iter().map(|(_, text)| *text).collect::<String>(), real);
        let compiling = |name: &str| COMPILING.iter().any(|(compiling, _)| *compiling == name);
        let kept = |stages: &[(&str, &str)]| -> Vec<String> {
            stages.iter().filter(|(name, _)| !compiling(name)).map(|(_, text)| (*text).to_owned()).collect()
        };
        assert_eq!(kept(&before), kept(&after));
        for name in ["runtime", "mock-root", "mock", "doomctl-root", "doomctl", "agent-root", "doom-agent"] {
            assert!(!compiling(name) && after.iter().any(|(stage, _)| *stage == name), "{name}");
        }
    }

    #[test]
    fn what_is_left_compiles_nothing_and_copies_from_nothing_that_is_gone() {
        let quick = without_compiling(&real()).unwrap();
        let instructions = || quick.lines().filter(|line| !line.starts_with('#'));
        assert!(!instructions().any(|line| line.contains("cargo ") || line.contains("${BUILDER_BASE}")), "{quick}");
        let names: Vec<&str> = stages(&quick).iter().map(|(name, _)| *name).collect();
        for line in instructions() {
            let from = line.split("--from=").nth(1).and_then(|rest| rest.split_whitespace().next());
            assert!(from.is_none_or(|from| names.contains(&from)), "{line}");
        }
    }

    #[test]
    fn a_stage_that_is_missing_is_named() {
        let renamed = real().replace("FROM base AS engine", "FROM base AS motor");
        let error = without_compiling(&renamed).unwrap_err().to_string();
        assert!(error.contains("no stage `engine`"), "{error}");
    }

    #[test]
    fn the_version_of_the_c_library_is_the_last_word_of_the_first_line() {
        assert_eq!(libc("ldd (Debian GLIBC 2.36-9+deb12u10) 2.36\nCopyright (C) 2022 Free Software Foundation, Inc.\n"), Some((2, 36)));
        assert_eq!(libc("ldd (Ubuntu GLIBC 2.39-0ubuntu8) 2.39\n"), Some((2, 39)));
        assert_eq!(libc("musl libc (x86_64)\nVersion 1.2.5\n"), None);
        assert!(libc("x 2.9") < libc("x 2.36"));
    }
}
