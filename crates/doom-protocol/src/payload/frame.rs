//! A picture of the screen.

use std::borrow::Cow;

use serde_bytes::Bytes;

use super::episode_payload;

episode_payload!(
    /// The screen at observation k. As MessagePack the whole is an envelope like any other; otherwise `data` alone is the
    /// message's body, and the rest stands in the headers.
    Frame, "agent.frame", {
        /// k, from 0: the observation it belongs to.
        step: u64,
        /// That observation's tic.
        tic: u32,
        /// The screen format it was drawn in, such as `RGB24`; with `raw` it says how the bytes are to be read.
        format: Cow<'a, str>,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// `png`, `jpeg` or `raw`.
        encoding: Cow<'a, str>,
        /// The picture; `raw` is the engine's own bytes, row by row from the top, planes one after the other.
        #[cfg_attr(test, schemars(schema_with = "crate::schema::binary"))]
        data: Cow<'a, Bytes>,
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Envelope, Instance, Timestamp};

    #[test]
    fn a_frame_is_msgpack_with_its_data_as_bin() {
        let instance = Instance::new();
        let at = Timestamp::now();
        let frame = Frame {
            agent_id: "A".into(),
            timestamp: at,
            episode_id: instance.episode(1),
            experiment_id: None,
            run_id: None,
            generation_id: None,
            step: 4,
            tic: 5,
            format: "GRAY8".into(),
            width: 2,
            height: 1,
            encoding: "raw".into(),
            data: Cow::Borrowed(Bytes::new(&[0xff, 0x00])),
        };
        let mut bytes = Vec::new();
        Codec::Msgpack.encode(&Envelope::new(frame.clone(), instance.trace(1), at), &mut bytes).unwrap();
        // "data", then bin 8 of two bytes.
        let bin = [0xa4, b'd', b'a', b't', b'a', 0xc4, 2, 0xff, 0x00];
        assert!(bytes.windows(bin.len()).any(|w| w == bin));
        let back: Envelope<'_, Frame<'_>> = Codec::Msgpack.decode(&bytes).unwrap();
        assert_eq!(back.payload, frame);
    }
}
