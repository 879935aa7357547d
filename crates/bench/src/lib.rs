//! What the bench and the scale share: processes that play, the machine as the kernel tells of it, medians and percentiles.

pub mod circumstances;
pub mod machine;
pub mod player;
pub mod stats;
