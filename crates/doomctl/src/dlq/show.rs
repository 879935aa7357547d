//! `doomctl dlq list` and `show`.

use cli_common::exit::{self, Failure};
use doom_bus::dead_letters::{Kind, Letter};
use serde_json::{Map, Value, json};

use super::{Choice, next, open};
use crate::{cli::Global, columns::columns, connection, output};

/// Bytes of a message that are shown.
const MOST_SHOWN: usize = 4096;

pub(super) async fn list(global: &Global, choice: &Choice) -> Result<i32, Failure> {
    let link = connection::open(global).await?;
    let mut letters = open(global, &link, choice).await?;
    let mut rows = Vec::new();
    while let Some(letter) = next(&link, &mut letters).await? {
        if global.json {
            output::say_json(&letter)?;
        } else {
            rows.push(row(&letter));
        }
    }
    link.close().await;
    if !global.json {
        let heads = ["SEQ", "TIME", "CONSUMER", "TRIES", "SUBJECT", "STREAM", "ERROR"];
        cli_common::output::say(&if rows.is_empty() { "no dead letters".to_owned() } else { columns(&heads, &rows) });
    }
    Ok(exit::DONE)
}

fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn row(letter: &Letter) -> Vec<String> {
    let place = match (&letter.stream, letter.stream_sequence) {
        (Some(stream), Some(sequence)) => format!("{stream}/{sequence}"),
        _ => "-".to_owned(),
    };
    let error = match (letter.kind, letter.gone) {
        (Kind::Advisory, true) => "(the server gave up; the message is gone from its stream)".to_owned(),
        (Kind::Advisory, false) => "(the server gave up)".to_owned(),
        (Kind::Copy, _) => letter.error.as_deref().unwrap_or("-").chars().take(80).collect(),
    };
    vec![
        letter.sequence.to_string(),
        letter.time.to_string(),
        or_dash(letter.consumer.as_ref()),
        or_dash(letter.deliveries.as_ref()),
        or_dash(letter.subject.as_ref()),
        place,
        error,
    ]
}

pub(super) async fn whole(global: &Global, choice: &Choice) -> Result<i32, Failure> {
    let link = connection::open(global).await?;
    let mut letters = open(global, &link, choice).await?;
    let mut shown = 0;
    while let Some(letter) = next(&link, &mut letters).await? {
        if global.json {
            output::say_json(&value(&letter)?)?;
        } else {
            cli_common::output::say(&text(&letter));
        }
        shown += 1;
    }
    link.close().await;
    if shown == 0 {
        output::complain("there is no such dead letter");
        return Ok(exit::NO);
    }
    Ok(exit::DONE)
}

/// The letter with the message: as JSON where it is JSON, as text where it is text, else as an array of bytes.
fn value(letter: &Letter) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(letter).map_err(|e| Failure::new(exit::INTERNAL, e))?;
    let headers: Map<String, Value> = headers(letter).into_iter().map(|(name, text)| (name, Value::String(text))).collect();
    value["headers"] = Value::Object(headers);
    value["content"] = serde_json::from_slice(&letter.payload)
        .unwrap_or_else(|_| std::str::from_utf8(&letter.payload).map_or_else(|_| json!(&letter.payload[..]), |text| json!(text)));
    Ok(value)
}

fn headers(letter: &Letter) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = letter
        .headers
        .iter()
        .map(|(name, values)| (name.to_string(), values.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", ")))
        .collect();
    all.sort();
    all
}

fn text(letter: &Letter) -> String {
    let heads = ["SEQ", "TIME", "CONSUMER", "TRIES", "SUBJECT", "STREAM", "ERROR"];
    let mut lines: Vec<String> = heads.iter().zip(row(letter)).map(|(head, cell)| format!("{head:<9} {cell}")).collect();
    lines.push(format!("REDRIVEN  {}", letter.redrives));
    lines.extend(headers(letter).into_iter().map(|(name, text)| format!("    {name}: {text}")));
    lines.push(match std::str::from_utf8(&letter.payload) {
        Ok(text) if text.len() <= MOST_SHOWN => text.to_owned(),
        _ => format!("({} bytes; --json has them)", letter.payload.len()),
    });
    lines.join("\n") + "\n"
}
