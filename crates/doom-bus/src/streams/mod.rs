//! Streams: what a server has, what a [`StreamSet`] asks for, the [`Plan`] that leads from one to the other, and its execution.
//!
//! A plan is made before anything is changed and says all that it would change. What would lose messages is marked, and refused unless
//! that is allowed. Settings that a set does not speak of (placement, mirrors of an operator's, metadata) stay as the server has them.

mod apply;
mod find;
mod plan;
mod server;
mod shape;

use doom_protocol::stream::StreamSet;

use crate::Link;

pub use apply::{ApplyError, Losses, apply, purge};
pub use find::{find_stream, health_trap};
pub use plan::{Action, Change, Plan, Step, Wanted, plan};
pub use server::{ServerStream, ServerStreams, read};

/// Makes the server's streams those of the design, as far as that loses nothing.
///
/// # Errors
/// A text with the stream's name, where the server refuses one.
pub async fn create_streams(link: &Link, root: &str) -> Result<(), String> {
    let root = root.parse()?;
    let there = read(link).await.map_err(|e| e.to_string())?;
    let mut plan = plan(&Wanted { set: StreamSet::standard(), root: &root, replicas: None }, &there);
    for step in plan.steps.iter().filter(|s| s.obstacle().is_some() || s.loses().next().is_some()) {
        tracing::warn!(stream = step.stream, "this stream is left as it is; doomctl streams diff says why");
    }
    plan.steps.retain(|s| s.obstacle().is_none() && s.loses().next().is_none());
    apply(link, &plan, Losses::Refused, |_| {}).await.map_err(|e| e.to_string())
}
