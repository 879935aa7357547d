//! Clients that are not ours, as the orchestrator, the dashboard bridge and analytics are: nats-py on real streams that a real agent feeds.

mod consumers;
