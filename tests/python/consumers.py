"""Reads an agent's streams as the dashboard bridge, analytics and the orchestrator would: consumers.py PATTERN URL.

Knows the wire's contract and nats-py alone. Each pattern is a function; it fails with an assertion where the streams or the agent do not keep
their word. The agent A must be playing (the patterns that follow it say so) or have played six episodes.
"""

import asyncio
import datetime
import json
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy

WITHIN = 40
# nats-py says it by an error of its own that is one of these, and now and then by one of these itself.
NothingCame = asyncio.TimeoutError
ACTION = "clau-doom.agent.*.action"
SCORE = "clau-doom.agent.*.score"


def body(message):
    event = json.loads(message.data)
    assert sorted(event) == ["payload", "timestamp", "trace_id", "type", "version"], event
    assert message.headers["source-agent"] == event["payload"]["agent_id"] == "A"
    return event


async def take(queue, count):
    return [await asyncio.wait_for(queue.get(), WITHIN) for _ in range(count)]


async def durable_push(url):
    """The dashboard bridge: pushed every action, acknowledges it, is restarted, and goes on where it stopped. The agent is playing."""
    config = ConsumerConfig(ack_wait=2, max_ack_pending=512)
    last = 0
    for run in range(2):
        connection = await nats.connect(url)
        queue = asyncio.Queue()
        subscription = await connection.jetstream().subscribe(
            ACTION, durable="dashboard", stream="AGENT_EVENTS", cb=queue.put, manual_ack=True, config=config, deliver_policy=DeliverPolicy.ALL
        )
        acknowledged = []
        while len(acknowledged) < 50:
            (message,) = await take(queue, 1)
            place = message.metadata.sequence.stream
            assert body(message)["type"] == "agent.action"
            await message.ack_sync(timeout=WITHIN)
            acknowledged.append(place)
        new = sorted(set(acknowledged))
        assert new[0] > last, f"run {run} was given {new[0]} again, which had been acknowledged up to {last}"
        if run == 1:
            # Actions stand among observations: nothing that was not acknowledged may have been left out.
            info = await connection.jetstream().consumer_info("AGENT_EVENTS", "dashboard")
            assert info.ack_floor.stream_seq >= last, info
        last = max(last, new[-1])
        await connection.close()
        del subscription


async def pull_fetch(url):
    """Analytics: fetches scores in batches with a deadline, in two runs; every episode once. The agent has played six."""
    episodes = []
    for size in (4, 10):
        connection = await nats.connect(url)
        analytics = await connection.jetstream().pull_subscribe(SCORE, durable="analytics", stream="AGENT_RECORDS")
        while True:
            try:
                batch = await analytics.fetch(size, timeout=2)
            except NothingCame:
                # Nothing more, or a machine that is busy with something else.
                info = await analytics.consumer_info()
                if len(episodes) >= 6 and info.num_pending == info.num_ack_pending == 0:
                    break
                continue
            for message in batch:
                event = body(message)
                assert event["type"] == "agent.score" and message.headers["Nats-Msg-Id"]
                episodes.append(event["payload"]["episode_number"])
                await message.ack_sync(timeout=WITHIN)
            if len(episodes) == 4:
                break
        await connection.close()
    assert episodes == [1, 2, 3, 4, 5, 6], episodes


