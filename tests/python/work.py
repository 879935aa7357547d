"""Asks for evaluations, and plays them, as clients that are not ours do: work.py PATTERN URL.

Knows the wire's contract (docs/EXPERIMENTS.md) and nats-py alone. `ask` and `queue` need a worker, `doom-agent serve`; `group_worker` and
`queue_worker` are workers themselves: they say `ready`, answer what the pattern says, and end.
"""

import asyncio
import datetime
import json
import sys

import nats
from nats.errors import NoRespondersError

WITHIN = 60
WORKERS = "eval-workers"


def request(evaluation, **more):
    body = {"evaluation_id": evaluation, "generation_id": "g1", "scenario": "basic", "policy": "cycle:NOOP", "seeds": [10, 20, 30]}
    return {**body, "frame_skip": 4, "set": {"episode_timeout": 120}, **more}


def encoded(body):
    return json.dumps(body).encode()


def told(message, kind):
    """The payload of an event about work."""
    event = json.loads(message.data)
    assert sorted(event) == ["payload", "timestamp", "trace_id", "type", "version"], event
    assert event["type"] == kind and message.headers["source-agent"] == event["payload"]["agent_id"], event
    return event["payload"]


def whole(result, evaluation):
    assert (result["ok"], result["status"], result["evaluation_id"]) == (True, "complete", evaluation), result
    assert (result["episodes_completed"], result["episodes_total"]) == (3, 3), result
    assert [(score["evaluation_episode"], score["seed"]) for score in result["scores"]] == [(1, 10), (2, 20), (3, 30)], result
    assert all(score["end_reason"] == "timeout" and score["generation_id"] == "g1" for score in result["scores"]), result


async def answered(connection, body):
    """The queue group's answer, asked again where all are busy or nobody listens yet."""
    while True:
        try:
            answer = await connection.request(f"clau-doom.generation.{body['generation_id']}.evaluate", encoded(body), timeout=WITHIN)
        except NoRespondersError:
            await asyncio.sleep(0.05)
            continue
        result = json.loads(answer.data)
        if result["status"] != "busy":
            return result


async def progress_to_the_end(progress):
    counts = []
    while not counts or counts[-1] < 3:
        step = told(await progress.next_msg(timeout=WITHIN), "evaluation.progress")
        assert step["episodes_total"] == 3 and step["generation_id"] == "g1", step
        counts.append(step["episodes_completed"])
    assert counts == sorted(counts), counts


async def ask(url):
    """A request of the queue group: its progress, its answer, and what the streams keep of it."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    progress = await connection.subscribe("clau-doom.generation.g1.evaluation.e1.progress")
    await connection.flush()
    result = await answered(connection, request("e1", experiment_id="x", run_id=7))
    whole(result, "e1")
    assert (result["experiment_id"], result["run_id"]) == ("x", 7)
    await progress_to_the_end(progress)
    kept = await js.get_last_msg("GENERATION_EVENTS", "clau-doom.generation.g1.evaluation.e1.result")
    assert told(kept, "evaluation.result") == result
    for score in result["scores"]:
        place = score["evaluation_episode"]
        copy = await js.get_last_msg("GENERATION_EVENTS", f"clau-doom.generation.g1.evaluation.e1.episode.{place}")
        assert told(copy, "evaluation.episode") == score
    # Asked again, nothing is played; and what cannot be played is refused.
    again = await answered(connection, request("e1", experiment_id="x", run_id=7))
    whole(again, "e1")
    assert again["episodes_skipped"] == 3, again
    refused = await answered(connection, request("e0", scenario="no_such_game"))
    assert (refused["ok"], refused["status"]) == (False, "refused") and "no_such_game" in refused["error"], refused
    await connection.close()


async def queue(url):
    """An evaluation that waits in the work queue until a worker has it: its progress, its result, and that it leaves the queue."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    progress = await connection.subscribe("clau-doom.generation.g1.evaluation.e2.progress")
    results = await connection.subscribe("clau-doom.generation.g1.evaluation.*.result")
    await connection.flush()
    ack = await js.publish("clau-doom.evaluation.queued.g1.e2", encoded(request("e2")))
    assert ack.stream == "EVALUATIONS", ack
    result = told(await results.next_msg(timeout=WITHIN), "evaluation.result")
    whole(result, "e2")
    # More than once where the engine has failed meanwhile.
    assert result["delivery"] >= 1, result
    await progress_to_the_end(progress)
    # What is no request is refused, under the ids of its subject, and does not come again.
    await js.publish("clau-doom.evaluation.queued.g1.e3", b"no request")
    refused = told(await results.next_msg(timeout=WITHIN), "evaluation.result")
    assert (refused["evaluation_id"], refused["status"]) == ("e3", "refused"), refused

    async def empty():
        while (await js.stream_info("EVALUATIONS")).state.messages:
            await asyncio.sleep(0.05)

    await asyncio.wait_for(empty(), WITHIN)
    await connection.close()


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


