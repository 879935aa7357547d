"""Follows and steers one agent over NATS: client.py URL AGENT BACKEND.

Knows the wire's contract and nothing else. Fails with an assertion where the agent does not keep it.
"""

import asyncio
import json
import sys

import nats

WITHIN = 40


class Client:
    def __init__(self, connection, agent):
        self.nats = connection
        self.agent = agent
        self.events = asyncio.Queue()

    async def ask(self, leaf, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self.nats.request(f"clau-doom.agent.{self.agent}.{leaf}", data, timeout=WITHIN)
        assert not answer.headers, "a reply is bare JSON"
        return json.loads(answer.data)

    async def next(self, leaf=None, seq=None):
        """The next event of this kind."""
        while True:
            message = await asyncio.wait_for(self.events.get(), WITHIN)
            kind = message.subject.rsplit(".", 1)[1]
            if "seq" in (message.headers or {}) and leaf in (None, kind) and seq in (None, int(message.headers["seq"])):
                return kind, message.headers, json.loads(message.data)


async def main(url, agent, backend):
    connection = await nats.connect(url)
    client = Client(connection, agent)
    # One subscription: only within one does a client keep the server's order. Our own health requests come along.
    await connection.subscribe(f"clau-doom.agent.{agent}.*", cb=client.events.put)
    await connection.flush()

    # Follow.
    _, headers, first = await client.next("observe")
    assert sorted(first) == ["payload", "timestamp", "trace_id", "type", "version"], first
    assert (first["type"], first["version"]) == ("agent.observe", "1.0")
    assert headers["backend"] == backend and headers["source-agent"] == agent
    assert headers["timestamp"] == first["timestamp"] == first["payload"]["timestamp"]
    step, tic = first["payload"]["step"], first["payload"]["tic"]
    for _ in range(20):
        _, _, action = await client.next("action")
        _, _, observe = await client.next("observe")
        if action["payload"]["step"] != step + 1:
            break  # a new episode
        assert action["payload"]["tic"] == tic, "decided on the observation before"
        assert observe["payload"]["step"] == step + 1
        assert isinstance(observe["payload"]["variables"]["HEALTH"], float)
        step, tic = observe["payload"]["step"], observe["payload"]["tic"]

    # Health.
    health = await client.ask("health")
    assert health["agent_id"] == agent and health["healthy"] is True and health["state"] == "running", health
    assert isinstance(health["uptime"], int) and health["backend"] == backend

    # Pause and go on.
    paused = await client.ask("control.pause", {"reason": "a look", "agents": [agent]})
    assert paused["ok"] is True and paused["state"] == "paused", paused
    health = await client.ask("health")
    assert (health["state"], health["tic"]) == ("paused", paused["tic"])
    last = health["ledger"]["produced"]
    resumed = await client.ask("control.resume")
    assert resumed["ok"] is True and resumed["state"] == "running", resumed
    await client.next(seq=last + 1)

    # What makes no sense is refused and changes nothing.
    refused = await client.ask("control.dance")
    assert refused["ok"] is False and refused["error"], refused

    # End.
    stopped = await connection.subscribe("clau-doom.system.doom_agent.lifecycle")
    ended = await client.ask("control.shutdown", {"deadline_ms": 5000})
    assert ended["ok"] is True, ended
    kind, headers, _ = await client.next("score")
    assert headers["Nats-Msg-Id"]
    while True:
        word = json.loads((await stopped.next_msg(timeout=WITHIN)).data)["payload"]
        if word["state"] == "stopped":
            break
    assert word["exit_code"] == 0 and word["ledger"]["unconfirmed"] == 0, word
    await connection.close()
    print("followed, paused, resumed and ended")


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 120))
