//! How an agent is registered as a NATS micro service, by which it is found.

/// The service's name.
pub const NAME: &str = "doom-agent";
/// Every instance of it answers here.
pub const PING: &str = "$SRV.PING.doom-agent";

// Keys of its metadata.

/// The agent's id.
pub const ID: &str = "id";
/// The process.
pub const INSTANCE: &str = "instance";
/// What its subjects begin with; agents older than this key are taken to be under the root that is asked for.
pub const ROOT: &str = "root";
