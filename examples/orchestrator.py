"""An orchestrator in another language: spawns agents by the Docker Engine's API, steers them over NATS, and accounts for every score.

    docker compose up --detach nats doomctl             # a broker; or any other, with the streams of clau-doom
    vendor/python/bin/python examples/orchestrator.py --network doom-agent_default \
        --user agents --password agents --operator operator --operator-password operator

It spawns eight agents of one experiment (two seeds, four frame skips), each with a volume of its own, waits until all are ready, pauses one, shuts
one down, kills one and replaces it on its volume, lets the rest play a number of episodes, stops all within ten seconds, and then reads the
stream: every episode that an agent has finished stands there once, and the one that was killed has left its open episode as `agent_lost`.

It needs nats-py. The Docker Engine's API is spoken in plain HTTP over its socket, to show that there is nothing to it.
"""

import argparse
import asyncio
import collections
import http.client
import json
import os
import socket
import sys
import time
import urllib.parse
import uuid

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

AGENTS = 8
STOP_WITHIN = 10


class Docker:
    """The Docker Engine's API, as far as it is needed here."""

    class _Connection(http.client.HTTPConnection):
        def __init__(self, path):
            super().__init__("docker")
            self.path = path

        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(self.path)

    def __init__(self, path):
        self.path = path

    def _call(self, method, path, body):
        connection = self._Connection(self.path)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, "/v1.41" + path, text, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            data = reply.read()
        finally:
            connection.close()
        # 304: it is in that state already.
        if reply.status >= 400:
            raise RuntimeError(f"{method} {path}: {reply.status} {data.decode(errors='replace').strip()}")
        return json.loads(data) if data.strip().startswith((b"{", b"[")) else None

    async def call(self, method, path, body=None):
        """One request; it may take as long as a container's stop, so others go on meanwhile."""
        return await asyncio.to_thread(self._call, method, path, body)

    async def spawn(self, name, image, environment, network, volume, labels):
        """Creates and starts a container as an agent's ought to be; its id."""
        made = await self.call("POST", "/containers/create?" + urllib.parse.urlencode({"name": name}), {
            "Image": image,
            "Env": [f"{key}={value}" for key, value in environment.items()],
            "Labels": labels,
            "StopTimeout": STOP_WITHIN,
            "HostConfig": {
                "NetworkMode": network,
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "Mounts": [{"Type": "volume", "Source": volume, "Target": "/var/lib/doom-agent", "VolumeOptions": {"Labels": labels}}],
                "ShmSize": 64 << 20,
                "Memory": 256 << 20,
                "NanoCpus": 1_000_000_000,
            },
        })
        await self.call("POST", f"/containers/{made['Id']}/start")
        return made["Id"]


