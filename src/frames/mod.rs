//! `--frames`: pictures of the screen for whoever watches. Nobody waits for them, and nothing else waits because of them.
//!
//! The game thread copies every N-th frame into a buffer of a bounded pool (`ring`); the thread `frames` makes a picture of it
//! (`picture`, `publisher`); a task of `doom-bus` publishes it on a connection of its own. Wherever there is no room, or no connection,
//! the frame is dropped and counted.

mod picture;
mod publisher;
mod ring;

use std::time::Duration;

use clap::ValueEnum;
use doom_bus::Link;
use doom_game::{Scenario, ScreenFormat};

pub(crate) use self::{publisher::Frames, ring::FrameTap};
use crate::{
    exit::{self, Failure},
    nats_choice::NatsChoice,
};

/// How long the start waits to learn what the server takes.
const SERVER_WITHIN: Duration = Duration::from_secs(1);

/// What is published of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FrameEncoding {
    /// Nothing.
    Off,
    /// PNG, in gray for GRAY8, else in colour.
    Png,
    /// JPEG, likewise.
    Jpeg,
    /// The engine's own bytes, in the scenario's screen_format.
    Raw,
}

impl FrameEncoding {
    /// The wire's name, and the type of the bytes alone.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Png => ("png", "image/png"),
            Self::Jpeg => ("jpeg", "image/jpeg"),
            Self::Off | Self::Raw => ("raw", "application/octet-stream"),
        }
    }
}

/// The frames that are to be published; never [`FrameEncoding::Off`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramePlan {
    pub(crate) encoding: FrameEncoding,
    /// Those of the steps that this number divides.
    pub(crate) every: u64,
    pub(crate) format: ScreenFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl FramePlan {
    /// `None` where frames are off.
    ///
    /// # Errors
    /// Exit code 2 where nobody could receive them, 65 where the scenario's pixels cannot become such pictures.
    pub(crate) fn check(encoding: FrameEncoding, every: u64, scenario: &Scenario, nats: &NatsChoice) -> Result<Option<Self>, Failure> {
        let format = scenario.screen_format;
        let name = match encoding {
            FrameEncoding::Off => return Ok(None),
            other => other.names().0,
        };
        if *nats == NatsChoice::Off {
            let text =
                format!("--frames {name} needs NATS: frames are published live and written to no file; leave out --nats off or --frames");
            return Err(Failure::new(exit::USAGE, text));
        }
        if format == ScreenFormat::Doom256Colors8 && encoding != FrameEncoding::Raw {
            let text = format!(
                "--frames {name} cannot show the screen format {}, whose bytes are indices into a palette: \
                 give --frames raw, or another format by --set screen_format=RGB24",
                format.name()
            );
            return Err(Failure::new(exit::DATA, text));
        }
        let (width, height) = (scenario.screen_resolution.width(), scenario.screen_resolution.height());
        Ok(Some(Self { encoding, every, format, width, height }))
    }

    /// Bytes of one frame as the game gives it.
    pub(crate) fn size(&self) -> usize {
        self.width as usize * self.height as usize * self.format.channels() as usize
    }

    /// Waits a moment for the pictures' connection, so that the first ones find it.
    ///
    /// Refuses what the server would refuse, as far as that can be known: raw frames have one size, and the server says its limit when
    /// it is connected. What cannot be known now is told, and counted, when it happens.
    ///
    /// # Errors
    /// Exit code 65, with both sizes and the ways out.
    pub(crate) async fn check_fits(&self, link: &Link) -> Result<(), Failure> {
        let connected = tokio::time::timeout(SERVER_WITHIN, link.connected()).await.is_ok();
        if !connected || self.encoding != FrameEncoding::Raw {
            return Ok(());
        }
        let (size, most) = (self.size(), link.client().max_payload());
        if size < most {
            return Ok(());
        }
        let text = format!(
            "a raw frame has {size} bytes ({}x{} {}), but the NATS server takes messages up to {most} bytes: give --frames jpeg or png, \
             a smaller picture by --set screen_resolution=RES_320X240, or raise max_payload in the server's configuration",
            self.width,
            self.height,
            self.format.name()
        );
        Err(Failure::new(exit::DATA, text))
    }
}
