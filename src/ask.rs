//! `doom-agent health`: asks an agent over NATS, for container health checks.

use std::time::Duration;

use doom_protocol::{HealthReply, Subjects};
use futures::StreamExt;

use crate::{
    cli::Options,
    config::{connect_settings, required_id},
    exit::{self, Failure},
    nats_choice::NatsChoice,
    outputs::{complain, say},
};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The exit code for an agent that is not healthy, or does not answer.
const UNHEALTHY: i32 = 1;

/// Prints the reply; 0 where the agent is healthy, else 1.
///
/// # Errors
/// For a wrong command line, or where there is no way to ask.
pub async fn health(options: &Options) -> Result<i32, Failure> {
    let id = required_id(options)?;
    if !matches!(options.nats, NatsChoice::Url(_)) {
        return Err(Failure::new(exit::USAGE, "health is asked over NATS; give --nats URL"));
    }
    let settings = connect_settings(options, &id)?;
    let link = doom_bus::connect(&settings).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
    if let Err(why) = link.connected_within(ANSWER_WITHIN).await {
        complain(why);
        return Ok(UNHEALTHY);
    }
    let subjects = Subjects::new(&options.subject_root, &id);
    let reply = tokio::time::timeout(ANSWER_WITHIN, ask(&link, &subjects)).await;
    link.close().await;
    match reply {
        Ok(Ok(reply)) => {
            say(&serde_json::to_string(&reply).map_err(|e| Failure::new(exit::INTERNAL, e))?);
            Ok(if reply.healthy { exit::DONE } else { UNHEALTHY })
        }
        Ok(Err(reason)) => Err(Failure::new(exit::INTERNAL, reason)),
        Err(_) => {
            complain(format_args!("agent {id} does not answer on {} within {} s", subjects.health, ANSWER_WITHIN.as_secs()));
            Ok(UNHEALTHY)
        }
    }
}

/// The first answer that is a health reply; a stream's acknowledgement is none.
async fn ask(link: &doom_bus::Link, subjects: &Subjects) -> Result<HealthReply, String> {
    let inbox = link.client().new_inbox();
    let mut answers = link.client().subscribe(inbox.clone()).await.map_err(|e| e.to_string())?;
    link.client().publish_with_reply(subjects.health.clone(), inbox, "".into()).await.map_err(|e| e.to_string())?;
    while let Some(message) = answers.next().await {
        if let Ok(reply) = serde_json::from_slice(&message.payload) {
            return Ok(reply);
        }
    }
    Err("the connection was closed".to_owned())
}
