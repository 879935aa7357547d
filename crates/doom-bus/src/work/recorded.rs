//! What the stream has of evaluations: episodes that need not be played again, and results.

use std::collections::BTreeMap;

use async_nats::jetstream::{self, Context, stream::LastRawMessageErrorKind};
use doom_protocol::{
    Codec, Envelope, Id, SubjectRoot, header,
    payload::{EvaluationEpisode, EvaluationResult},
};
use futures::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Link,
    api::{ApiError, ask},
    find_stream,
};

/// Why the stream could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No stream takes results.
    #[error("no stream takes {0}; make the streams of clau-doom with doomctl streams apply")]
    NoStream(String),
    /// There is no JetStream, no permission, no answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What the server says.
    #[error("{what}: {problem}")]
    Server {
        /// What was asked.
        what: String,
        /// The answer.
        problem: String,
    },
    /// A message that is not what its subject says.
    #[error("the message on {subject} cannot be read: {problem}")]
    Unreadable {
        /// Where it is.
        subject: String,
        /// Why not.
        problem: String,
    },
}

/// The stream of results.
#[derive(Debug, Clone)]
pub struct Recorded {
    link: Link,
    context: Context,
    stream: String,
    root: SubjectRoot,
}

#[derive(Deserialize)]
struct StreamInfo {
    #[serde(default)]
    state: State,
}

#[derive(Deserialize, Default)]
struct State {
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

impl Recorded {
    /// Finds the stream that takes results of evaluations.
    ///
    /// # Errors
    /// [`StoreError`] where there is none, or it cannot be asked for.
    pub async fn open(link: &Link, root: &SubjectRoot) -> Result<Self, StoreError> {
        let subject = root.evaluations_all("result");
        let Some(stream) = find_stream(link, &subject).await? else { return Err(StoreError::NoStream(subject)) };
        Ok(Self { link: link.clone(), context: jetstream::new(link.client().clone()), stream, root: root.clone() })
    }

    /// The stream's name.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The last tokens of all subjects that a filter matches, in a few answers, however many messages they have.
    async fn subjects(&self, filter: &str) -> Result<Vec<String>, StoreError> {
        let body = serde_json::json!({ "subjects_filter": filter });
        let info: StreamInfo = ask(&self.link, &format!("STREAM.INFO.{}", self.stream), &self.stream, &body).await?;
        Ok(info.state.subjects.unwrap_or_default().into_keys().collect())
    }

    /// The places of the evaluation's episodes that are recorded.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn places(&self, generation: &Id, evaluation: &Id) -> Result<Vec<u64>, StoreError> {
        let subjects = self.subjects(&self.root.evaluation_episode(generation, evaluation, None)).await?;
        let mut places: Vec<u64> = subjects.iter().filter_map(|s| s.rsplit('.').next()?.parse().ok()).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Every recorded episode of an evaluation, by its place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn episodes(&self, generation: &Id, evaluation: &Id) -> Result<BTreeMap<u64, EvaluationEpisode<'static>>, StoreError> {
        let mut all = BTreeMap::new();
        for place in self.places(generation, evaluation).await? {
            if let Some((_, episode)) = self.last(&self.root.evaluation_episode(generation, evaluation, Some(place))).await? {
                all.insert(place, episode);
            }
        }
        Ok(all)
    }

    /// The last result of an evaluation, with its sequence in the stream.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn result(&self, generation: &Id, evaluation: &Id) -> Result<Option<(u64, EvaluationResult)>, StoreError> {
        self.last(&self.root.evaluation_result(generation, evaluation)).await
    }

    async fn last<T: DeserializeOwned>(&self, subject: &str) -> Result<Option<(u64, T)>, StoreError> {
        let fail = |problem: String| StoreError::Server { what: format!("the last message on {subject}"), problem };
        let stream = self.context.get_stream_no_info(&self.stream).await.map_err(|e| fail(e.to_string()))?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => {
                let codec = Codec::of_content_type(message.headers.get(header::CONTENT_TYPE).map(|v| v.as_str()));
                let envelope: Envelope<'_, T> = codec
                    .decode(&message.payload)
                    .map_err(|e| StoreError::Unreadable { subject: subject.to_owned(), problem: e.to_string() })?;
                Ok(Some((message.sequence, envelope.payload)))
            }
            Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(e) => Err(fail(e.to_string())),
        }
    }
}

/// Everything that is stored on a subject (wildcards allowed), in its order, as JSON.
///
/// # Errors
/// [`StoreError`] where no stream takes it, or it cannot be read.
pub async fn stored_on(link: &Link, subject: &str) -> Result<Vec<serde_json::Value>, StoreError> {
    let fail = |problem: String| StoreError::Server { what: subject.to_owned(), problem };
    let Some(name) = find_stream(link, subject).await? else { return Err(StoreError::NoStream(subject.to_owned())) };
    let context = jetstream::new(link.client().clone());
    let stream = context.get_stream_no_info(&name).await.map_err(|e| fail(e.to_string()))?;
    let config = jetstream::consumer::pull::OrderedConfig {
        filter_subject: subject.to_owned(),
        deliver_policy: jetstream::consumer::DeliverPolicy::All,
        ..Default::default()
    };
    let mut consumer = stream.create_consumer(config).await.map_err(|e| fail(e.to_string()))?;
    let mut left = consumer.info().await.map_err(|e| fail(e.to_string()))?.num_pending;
    let mut messages = consumer.messages().await.map_err(|e| fail(e.to_string()))?;
    let mut all = Vec::new();
    while left > 0 {
        let Some(message) = messages.next().await else { break };
        let message = message.map_err(|e| fail(e.to_string()))?;
        left -= 1;
        let codec = Codec::of_content_type(message.headers.as_ref().and_then(|h| h.get(header::CONTENT_TYPE)).map(|v| v.as_str()));
        let event = codec.decode(&message.payload);
        all.push(event.map_err(|e| StoreError::Unreadable { subject: message.subject.to_string(), problem: e.to_string() })?);
    }
    Ok(all)
}
