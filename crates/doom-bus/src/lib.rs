//! All I/O with the broker: connection, lanes, publisher, control, health.