class Population:
    """Agents by their ids, what they say of themselves, and the containers that they are in."""

    def __init__(self, options, docker, connection):
        self.options, self.docker, self.nc = options, docker, connection
        self.run = uuid.uuid4().hex[:8]
        self.experiment = f"doe-{self.run}"
        self.labels = dict(label.split("=", 1) for label in options.label) | {"clau-doom.experiment": self.experiment}
        self.containers = {}
        self.said = collections.defaultdict(list)
        self.news = asyncio.Condition()

    async def listen(self):
        async def lifecycle(message):
            payload = json.loads(message.data)["payload"]
            async with self.news:
                self.said[payload["agent_id"]].append(payload)
                self.news.notify_all()

        await self.nc.subscribe("clau-doom.system.doom_agent.lifecycle", cb=lifecycle)
        await self.nc.flush()

    async def heard(self, agent, state, times=1, within=60):
        """Waits until the agent has said so often that it is in this state."""
        def count():
            return sum(said["state"] == state for said in self.said[agent])

        async with self.news:
            await asyncio.wait_for(self.news.wait_for(lambda: count() >= times), within)

    async def spawn(self, number):
        """Agent `number` of the experiment: its run, and by it its conditions."""
        agent = f"{self.run}-{number}"
        environment = {
            "AGENT_ID": agent,
            "NATS_URL": self.options.agents_nats,
            "SCENARIO": "basic.cfg",
            "SEED": [42, 1042][number // 4],
            "DOOM_AGENT_FRAME_SKIP": [1, 2, 4, 8][number % 4],
            "DOOM_AGENT_SET": "episode_timeout=70",
            "DOOM_AGENT_PACE": "realtime",
            "DOOM_AGENT_EXPERIMENT": self.experiment,
            "DOOM_AGENT_RUN": number,
        }
        if self.options.user:
            environment |= {"DOOM_AGENT_NATS_USER": self.options.user, "DOOM_AGENT_NATS_PASSWORD": self.options.password}
        attempt = sum(said["state"] == "ready" for said in self.said[agent])
        name = f"doom-{agent}" + (f"-{attempt}" if attempt else "")
        self.containers[agent] = await self.docker.spawn(
            name, self.options.image, environment, self.options.network, f"doom-{agent}", self.labels
        )
        return agent

    async def control(self, agent, verb, **body):
        """Commands one agent, and returns what it replies once it has obeyed."""
        reply = await self.nc.request(f"clau-doom.agent.{agent}.control.{verb}", json.dumps(body).encode(), timeout=10)
        reply = json.loads(reply.data)
        if not reply["ok"]:
            raise RuntimeError(f"{agent} does not {verb}: {reply}")
        return reply

    async def exit_code(self, agent):
        waited = await self.docker.call("POST", f"/containers/{self.containers[agent]}/wait")
        return waited["StatusCode"]

    async def remove(self):
        """Everything of this run, whatever state it is in."""
        filters = urllib.parse.quote(json.dumps({"label": [f"clau-doom.experiment={self.experiment}"]}))
        for container in await self.docker.call("GET", f"/containers/json?all=1&filters={filters}"):
            await self.docker.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for volume in (await self.docker.call("GET", f"/volumes?filters={filters}"))["Volumes"] or []:
            await self.docker.call("DELETE", f"/volumes/{volume['Name']}")


async def scores(nc, stream, agents):
    """Every score of these agents that the stream holds, in its order: (message id, instance, payload)."""
    js = nc.jetstream()
    found = []
    for agent in agents:
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, inactive_threshold=30)
        consumer = await js.pull_subscribe(f"clau-doom.agent.{agent}.score", stream=stream, config=config)
        left = (await consumer.consumer_info()).num_pending
        while left:
            for message in await consumer.fetch(min(left, 200), timeout=10):
                left = message.metadata.num_pending
                found.append((message.headers["Nats-Msg-Id"], message.headers["instance"], json.loads(message.data)["payload"]))
        await consumer.unsubscribe()
    return found


async def play(population, options):
    """What this page promises, step by step; the agents."""
    agents = await asyncio.gather(*(population.spawn(number) for number in range(AGENTS)))
    await asyncio.gather(*(population.heard(agent, "ready") for agent in agents))
    print(f"ready: {AGENTS} agents of experiment {population.experiment}")

    print("paused:", await population.control(agents[0], "pause", reason="to look at it"))
    print("shut down:", await population.control(agents[1], "shutdown", deadline_ms=8000), "exit", await population.exit_code(agents[1]))

    # Not before it has a score to account for.
    while not await scores(population.nc, options.stream, agents[2:3]):
        await asyncio.sleep(0.2)
    await population.docker.call("POST", f"/containers/{population.containers[agents[2]]}/kill?signal=KILL")
    print("killed:", agents[2], "exit", await population.exit_code(agents[2]))
    await population.docker.call("DELETE", f"/containers/{population.containers[agents[2]]}?force=1")
    await population.spawn(2)
    await population.heard(agents[2], "ready", times=2)
    print("replaced:", agents[2], "on its volume")
    print("resumed:", await population.control(agents[0], "resume"))

    # An experiment's run is done when the stream, not a subscriber, has its episodes.
    playing = [agent for agent in agents if agent != agents[1]]
    until = time.monotonic() + options.within
    while True:
        stored = collections.Counter(payload["run_id"] for _, _, payload in await scores(population.nc, options.stream, playing))
        if all(stored[agents.index(agent)] >= options.episodes for agent in playing):
            break
        if time.monotonic() > until:
            raise RuntimeError(f"not every run has {options.episodes} episodes within {options.within} s: {dict(stored)}")
        await asyncio.sleep(1)

    began = time.monotonic()
    stops = (population.docker.call("POST", f"/containers/{population.containers[agent]}/stop?t={STOP_WITHIN}") for agent in playing)
    await asyncio.gather(*stops)
    took = time.monotonic() - began
    codes = {agent: await population.exit_code(agent) for agent in agents}
    print(f"stopped: all within {took:.1f} s, exit codes {sorted(codes.values())}")
    if took > STOP_WITHIN + 2 or any(codes.values()):
        raise RuntimeError(f"not all agents ended in order within {STOP_WITHIN} s: {took:.1f} s, {codes}")
    return agents


