//! Populations in containers: the images as they are shipped, on a real Docker engine, with a real cluster of NATS servers.
//!
//! Not among the workspace's tests, since they need that engine and images that take minutes to build: `cargo xtask test --containers` builds
//! the images and runs them. Each test has a network, containers and volumes of its own, and removes them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cluster;
mod image;
mod orchestrator;
mod population;
mod support;
mod volumes;
