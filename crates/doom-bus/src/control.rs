//! Commands from the broker: heard, checked, handed on, answered.

use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use doom_protocol::{
    Id, Subjects,
    control::{ControlReply, ControlRequest, Verb},
};
use futures::{StreamExt, stream::select};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{Link, throttle::Throttle};

/// Commands whose answer is still awaited; more are refused with a reason.
const MOST_OPEN: usize = 1024;

/// A command that is addressed to this agent.
#[derive(Debug)]
pub struct Command {
    /// What to do.
    pub verb: Verb,
    /// Its body.
    pub request: ControlRequest,
    /// Where the answer goes; dropping it answers that the agent is stopping.
    pub reply: oneshot::Sender<ControlReply>,
}

/// Who we are, for addressing.
#[derive(Debug, Clone)]
pub(crate) struct Addressee {
    pub(crate) id: Id,
    pub(crate) experiment: Option<String>,
    pub(crate) generation: Option<String>,
}

/// Both control subscriptions.
pub(crate) struct Control {
    messages: futures::stream::Select<Subscriber, Subscriber>,
    client: Client,
    addressee: Addressee,
    commands: mpsc::Sender<Command>,
    bad: Throttle,
    /// The state and tic for an answer that changes nothing.
    now: Box<dyn Fn() -> (String, u32) + Send + Sync>,
}

/// Subscribes to both control families and returns the task that serves them until the connection ends.
///
/// # Errors
/// Where the client refuses the subscriptions.
pub async fn serve_control(
    link: &Link,
    subjects: &Subjects,
    id: Id,
    experiment: Option<String>,
    generation: Option<String>,
    now: Box<dyn Fn() -> (String, u32) + Send + Sync>,
    commands: mpsc::Sender<Command>,
) -> Result<impl Future<Output = ()> + Send + use<>, async_nats::SubscribeError> {
    let client = link.client().clone();
    let own = client.subscribe(subjects.agent_control()).await?;
    let all = client.subscribe(subjects.system_control()).await?;
    let control = Control {
        messages: select(own, all),
        client,
        addressee: Addressee { id, experiment, generation },
        commands,
        bad: Throttle::new(Duration::from_secs(5)),
        now,
    };
    Ok(control.run())
}

impl Control {
    async fn run(mut self) {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                message = self.messages.next() => match message {
                    Some(message) => self.handle(message, &mut open).await,
                    None => break,
                },
                Some(_) = open.join_next(), if !open.is_empty() => {}
            }
        }
        while open.join_next().await.is_some() {}
    }

    async fn handle(&mut self, message: Message, open: &mut JoinSet<()>) {
        let token = message.subject.rsplit('.').next().unwrap_or_default();
        let parsed = token.parse::<Verb>().and_then(|verb| Ok((verb, ControlRequest::parse(&message.payload)?)));
        let (verb, request) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                if let Some(held) = self.bad.pass() {
                    tracing::warn!(subject = %message.subject, reason, held_back = held, "a command was refused");
                }
                return self.refuse(message.reply, reason).await;
            }
        };
        if !request.addresses(&self.addressee.id, self.addressee.experiment.as_deref(), self.addressee.generation.as_deref()) {
            return;
        }
        if open.len() >= MOST_OPEN {
            return self.refuse(message.reply, format!("{MOST_OPEN} commands are still unanswered; try again later")).await;
        }
        let (reply, answer) = oneshot::channel();
        if self.commands.try_send(Command { verb, request, reply }).is_err() {
            return self.refuse(message.reply, "too many commands at once, or the agent is stopping".to_owned()).await;
        }
        let stopping = self.reply("the agent is stopping".to_owned());
        let client = self.client.clone();
        open.spawn(async move {
            let answer = answer.await.unwrap_or(stopping);
            if let Some(to) = message.reply {
                send(&client, to, &answer).await;
            }
        });
    }

    fn reply(&self, error: String) -> ControlReply {
        let (state, tic) = (self.now)();
        ControlReply { agent_id: self.addressee.id.to_string(), ok: false, state, tic, error: Some(error) }
    }

    async fn refuse(&self, to: Option<async_nats::Subject>, reason: String) {
        if let Some(to) = to {
            send(&self.client, to, &self.reply(reason)).await;
        }
    }
}

async fn send(client: &Client, to: async_nats::Subject, reply: &ControlReply) {
    match serde_json::to_vec(reply) {
        Ok(bytes) => {
            if let Err(error) = client.publish(to, bytes.into()).await {
                tracing::warn!(%error, "a command's answer could not be sent");
            }
        }
        Err(error) => tracing::error!(%error, "a command's answer could not be encoded"),
    }
}
