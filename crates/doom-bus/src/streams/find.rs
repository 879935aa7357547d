//! Which stream takes a subject, and the trap of a stream that answers health requests in the agent's place.

use serde::Deserialize;
use serde_json::json;

use crate::{
    Link,
    api::{ApiError, ask},
};

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// The stream that takes a subject; `None` where none does.
///
/// # Errors
/// [`ApiError`], where that cannot be told.
pub async fn find_stream(link: &Link, subject: &str) -> Result<Option<String>, ApiError> {
    let names: Names = ask(link, "STREAM.NAMES", "", &json!({ "subject": subject })).await?;
    Ok(names.streams.into_iter().flatten().next())
}

/// The stream that captures health requests, if it is known that there is one: it acknowledges them in the requester's inbox before the agent
/// answers.
pub async fn health_trap(link: &Link, health_subject: &str) -> Option<String> {
    find_stream(link, health_subject).await.ok().flatten()
}
