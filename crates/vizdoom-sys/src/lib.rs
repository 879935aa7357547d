//! C ABI shim over libvizdoom 1.3.2 and its bindings.
