"""Every subject and every schema, by nats-py: subjects.py document | subjects.py live URL | subjects.py kept URL.

Knows docs/asyncapi.yaml, docs/schemas and nats-py alone. `document` holds the document to the structure of AsyncAPI 3.0. `live` plays an
orchestrator and analytics beside an agent D that plays with pictures and a worker W, and hears everything: it ends when each message of the
document has been met and found as the document says. `kept` reads every stream to its end, as analytics would.
"""

import asyncio
import datetime
import json
import pathlib
import re
import sys

import nats
import yaml
from jsonschema import Draft202012Validator
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

WITHIN = 60
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
# Of a message on a subject that has thousands, so many are looked at.
LOOKED_AT = 10
# As MessagePack, which is not read here; tests/e2e/schemas.rs does.
NOT_MET = {"agent.frame"}
# Messages whose body may be anything.
ANY_BODY = {"health.request", "discovery.request", "dead.letter", "agent.frame.picture"}


class Document:
    """docs/asyncapi.yaml with the schemas that it refers to."""

    def __init__(self):
        self.text = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
        files = {f"schemas/{path.name}": json.loads(path.read_text()) for path in sorted((DOCS / "schemas").glob("*.json"))}
        resources = {**files, "asyncapi.yaml": self.text}
        self.files = set(files)
        self.registry = Registry().with_resources(
            (f"file:///docs/{name}", Resource.from_contents(contents, default_specification=DRAFT202012)) for name, contents in resources.items()
        )
        self.channels = self.text["channels"]
        self.messages = self.text["components"]["messages"]
        self.patterns = [
            (name, re.compile(self.pattern(channel["address"]))) for name, channel in self.channels.items() if channel["address"] is not None
        ]
        self.known = {}

    @staticmethod
    def pattern(address):
        parts = re.split(r"\{(\w+)\}", address)
        # What is not literal: one token, or in a dead letter all that the subject had.
        return "".join(re.escape(part) if n % 2 == 0 else (".+" if part == "subject" else "[^.]+") for n, part in enumerate(parts)) + "$"

    def channel_of(self, subject):
        if subject not in self.known:
            fitting = [name for name, pattern in self.patterns if pattern.match(subject)]
            assert len(fitting) == 1, f"{subject} is of {fitting}"
            self.known[subject] = fitting[0]
        return self.known[subject]

    def names(self, channel):
        return [reference["$ref"].rsplit("/", 1)[1] for reference in self.channels[channel]["messages"].values()]

    def problems(self, name, headers, value):
        message = self.messages[name]
        found = []
        for part, thing in (("headers", headers), ("payload", value)):
            if part in message:
                schema = {"$ref": f"file:///docs/asyncapi.yaml#/components/messages/{name}/{part}"}
                errors = Draft202012Validator(schema, registry=self.registry).iter_errors(thing)
                found += [f"{name} {part}: {error.json_path}: {error.message}" for error in errors]
        return found

    def check(self, channel, headers, body):
        """Which of the channel's messages it is: one of them, and no other."""
        headers = {name: value for name, value in (headers or {}).items()}
        kind = headers.get("Content-Type", "application/json")
        value = None
        if kind == "application/json" and body:
            try:
                value = json.loads(body)
            except ValueError:
                # A body that may be anything is one of a request, or of a message that was given up.
                assert channel in ("health", "discovery", "deadLetter"), f"{channel}: {body!r}"
        names = self.names(channel)
        trouble = {name: self.problems(name, headers, value) for name in names}
        fitting = [name for name in names if not trouble[name]]
        assert len(fitting) == 1, f"{channel} is {fitting}: {trouble} in {headers} {body[:2000]!r}"
        self.must_refuse(fitting[0], headers, value)
        return fitting[0]

    def must_refuse(self, name, headers, value):
        """A schema that took everything would prove nothing."""
        if name in ANY_BODY or value is None:
            return
        if name == "control.request":
            wrong = {**value, "agents": 7}
        else:
            # What it must have: an event its payload, what travels bare its first id.
            needed = next(key for key in ("payload", "agent_id", "evaluation_id", "metadata") if key in value)
            wrong = {key: inner for key, inner in value.items() if key != needed}
        assert self.problems(name, headers, wrong), f"{name} takes {wrong}"


