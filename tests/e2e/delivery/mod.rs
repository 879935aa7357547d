//! What reaches the broker, and what is said of what does not.

mod absence;
mod identity;
mod readiness;
mod records;
mod stall;
