"""Asks an agent how it is, again and again, as an orchestrator would: health.py URL AGENT TIMES.

Every answer must be the agent's own, also where the server has streams.
"""

import asyncio
import json
import sys

import nats

WITHIN = 60


async def main(url, agent, times):
    connection = await nats.connect(url)
    subject = f"clau-doom.agent.{agent}.health"
    instances, uptimes = set(), []
    for number in range(int(times)):
        answer = await connection.request(subject, b"" if number % 2 else b'{"any":"body"}', timeout=WITHIN)
        health = json.loads(answer.data)
        assert "stream" not in health and "seq" not in health, f"answer {number} is a stream's: {health}"
        assert health["agent_id"] == agent and health["healthy"] is True, f"answer {number}: {health}"
        instances.add(health["instance"])
        uptimes.append(health["uptime"])
    assert len(instances) == 1 and uptimes == sorted(uptimes), instances
    # And all at once.
    answers = await asyncio.gather(*(connection.request(subject, b"", timeout=WITHIN) for _ in range(100)))
    assert all(json.loads(a.data)["agent_id"] == agent for a in answers)
    await connection.drain()
    print(f"{len(uptimes)} answers of {agent}")


asyncio.run(main(*sys.argv[1:]))
