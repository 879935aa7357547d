//! `doomctl streams show`.

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::{
    ApiError,
    streams::{ServerStream, read},
};

use super::failure;
use crate::{cli::Global, columns::columns, connection, output};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// These streams, whole
    streams: Vec<String>,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    let link = connection::open(global).await?;
    let mut there = read(&link).await.map_err(|e| failure(&e))?;
    link.close().await;
    let names = &arguments.streams;
    if let Some(unknown) = names.iter().find(|n| there.get(n).is_none() && !there.silent.contains(n)) {
        return Err(failure(&ApiError::NoStream(unknown.clone())));
    }
    if !names.is_empty() {
        there.streams.retain(|s| names.contains(&s.name));
        there.silent.retain(|s| names.contains(s));
    }
    if global.json {
        output::say_json(&there)?;
        return Ok(exit::DONE);
    }
    if names.is_empty() {
        let rows: Vec<Vec<String>> = there.streams.iter().map(row).collect();
        cli_common::output::say(&columns(&["STREAM", "MESSAGES", "BYTES", "SEQUENCES", "CONSUMERS", "KEPT", "TAKES"], &rows));
    } else {
        let whole: Vec<String> = there.streams.iter().map(whole).collect();
        cli_common::output::say(&whole.join("\n\n"));
    }
    if !there.silent.is_empty() {
        output::complain(format!("without a leader at the moment: {}", there.silent.join(", ")));
    }
    Ok(exit::DONE)
}

fn takes(stream: &ServerStream) -> String {
    let mut all = stream.subjects().to_vec();
    all.extend(stream.sources().into_iter().map(|s| format!("from {s}")));
    all.join(", ")
}

fn row(stream: &ServerStream) -> Vec<String> {
    let settings = stream.settings();
    let setting = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    vec![
        stream.name.clone(),
        stream.messages.to_string(),
        bytesize::ByteSize::b(stream.bytes).display().iec().to_string(),
        format!("{}-{}", stream.first_sequence, stream.last_sequence),
        stream.consumers.to_string(),
        format!("{}, {}", setting("max_age"), setting("max_bytes")),
        takes(stream),
    ]
}

fn whole(stream: &ServerStream) -> String {
    let mut lines = vec![
        stream.name.clone(),
        format!(
            "    {:<12} {} ({} bytes, sequences {}-{})",
            "messages", stream.messages, stream.bytes, stream.first_sequence, stream.last_sequence
        ),
        format!("    {:<12} {}", "consumers", stream.consumers),
        format!("    {:<12} {}", "takes", takes(stream)),
    ];
    lines.extend(stream.settings().into_iter().map(|(name, value)| format!("    {name:<12} {value}")));
    if let Some(leader) = &stream.leader {
        lines.push(format!("    {:<12} {}", "leader", if leader.is_empty() { "none at the moment" } else { leader }));
    }
    lines.join("\n")
}
