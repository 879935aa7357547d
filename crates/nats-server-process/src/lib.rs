//! Starts and supervises a real nats-server on loopback.
