//! One event as one line of JSON, as `doom-agent --events` writes it, with its place in the stream:
//! `{"subject","sequence","headers":{…},"event":{envelope}}`.

use std::io::{self, Write};

use doom_bus::consume::Delivered;
use doom_protocol::Codec;
use serde::de::IgnoredAny;

/// Appends the line. What is no event has `"event":null`, its bytes as text under `"raw"` and why under `"error"`; that is returned then.
pub(crate) fn append(delivered: &Delivered, sequence: u64, out: &mut Vec<u8>) -> io::Result<Option<String>> {
    out.extend_from_slice(b"{\"subject\":");
    serde_json::to_writer(&mut *out, delivered.subject())?;
    write!(out, ",\"sequence\":{sequence},\"headers\":{{")?;
    let mut first = true;
    for (name, values) in delivered.message().headers.iter().flat_map(|headers| headers.iter()) {
        let Some(value) = values.first() else { continue };
        if !std::mem::replace(&mut first, false) {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, AsRef::<str>::as_ref(name))?;
        out.push(b':');
        serde_json::to_writer(&mut *out, value.as_str())?;
    }
    out.extend_from_slice(b"},\"event\":");
    let begin = out.len();
    let written = event(delivered, out);
    if let Err(why) = &written {
        out.truncate(begin);
        out.extend_from_slice(b"null,\"error\":");
        serde_json::to_writer(&mut *out, why)?;
        out.extend_from_slice(b",\"raw\":");
        serde_json::to_writer(&mut *out, &String::from_utf8_lossy(delivered.bytes()))?;
    }
    out.extend_from_slice(b"}\n");
    Ok(written.err())
}

fn event(delivered: &Delivered, out: &mut Vec<u8>) -> Result<(), String> {
    let bytes = delivered.bytes();
    match delivered.codec() {
        // Looked through, so that no line is broken, and then taken as it is.
        Codec::Json => {
            serde_json::from_slice::<IgnoredAny>(bytes).map_err(|e| e.to_string())?;
            if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                // Line breaks within JSON stand between its tokens alone.
                out.extend(bytes.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            } else {
                out.extend_from_slice(bytes);
            }
        }
        Codec::Msgpack => {
            let value: serde_json::Value = Codec::Msgpack.decode(bytes).map_err(|e| e.to_string())?;
            serde_json::to_writer(out, &value).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}
