//! The scenarios of our own, compiled in so that the binary runs from any directory.

/// Declares them by name; the files are in `configs/scenarios`.
macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        pub(super) const ALL: &[(&str, &str)] =
            &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/scenarios/", $name, ".cfg")))),*];
    };
}

embedded!("basic", "deadly_corridor", "deathmatch", "defend_the_center", "defend_the_line", "health_gathering", "my_way_home");