async def queue_subscribe(url):
    """Workers that share the load: a core queue group, and a durable one whose members acknowledge. The agent is playing."""
    first, second, alone = [await nats.connect(url) for _ in range(3)]
    shares, everything = [[], []], []

    def into(place):
        async def note(message):
            place.append((message.headers["instance"], int(message.headers["seq"])))

        return note

    for connection, share in zip((first, second), shares):
        await connection.subscribe(ACTION, queue="eval-workers", cb=into(share))
        await connection.flush()
    await alone.subscribe(ACTION, cb=into(everything))
    await alone.flush()

    async def until(condition):
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(until(lambda: all(len(share) > 20 for share in shares) and len(everything) > 100), WITHIN)
    together = shares[0] + shares[1]
    assert len(together) == len(set(together)), "an action went to two workers of one group"
    # What one that shares with nobody heard in between, the group has had too.
    some = set(everything[10:60])
    await asyncio.wait_for(until(lambda: some <= set(shares[0] + shares[1])), WITHIN)

    # The same from the stream: the group is durable, and what a member does not acknowledge goes to another.
    queues = [asyncio.Queue(), asyncio.Queue()]
    for connection, queue in zip((first, second), queues):
        await connection.jetstream().subscribe(
            ACTION, queue="recorders", stream="AGENT_EVENTS", cb=queue.put, manual_ack=True,
            config=ConsumerConfig(ack_wait=1, max_ack_pending=64),
        )
    mine = (await take(queues[0], 1))[0]
    lost = mine.metadata.sequence.stream
    theirs = None
    while theirs is None:
        for queue in queues:
            while not queue.empty():
                message = queue.get_nowait()
                if message.metadata.sequence.stream == lost:
                    theirs = message
                await message.ack()
        await asyncio.sleep(0.01)
    assert theirs.metadata.num_delivered > 1
    for connection in (first, second, alone):
        await connection.close()


async def replay(url):
    """Analytics looks back: from a sequence, from a time, at the original pace. The agent has played six episodes."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    state = (await js.stream_info("AGENT_RECORDS")).state

    async def read(config, subject=SCORE):
        subscription = await js.subscribe(subject, stream="AGENT_RECORDS", ordered_consumer=True, config=config)
        messages = [await subscription.next_msg(timeout=WITHIN)]
        while messages[-1].metadata.num_pending:
            messages.append(await subscription.next_msg(timeout=WITHIN))
        await subscription.unsubscribe()
        return messages

    def numbers(messages):
        return [body(message)["payload"]["episode_number"] for message in messages]

    everything = await read(ConsumerConfig(deliver_policy=DeliverPolicy.ALL))
    assert numbers(everything) == [1, 2, 3, 4, 5, 6]
    third = everything[2].metadata.sequence.stream
    late = await read(ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=third))
    assert numbers(late) == [3, 4, 5, 6]
    fourth, fifth = (message.metadata.timestamp for message in everything[3:5])
    assert fifth > fourth > datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    when = fourth + (fifth - fourth) / 2
    later = await read(ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=when))
    assert numbers(later) == [5, 6]
    began = asyncio.get_running_loop().time()
    paced = await read(ConsumerConfig(deliver_policy=DeliverPolicy.ALL, replay_policy=ReplayPolicy.ORIGINAL))
    took = asyncio.get_running_loop().time() - began
    apart = (everything[-1].metadata.timestamp - everything[0].metadata.timestamp).total_seconds()
    assert numbers(paced) == [1, 2, 3, 4, 5, 6]
    assert took >= 0.8 * apart, f"{took} s for what took {apart} s"
    assert state.messages >= 6
    await connection.close()


async def nak(url):
    """An orchestrator that cannot deal with a score now gives it back, at once or for later, and keeps it while it works. The agent has played six."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=2, deliver_policy=DeliverPolicy.ALL)
    orchestrator = await js.pull_subscribe(SCORE, durable="orchestrator", stream="AGENT_RECORDS", config=config)
    others = []

    async def come_again():
        # The server puts what is given back before what is new, but not before what it has handed out already.
        while True:
            (message,) = await orchestrator.fetch(1, timeout=WITHIN)
            if message.metadata.num_delivered > 1:
                return message
            others.append(message.metadata.sequence.stream)
            await message.ack_sync(timeout=WITHIN)

    (first,) = await orchestrator.fetch(1, timeout=WITHIN)
    loop = asyncio.get_running_loop()
    await first.nak()
    again = await come_again()
    assert again.metadata.sequence.stream == first.metadata.sequence.stream and again.metadata.num_delivered == 2
    began = loop.time()
    await again.nak(delay=1.5)
    late = await come_again()
    assert late.metadata.sequence.stream == first.metadata.sequence.stream and late.metadata.num_delivered == 3
    assert loop.time() - began >= 1.4, "it came before its delay"
    assert len(others) == len(set(others)) == 5, others
    # Work that takes longer than ack_wait, and says so.
    for _ in range(4):
        await asyncio.sleep(1)
        await late.in_progress()
    await late.ack_sync(timeout=WITHIN)
    info = await orchestrator.consumer_info()
    assert (info.num_pending, info.num_ack_pending) == (0, 0), info
    await connection.close()


