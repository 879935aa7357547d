//! What the command lines of `doom-agent` and `doomctl` share: the flags that log in to NATS, how values parse and are refused, secrets
//! that nobody sees, and exit codes.
//!
//! No I/O with the broker: that is `doom-bus`. No command line of its own: each program puts these parts into its.

pub mod exit;
pub mod login;
pub mod output;
pub mod refusal;
pub mod secret;
pub mod servers;
pub mod values;
