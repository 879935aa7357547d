//! C ABI shim over libvizdoom 1.3.2 and its bindings.
//!
//! The shim (`shim/vizdoom_shim.h`) promises: no C++ exception leaves it, every recoverable cause has a status code of its own,
//! and an engine that ends at any moment is an error and never a crash. The bindings are made by bindgen and committed; the feature
//! `buildtime-bindgen` makes them afresh, and `tests/bindings.rs` proves that both are the same. For safe use see the crate `vizdoom`.

#[cfg(not(feature = "buildtime-bindgen"))]
#[rustfmt::skip]
mod bindings;

#[cfg(feature = "buildtime-bindgen")]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;

/// The directory of ViZDoom that this library was built with: `engine/` in it has the executable.
pub const BUILT_WITH: &str = env!("VIZDOOM_BUILT_WITH");
