//! The process as an orchestrator sees it: signals, lifecycle, and a client that is not written in Rust.

mod environment;
mod lifecycle;
mod python;
mod signals;