INSTANCE = "01890a5d-ac96-774b-bcce-b302099a8057"


def score(asked, place):
    """The record of an episode that this worker says it has played."""
    at = now()
    return {
        "agent_id": "py", "timestamp": at, "episode_id": f"{INSTANCE}-{place:06}", "generation_id": asked["generation_id"],
        "evaluation_id": asked["evaluation_id"], "evaluation_episode": place, "episode_number": place, "seed": asked["seeds"][place - 1],
        "scenario": asked["scenario"], "scenario_sha256": "0" * 64, "policy": asked["policy"], "policy_sha256": "0" * 64, "backend": "mock",
        "engine_version": "python", "end_reason": "timeout", "total_reward": -1.5, "steps": 30, "tics": 120, "frame_skip": asked["frame_skip"],
        "survival_seconds": 120 / 35, "kills": 0, "kill_rate": 0.0, "damage_dealt": 0.0, "damage_taken": 0.0, "hits": 0, "items": 0,
        "ammo_used": 0.0, "ammo_efficiency": 0.0, "cells_visited": 1, "final_variables": {"HEALTH": 100.0},
        "decision_us": {"p50": 1, "p99": 2, "max": 3}, "wall_seconds": 0.1,
        "telemetry": {"produced": 0, "dropped": 0, "unconfirmed": 0}, "started_at": at, "completed_at": at,
    }


def result_of(asked, status, delivery, error=None):
    scores = [score(asked, place + 1) for place in range(len(asked["seeds"]))] if status == "complete" else []
    result = {
        "agent_id": "py", "instance": INSTANCE, "timestamp": now(), "evaluation_id": asked["evaluation_id"],
        "generation_id": asked["generation_id"], "ok": status == "complete", "status": status, "episodes_completed": len(scores),
        "episodes_total": len(asked["seeds"]), "episodes_skipped": 0, "delivery": delivery, "wall_seconds": 0.1, "scores": scores,
    }
    return result if error is None else {**result, "error": error}


def event(kind, payload):
    body = {"type": kind, "version": "1.0", "payload": payload, "trace_id": "0" * 32, "timestamp": payload["timestamp"]}
    headers = {"Content-Type": "application/json", "source-agent": "py", "instance": INSTANCE, "timestamp": payload["timestamp"]}
    return encoded(body), headers


async def group_worker(url):
    """A worker of the queue group: busy the first time, then it answers for two evaluations."""
    connection = await nats.connect(url)
    requests = await connection.subscribe("clau-doom.generation.*.evaluate", queue=WORKERS)
    await connection.flush()
    print("ready", flush=True)
    turned_away, done = set(), 0
    while done < 2:
        message = await requests.next_msg(timeout=WITHIN)
        asked = json.loads(message.data)
        asked = asked.get("payload", asked)
        status = "complete" if turned_away else "busy"
        turned_away.add(asked["evaluation_id"])
        await message.respond(encoded(result_of(asked, status, 1)))
        done += status == "complete"
    await connection.drain()


async def queue_worker(url):
    """A worker of the work queue: gives everything back once, ends for good what cannot be played, and plays the rest."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    work = await js.pull_subscribe_bind(WORKERS, stream="EVALUATIONS")
    print("ready", flush=True)
    answers = 0
    while answers < 2:
        try:
            (message,) = await work.fetch(1, timeout=5)
        except nats.errors.TimeoutError:
            continue
        asked = json.loads(message.data)["payload"]
        delivery = message.metadata.num_delivered
        if delivery == 1:
            await message.nak(delay=0.2)
            continue
        about = f"clau-doom.generation.{asked['generation_id']}.evaluation.{asked['evaluation_id']}"
        if asked["scenario"] == "unheard_of":
            body, headers = event("evaluation.result", result_of(asked, "refused", delivery, "nobody has heard of it"))
        else:
            step = {"agent_id": "py", "timestamp": now(), "evaluation_id": asked["evaluation_id"], "generation_id": asked["generation_id"]}
            counts = {"episodes_completed": 1, "episodes_total": len(asked["seeds"]), "steps_per_second": 300.0, "delivery": delivery}
            body, headers = event("evaluation.progress", {**step, **counts})
            await connection.publish(f"{about}.progress", body, headers=headers)
            await message.in_progress()
            body, headers = event("evaluation.result", result_of(asked, "complete", delivery))
        # Kept before it leaves the queue: who dies here is followed by another.
        ack = await js.publish(f"{about}.result", body, headers={**headers, "Nats-Msg-Id": f"py-{asked['evaluation_id']}-{delivery}"})
        assert ack.stream == "GENERATION_EVENTS", ack
        if asked["scenario"] == "unheard_of":
            await message.term()
        else:
            await message.ack_sync(timeout=WITHIN)
        answers += 1
    await connection.drain()


PATTERNS = {f.__name__: f for f in (ask, queue, group_worker, queue_worker)}
pattern, url = sys.argv[1:]
asyncio.run(asyncio.wait_for(PATTERNS[pattern](url), 150))
print(pattern)
