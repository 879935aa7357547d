//! Commands from the broker: heard, checked, handed on, answered.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Subscriber};
use doom_protocol::{
    Id, Subjects,
    control::{ControlReply, ControlRequest, Verb},
    header,
};
use futures::{StreamExt, stream::select};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{Link, throttle::Throttle};

/// Commands whose answer is still awaited; more are refused with a reason.
const MOST_OPEN: usize = 1024;

/// Characters of a command's reason in the log.
const REASON_SHOWN: usize = 200;

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

/// Where an agent stands at the moment: what an answer says that changes nothing, and by what a command may choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The lifecycle's state.
    pub state: String,
    /// The controller's last map tic.
    pub tic: u32,
    /// The experiment that is played for; a worker's changes with each evaluation.
    pub experiment: Option<Id>,
    /// The generation, in the same way.
    pub generation: Option<Id>,
}

/// Both control subscriptions.
pub(crate) struct Control {
    messages: futures::stream::Select<Subscriber, Subscriber>,
    client: Client,
    subjects: Subjects,
    id: Id,
    commands: mpsc::Sender<Command>,
    bad: Throttle,
    /// Of what is obeyed more is worth a line; a flood is not.
    obeyed: Throttle,
    now: Box<dyn Fn() -> Standing + Send + Sync>,
}

/// Subscribes to both control families and returns the task that serves them until the connection ends.
///
/// # Errors
/// Where the client refuses the subscriptions.
pub async fn serve_control(
    link: &Link,
    subjects: &Subjects,
    id: Id,
    now: Box<dyn Fn() -> Standing + Send + Sync>,
    commands: mpsc::Sender<Command>,
) -> Result<impl Future<Output = ()> + Send + use<>, async_nats::SubscribeError> {
    let client = link.client().clone();
    let own = client.subscribe(subjects.agent_control()).await?;
    let all = client.subscribe(subjects.system_control()).await?;
    let control = Control {
        messages: select(own, all),
        client,
        subjects: subjects.clone(),
        id,
        commands,
        bad: Throttle::new(Duration::from_secs(5)),
        obeyed: Throttle::of(20, Duration::from_secs(5)),
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

    /// Says that something is refused, now and then.
    fn warn(&mut self, subject: &str, reason: &str) {
        if let Some(held_back) = self.bad.pass() {
            tracing::warn!(subject, reason, held_back, "a command was refused");
        }
    }

    async fn handle(&mut self, mut message: Message, open: &mut JoinSet<()>) {
        if is_stray(&message) {
            return self.warn(&message.subject, "it is an event, or the server's word about a stream, and no command");
        }
        if let Some(to) = message.reply.take_if(|to| !self.subjects.may_answer(to)) {
            return self.warn(&message.subject, &format!("its answer would go to {to}, where none may go"));
        }
        let token = message.subject.rsplit('.').next().unwrap_or_default();
        let parsed = token.parse::<Verb>().and_then(|verb| Ok((verb, ControlRequest::parse(&message.payload)?)));
        let (verb, request) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                self.warn(&message.subject, &reason);
                return self.refuse(message.reply, reason).await;
            }
        };
        let Standing { experiment, generation, .. } = (self.now)();
        if !request.addresses(&self.id, experiment.as_ref().map(Id::as_str), generation.as_ref().map(Id::as_str)) {
            return;
        }
        if open.len() >= MOST_OPEN {
            return self.refuse(message.reply, format!("{MOST_OPEN} commands are still unanswered; try again later")).await;
        }
        if let Some(held_back) = self.obeyed.pass() {
            let reason: String = request.reason.as_deref().unwrap_or("none given").chars().take(REASON_SHOWN).collect();
            tracing::info!(%verb, reason, held_back, "command");
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
        let Standing { state, tic, .. } = (self.now)();
        ControlReply { agent_id: self.id.to_string(), ok: false, state, tic, error: Some(error) }
    }

    async fn refuse(&self, to: Option<async_nats::Subject>, reason: String) {
        if let Some(to) = to {
            send(&self.client, to, &self.reply(reason)).await;
        }
    }
}

/// Whether a message lies on a command's subject although nobody has sent it as a command: stored and delivered there by a consumer, or answered
/// there by the server because somebody named the subject for an answer. Both happen to who may not publish there himself.
fn is_stray(message: &Message) -> bool {
    let stored = |headers: &HeaderMap| headers.get(header::INSTANCE).is_some() || headers.get("Nats-Stream").is_some();
    message.status.is_some() || message.headers.as_ref().is_some_and(stored)
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
