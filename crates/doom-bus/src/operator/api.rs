//! The JetStream API, as far as its lists are needed: all pages, errors with their subject, a missing permission said at once.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    OperatorError,
    questions::{Heard, Questions},
};
use crate::Link;

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Pages beyond this are not asked for: 256 streams, or as many consumers, stand on each.
const MOST_PAGES: usize = 400;

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    total: usize,
    error: Option<ApiError>,
    #[serde(alias = "streams", alias = "consumers")]
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    description: String,
}

/// Every entry of a list (`$JS.API.STREAM.LIST`, `$JS.API.CONSUMER.LIST.{stream}`).
pub(super) async fn list<T: DeserializeOwned>(link: &Link, subject: &str) -> Result<Vec<T>, OperatorError> {
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let body = serde_json::json!({ "offset": all.len() }).to_string();
        let mut questions = Questions::within(link, WITHIN).await?;
        questions.ask(subject, body.into()).await?;
        let answer = loop {
            match questions.next(None).await? {
                None => return Err(OperatorError::Silent { subject: subject.to_owned(), within: WITHIN }),
                Some((_, Heard::Nobody)) => return Err(OperatorError::NoJetStream),
                Some((_, Heard::Captured(_))) => {}
                Some((_, Heard::Answer(bytes))) => break bytes,
            }
        };
        let said = |said: String| OperatorError::Api { subject: subject.to_owned(), said };
        let page: Page<T> = serde_json::from_slice(&answer).map_err(|e| said(format!("not an answer of JetStream: {e}")))?;
        match page.error {
            Some(error) if error.code == 503 => return Err(OperatorError::NoJetStream),
            Some(error) => return Err(said(error.description)),
            None => {}
        }
        let items = page.items.unwrap_or_default();
        if items.is_empty() {
            break;
        }
        all.extend(items);
        if all.len() >= page.total {
            break;
        }
    }
    Ok(all)
}