# What the specification allows and demands of each object.
DESCRIBED = {"title", "summary", "description", "tags", "externalDocs", "bindings"}
INFO = {"title", "version", "description", "termsOfService", "contact", "license", "tags", "externalDocs"}
SERVER = {"host", "protocol", "protocolVersion", "pathname", "title", "summary", "description", "variables", "security", "tags", "externalDocs", "bindings"}
CHANNEL = DESCRIBED | {"address", "messages", "servers", "parameters"}
PARAMETER = {"enum", "default", "description", "examples", "location"}
OPERATION = DESCRIBED | {"action", "channel", "security", "traits", "messages", "reply"}
MESSAGE = DESCRIBED | {"headers", "payload", "correlationId", "contentType", "name", "examples", "traits"}


def document():
    """The document by itself: its structure, and that whatever it refers to is there."""
    known = Document()
    text = known.text

    def only(where, thing, allowed, required=()):
        assert isinstance(thing, dict), f"{where} is {thing!r}"
        strange = {key for key in thing if key not in allowed and not key.startswith("x-")}
        assert not strange and not set(required) - set(thing), f"{where} has {sorted(strange)}, lacks {sorted(set(required) - set(thing))}"

    def said(where, thing):
        assert thing.get("description", "").strip(), f"{where} has no description"

    root = {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"}
    only("the document", text, root, ("asyncapi", "info"))
    assert re.fullmatch(r"3\.0\.\d+", text["asyncapi"]), text["asyncapi"]
    only("info", text["info"], INFO, ("title", "version"))
    for name, server in text["servers"].items():
        only(f"server {name}", server, SERVER, ("host", "protocol"))
    parts = text["components"]
    only("components", parts, {"parameters", "messages", "schemas"})
    for kind in parts.values():
        assert all(re.fullmatch(r"[\w.-]+", name) for name in kind), list(kind)

    referred = set()

    def references(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                # A reference stands alone, and leads somewhere.
                assert set(value) == {"$ref"}, value
                known.registry.resolver("file:///docs/asyncapi.yaml").lookup(value["$ref"])
                referred.add(value["$ref"])
            for inner in value.values():
                references(inner)
        elif isinstance(value, list):
            for inner in value:
                references(inner)

    references(text)
    for name, channel in text["channels"].items():
        where = f"channel {name}"
        only(where, channel, CHANNEL, ("address", "messages"))
        said(where, channel)
        assert channel["messages"], f"{where} has no message"
        assert all(re.fullmatch(r"#/components/messages/[\w.-]+", reference["$ref"]) for reference in channel["messages"].values()), where
        expressions = re.findall(r"\{(\w+)\}", channel["address"] or "")
        assert sorted(expressions) == sorted(channel.get("parameters", {})), f"{where}: {expressions}"
    for name, parameter in parts["parameters"].items():
        only(f"parameter {name}", parameter, PARAMETER)
        said(f"parameter {name}", parameter)
    for name, message in parts["messages"].items():
        only(f"message {name}", message, MESSAGE, ("name", "payload"))
        if "$ref" not in message["payload"] and "properties" not in message["payload"]:
            said(f"message {name}'s payload", message["payload"])
        for part in ("headers", "payload"):
            if part in message:
                Draft202012Validator.check_schema(message[part])
    for name, schema in parts["schemas"].items():
        Draft202012Validator.check_schema(schema)
    replies = set()
    for name, operation in text["operations"].items():
        where = f"operation {name}"
        only(where, operation, OPERATION, ("action", "channel"))
        assert operation["action"] in ("send", "receive"), where
        assert operation["channel"]["$ref"] == f"#/channels/{name}", where
        assert operation["tags"] and all(set(tag) == {"name"} for tag in operation["tags"]), where
        if "reply" in operation:
            only(f"{where}'s reply", operation["reply"], {"address", "channel", "messages"}, ("channel",))
            replies.add(operation["reply"]["channel"]["$ref"].rsplit("/", 1)[1])
    nowhere = {name for name, channel in text["channels"].items() if channel["address"] is None}
    assert nowhere == replies, f"{nowhere} have no address, {replies} are replies"
    assert set(text["operations"]) == set(text["channels"]) - nowhere, "every channel has its operation"
    for kind, all_of in parts.items():
        unused = [name for name in all_of if f"#/components/{kind}/{name}" not in referred]
        assert not unused, f"{kind} {unused} are referred to by nothing"
    unused = known.files - {reference.removeprefix("./").split("#")[0] for reference in referred}
    assert not unused, f"{unused} are referred to by nothing"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


INSTANCE = "01890a5d-ac96-774b-bcce-b302099a8057"


def event(kind, payload, message_id):
    """An event of an orchestrator that is not ours."""
    trace_id = INSTANCE.replace("-", "")
    body = {"type": kind, "version": "1.0", "payload": payload, "trace_id": trace_id, "timestamp": payload["timestamp"]}
    headers = {"Content-Type": "application/json", "trace-id": trace_id, "timestamp": payload["timestamp"], "source-agent": "py"}
    return json.dumps(body).encode(), {**headers, "instance": INSTANCE, "Nats-Msg-Id": message_id}


def request(evaluation, generation):
    body = {"evaluation_id": evaluation, "generation_id": generation, "scenario": "basic", "policy": "cycle:NOOP", "seeds": [1], "frame_skip": 4}
    return json.dumps({**body, "set": {"episode_timeout": 60}}).encode()


class Everything:
    """What has been heard, held to the document."""

    def __init__(self):
        self.document = Document()
        self.looked = {}
        self.met = set()
        self.trouble = None

    async def hear(self, message):
        try:
            self.note(self.document.channel_of(message.subject), message)
        except Exception as trouble:  # noqa: BLE001: said by the main task
            self.trouble = self.trouble or trouble

    def note(self, channel, message):
        # A subject whose messages are of several kinds is looked at for longer.
        kind = (channel, (message.headers or {}).get("source-agent"), message.data[:12])
        self.looked[kind] = self.looked.get(kind, 0) + 1
        if self.looked[kind] <= LOOKED_AT:
            self.met.add((channel, self.document.check(channel, message.headers, message.data)))

    def missing(self):
        names = self.document.names
        wanted = {(channel, name) for channel in self.document.channels for name in names(channel) if name not in NOT_MET}
        return wanted - self.met

    async def all_met(self):
        async def wait():
            while self.trouble is None and self.missing():
                await asyncio.sleep(0.05)

        try:
            await asyncio.wait_for(wait(), WITHIN)
        except asyncio.TimeoutError:
            raise AssertionError(f"never met: {sorted(self.missing())}") from None
        if self.trouble is not None:
            raise self.trouble


async def live(url):
    """An orchestrator, analytics and a dashboard at once. D plays with pictures, W works, doomctl runs an experiment, A fails."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    everything = Everything()
    await connection.subscribe("clau-doom.>", cb=everything.hear, pending_msgs_limit=1 << 20, pending_bytes_limit=1 << 30)
    await connection.subscribe("$SRV.PING.doom-agent", cb=everything.hear)
    await connection.flush()
    print("ready", flush=True)

    async def ask(subject, body, channel):
        while True:
            try:
                # We hear all subjects ourselves, so the server never says that nobody is there yet.
                answer = await connection.request(subject, body, timeout=3)
            except nats.errors.TimeoutError:
                continue
            everything.note(channel, answer)
            return json.loads(answer.data)

    # The orchestrator looks who is there, asks, tells, and says how far a generation is.
    found = await ask("$SRV.PING.doom-agent", b"", "discoveryReply")
    assert found["metadata"]["root"] == "clau-doom", found
    assert (await ask("clau-doom.agent.D.health", b"any body", "healthReply"))["agent_id"] == "D"
    for subject, body, state in [
        ("clau-doom.agent.D.control.pause", {"reason": "a look"}, "paused"),
        ("clau-doom.system.control.resume", {"agents": ["D"]}, "running"),
    ]:
        told = await ask(subject, json.dumps(body).encode(), "controlReply")
        assert (told["agent_id"], told["ok"], told["state"]) == ("D", True, state), told
    at = now()
    for stage, payload in [
        ("start", {"population": 1, "episodes": 1, "number": 1}),
        ("evolve", {"next_generation_id": "g2", "selected": ["e1"], "method": "the best one"}),
        ("complete", {"evaluations_completed": 1, "evaluations_failed": 0, "best_evaluation_id": "e1", "best_fitness": -1.5}),
    ]:
        body, headers = event(f"generation.{stage}", {"generation_id": "g1", "timestamp": at, **payload}, f"g1-{stage}")
        for twice in (False, True):
            ack = await js.publish(f"clau-doom.generation.g1.{stage}", body, headers=headers)
            assert (ack.stream, bool(ack.duplicate)) == ("GENERATION_EVENTS", twice), ack
    while True:
        result = await ask("clau-doom.generation.g1.evaluate", request("e1", "g1"), "evaluationReply")
        if result["status"] != "busy":
            break
    assert result["status"] == "complete", result
    ack = await js.publish("clau-doom.evaluation.queued.g1.e2", request("e2", "g1"))
    assert ack.stream == "EVALUATIONS", ack

    # Analytics gives a score up, as docs/MESSAGING.md says: the copy is acknowledged before the original is terminated.
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_deliver=10, deliver_policy=DeliverPolicy.ALL)
    analytics = await js.pull_subscribe("clau-doom.agent.*.score", durable="analytics", stream="AGENT_RECORDS", config=config)
    (score,) = await analytics.fetch(1, timeout=WITHIN)
    place = score.metadata
    headers = {name: value for name, value in score.headers.items() if not name.lower().startswith("nats-")}
    headers |= {
        "dead-letter-subject": score.subject,
        "dead-letter-stream": place.stream,
        "dead-letter-sequence": str(place.sequence.stream),
        "dead-letter-consumer": place.consumer,
        "dead-letter-deliveries": str(place.num_delivered),
        "dead-letter-error": "no such column",
        "dead-letter-msg-id": score.headers["Nats-Msg-Id"],
        "Nats-Msg-Id": f"dead-{place.stream}-{place.sequence.stream}-{place.consumer}-{int(place.timestamp.timestamp() * 1e9)}",
    }
    ack = await js.publish("clau-doom.deadletter." + score.subject.removeprefix("clau-doom."), score.data, headers=headers)
    assert ack.stream == "DEAD_LETTERS", ack
    await score.term()

    await everything.all_met()
    await connection.close()


async def kept(url):
    """Analytics reads every stream to its end, in batches; each message is as the document says, and each record is in a stream."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    everything = Everything()
    for stream in await js.streams_info():
        name = stream.config.name
        if name == "EVALUATIONS":
            continue  # a work queue: reading it would be taking it
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL)
        reader = await js.pull_subscribe(">", durable="reader", stream=name, config=config)
        left = stream.state.messages
        while left:
            for message in await reader.fetch(min(left, 500), timeout=WITHIN):
                if not message.subject.startswith("$JS."):
                    everything.note(everything.document.channel_of(message.subject), message)
                await message.ack()
                left -= 1
    channels = everything.document.channels
    # A request in the work queue is gone when it is answered.
    records = {name for name, channel in channels.items() if channel["description"].endswith("(record)")} - {"queued"}
    missing = records - {channel for channel, _ in everything.met}
    assert not missing, f"in no stream: {sorted(missing)}"
    for name in ("frame", "heartbeat", "evaluate", "evaluationProgress", "health", "agentControl", "systemControl"):
        assert name not in {channel for channel, _ in everything.met}, f"{name} is in a stream"
    await connection.close()


pattern, *url = sys.argv[1:]
if pattern == "document":
    document()
else:
    asyncio.run(asyncio.wait_for({"live": live, "kept": kept}[pattern](*url), 400))
print(pattern)
