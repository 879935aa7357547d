//! Facts about the build, for `--version`: the commit and the features.

use std::process::Command;

fn main() {
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok().filter(|o| o.status.success());
    let commit = commit.map_or_else(|| "unknown".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let engine = if std::env::var_os("CARGO_FEATURE_VIZDOOM").is_some() { "ViZDoom 1.3.2" } else { "mock only" };
    println!("cargo::rustc-env=DOOM_AGENT_COMMIT={commit}");
    println!("cargo::rustc-env=DOOM_AGENT_FEATURES={engine}");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
}
