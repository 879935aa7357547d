//! The same events as JSON Lines: `{"subject","headers":{…},"event":{envelope}}`, one a line, for files and pipes.

use std::io::{self, BufWriter, Write};

use doom_protocol::Codec;

use crate::{Origin, Outgoing};

/// A file or pipe that takes events.
pub struct JsonLines {
    out: BufWriter<Box<dyn Write + Send>>,
    origin: Origin,
    failed: bool,
}

impl std::fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonLines").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl JsonLines {
    /// Writes to `out` through a buffer.
    pub fn new(out: Box<dyn Write + Send>, origin: Origin) -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, out), origin, failed: false }
    }

    /// Writes one event that was encoded as JSON; anything else (a picture) is left out. A failure is said once.
    pub fn write(&mut self, event: &Outgoing) {
        let result = self.try_write(event);
        self.note(result);
    }

    /// Hands everything to the file.
    pub fn flush(&mut self) {
        let result = self.out.flush();
        self.note(result);
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!(%error, "the events file cannot be written any more; the run goes on without it");
        }
    }

    fn try_write(&mut self, event: &Outgoing) -> io::Result<()> {
        if self.failed || event.stamp.content_type.is_some() {
            return Ok(());
        }
        self.out.write_all(b"{\"subject\":")?;
        serde_json::to_writer(&mut self.out, event.subject.as_str())?;
        let mut before = &b",\"headers\":{"[..];
        for (name, value) in self.origin.pairs(&event.stamp, Codec::Json) {
            self.out.write_all(before)?;
            serde_json::to_writer(&mut self.out, name)?;
            self.out.write_all(b":")?;
            serde_json::to_writer(&mut self.out, &value)?;
            before = b",";
        }
        // The payload is JSON of our own making.
        self.out.write_all(b"},\"event\":")?;
        self.out.write_all(&event.payload)?;
        self.out.write_all(b"}\n")
    }
}