async def term(url):
    """What can never be dealt with is ended for good; the stream keeps it. The agent has played six episodes."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    advisories = await connection.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.AGENT_RECORDS.critic")
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=1, deliver_policy=DeliverPolicy.ALL)
    critic = await js.pull_subscribe(SCORE, durable="critic", stream="AGENT_RECORDS", config=config)
    messages = await critic.fetch(6, timeout=WITHIN)
    while len(messages) < 6:
        messages += await critic.fetch(6 - len(messages), timeout=WITHIN)
    await messages[0].term()
    for message in messages[1:]:
        await message.ack_sync(timeout=WITHIN)
    advisory = json.loads((await advisories.next_msg(timeout=WITHIN)).data)
    assert advisory["stream_seq"] == messages[0].metadata.sequence.stream, advisory
    try:
        raise AssertionError(f"{(await critic.fetch(1, timeout=3))[0]} was delivered again")
    except NothingCame:
        pass
    kept = await js.get_msg("AGENT_RECORDS", seq=messages[0].metadata.sequence.stream)
    assert json.loads(kept.data)["payload"]["episode_number"] == 1
    await connection.close()


async def exhaust(url):
    """A consumer that knows nothing of dead letters: it gives the first score back until the server gives it up. The agent has played six."""
    connection = await nats.connect(url)
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_deliver=2, deliver_policy=DeliverPolicy.ALL)
    stubborn = await connection.jetstream().pull_subscribe(SCORE, durable="stubborn", stream="AGENT_RECORDS", config=config)
    refused, taken = 0, 0
    while refused < 2 or taken < 5:
        for message in await stubborn.fetch(1, timeout=WITHIN):
            if body(message)["payload"]["episode_number"] == 1:
                await message.nak()
                refused += 1
            else:
                await message.ack_sync(timeout=WITHIN)
                taken += 1
    try:
        # The server looks at its limit where it would deliver the next time.
        raise AssertionError(f"{await stubborn.fetch(1, timeout=2)} is a third delivery")
    except NothingCame:
        pass
    await connection.close()


async def given_back(url):
    """What was given up comes again, as one more message of its subject that says what it was. The agent has played six episodes."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    first = await js.get_msg("AGENT_RECORDS", seq=1)
    orchestrator = await js.pull_subscribe(SCORE, durable="orchestrator", stream="AGENT_RECORDS")
    numbers = []
    while len(numbers) < 7:
        (message,) = await orchestrator.fetch(1, timeout=WITHIN)
        numbers.append(body(message)["payload"]["episode_number"])
        await message.ack_sync(timeout=WITHIN)
    assert numbers == [1, 2, 3, 4, 5, 6, 1], numbers
    assert message.data == first.data and message.headers["dead-letter-redrives"] == "1", message.headers
    assert message.headers["dead-letter-msg-id"] == first.headers["Nats-Msg-Id"] != message.headers["Nats-Msg-Id"], message.headers
    await connection.close()


PATTERNS = {f.__name__: f for f in (durable_push, pull_fetch, queue_subscribe, replay, nak, term, exhaust, given_back)}
pattern, url = sys.argv[1:]
asyncio.run(asyncio.wait_for(PATTERNS[pattern](url), 120))
print(pattern)
