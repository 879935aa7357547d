//! The committed bindings are those that bindgen makes of the header.
#![cfg(feature = "buildtime-bindgen")]

#[test]
fn the_committed_bindings_are_what_bindgen_makes_of_the_header() {
    let made = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));
    let committed = include_str!("../src/bindings.rs");
    assert!(made.contains("vz_game_step"), "bindgen made nothing of the shim");
    assert!(made == committed, "the header changed: copy {}/bindings.rs to src/bindings.rs", env!("OUT_DIR"));
}