async def account(population, options, agents):
    """Every episode of every instance is stored once; says the experiment's outcome."""
    for agent in agents:
        await population.heard(agent, "stopped")
    # A stream that sources another is a moment behind it.
    expected = sum(said["ledger"]["stored"] for agent in agents for said in population.said[agent] if said["state"] == "stopped")
    lost = any(said["records"]["lost"] or said["records"]["spooled"] > 1 for said in sum(population.said.values(), []) if said["state"] == "stopped")
    for _ in range(100):
        all_scores = await scores(population.nc, options.stream, agents)
        instances = collections.defaultdict(list)
        for _, instance, payload in all_scores:
            instances[instance].append(payload["episode_number"])
        if all(numbers == list(range(1, len(numbers) + 1)) for numbers in instances.values()) and len(instances) == AGENTS + 1:
            break
        await asyncio.sleep(0.1)
    ids = {message_id for message_id, _, _ in all_scores}
    for instance, numbers in instances.items():
        if numbers != list(range(1, len(numbers) + 1)):
            raise RuntimeError(f"{instance} has episodes {numbers}")
    if len(ids) != len(all_scores) or len(instances) != AGENTS + 1 or lost:
        raise RuntimeError(f"{len(all_scores)} scores with {len(ids)} ids of {len(instances)} instances, records lost: {lost}")
    ends = collections.Counter(payload["end_reason"] for _, _, payload in all_scores)
    print(f"accounted for: {len(all_scores)} scores of {len(instances)} instances, each once; ends {dict(ends)}; the agents' ledgers: {expected} records stored")
    by_skip = collections.defaultdict(list)
    for _, _, payload in all_scores:
        if payload["end_reason"] not in ("aborted", "agent_lost"):
            by_skip[payload["frame_skip"]].append(payload["total_reward"])
    print(f"{'frame skip':>10} {'episodes':>9} {'mean reward':>12}")
    for skip, rewards in sorted(by_skip.items()):
        print(f"{skip:>10} {len(rewards):>9} {sum(rewards) / len(rewards):>12.1f}")


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats", default="nats://127.0.0.1:4222", help="where we reach the broker")
    parser.add_argument("--agents-nats", default="nats://nats:4222", help="where the agents do, from their network")
    parser.add_argument("--network", default="bridge", help="the Docker network that the agents are put into")
    parser.add_argument("--image", default="doom-agent:latest")
    parser.add_argument("--stream", default="AGENT_RECORDS", help="where the results are read")
    parser.add_argument("--episodes", type=int, default=3, help="of each agent, before all are stopped")
    parser.add_argument("--within", type=float, default=120, help="seconds that these may take")
    parser.add_argument("--user", help="the agents' login")
    parser.add_argument("--password")
    parser.add_argument("--operator", help="ours")
    parser.add_argument("--operator-password")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="on every container and volume")
    parser.add_argument("--socket", default=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    options = parser.parse_args()

    nc = await nats.connect(options.nats, user=options.operator, password=options.operator_password)
    population = Population(options, Docker(options.socket), nc)
    await population.listen()
    try:
        agents = await play(population, options)
        await account(population, options, agents)
    finally:
        await population.remove()
        await nc.drain()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
