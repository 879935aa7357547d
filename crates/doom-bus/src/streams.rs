//! Which stream takes a subject, and the trap of a stream that answers health requests in the agent's place.

use std::time::Duration;

use async_nats::{Client, RequestErrorKind};
use serde::Deserialize;

/// How long an answer of the JetStream API is waited for.
const API_TIMEOUT: Duration = Duration::from_secs(3);

/// What is known of the stream of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFinding {
    /// This one takes it.
    Stream(String),
    /// JetStream answers, and no stream takes it.
    None,
    /// JetStream is not enabled (for this account).
    NoJetStream,
    /// No answer, or no permission to ask.
    Unknown(String),
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    description: String,
}

/// Asks for the stream that takes a subject.
pub async fn find_stream(client: &Client, subject: &str) -> StreamFinding {
    let body = serde_json::json!({ "subject": subject }).to_string();
    let request = async_nats::Request::new().payload(body.into()).timeout(Some(API_TIMEOUT));
    match client.send_request("$JS.API.STREAM.NAMES", request).await {
        Ok(reply) => match serde_json::from_slice::<Names>(&reply.payload) {
            Ok(Names { error: Some(e), .. }) if e.code == 503 => StreamFinding::NoJetStream,
            Ok(Names { error: Some(e), .. }) => StreamFinding::Unknown(e.description),
            Ok(Names { streams, .. }) => streams.into_iter().flatten().next().map_or(StreamFinding::None, StreamFinding::Stream),
            Err(e) => StreamFinding::Unknown(e.to_string()),
        },
        Err(e) if e.kind() == RequestErrorKind::NoResponders => StreamFinding::NoJetStream,
        Err(e) => StreamFinding::Unknown(e.to_string()),
    }
}

/// The stream that captures health requests, if there is one: it acknowledges them in the requester's inbox before the agent answers.
pub async fn health_trap(client: &Client, health_subject: &str) -> Option<String> {
    match find_stream(client, health_subject).await {
        StreamFinding::Stream(name) => Some(name),
        _ => None,
    }
}

/// Makes every stream of the design that is not there yet; streams that exist are left as they are.
///
/// # Errors
/// A text with the stream's name, where the server refuses one.
pub async fn create_streams(client: &Client, root: &str) -> Result<(), String> {
    use async_nats::jetstream::{self, stream};
    use doom_protocol::stream::{DUPLICATE_WINDOW, STREAMS};
    let context = jetstream::new(client.clone());
    for definition in STREAMS {
        let sources = definition.sources.map(|(name, subjects)| {
            let transforms =
                subjects.iter().map(|s| stream::SubjectTransform { source: format!("{root}.{s}"), destination: String::new() });
            vec![stream::Source { name: name.to_owned(), subject_transforms: transforms.collect(), ..Default::default() }]
        });
        let config = stream::Config {
            name: definition.name.to_owned(),
            subjects: definition.subjects(root),
            max_age: definition.max_age,
            max_bytes: definition.max_bytes.unwrap_or(-1),
            max_message_size: definition.max_message.unwrap_or(-1),
            duplicate_window: DUPLICATE_WINDOW,
            allow_direct: true,
            sources,
            ..Default::default()
        };
        context.get_or_create_stream(config).await.map_err(|e| format!("stream {}: {e}", definition.name))?;
    }
    Ok(())
}
