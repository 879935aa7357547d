"""Plays one scenario with the stock ViZDoom package, as its users do, until nobody reads what it prints: a contender of the bench.

Usage: bench_loop.py SETTINGS, a JSON object with

    scenario     path of a scenario file
    resolution   such as RES_160X120
    format       such as GRAY8
    skip         tics an action is held for
    cpu          a CPU for the process and its engine, or null for wherever the scheduler puts them
    nats         URL of a server to which both events of every step are published, or null
    id           the agent's id in their subjects

Each finished episode is a line: its steps, and when it ended (seconds since 1970).
"""

import asyncio
import json
import os
import random
import sys
import time
import uuid
from datetime import datetime, timezone

import vizdoom

# As many units either way as the agent's own random policy.
DELTA = 10.0


def start(settings):
    game = vizdoom.DoomGame()
    game.load_config(settings["scenario"])
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, settings["resolution"]))
    game.set_screen_format(getattr(vizdoom.ScreenFormat, settings["format"]))
    game.set_window_visible(False)
    game.init()
    return game


def choices(game):
    """One button at a time, or none."""
    buttons = game.get_available_buttons()
    actions = [[0.0] * len(buttons)]
    for i, button in enumerate(buttons):
        action = [0.0] * len(buttons)
        action[i] = random.uniform(-DELTA, DELTA) if button.name.endswith("DELTA") else 1.0
        actions.append(action)
    return actions


def finished(steps):
    print(steps, time.time(), flush=True)


def play(game, skip):
    actions = choices(game)
    while True:
        game.new_episode()
        steps = 0
        while not game.is_episode_finished():
            game.get_state()
            game.make_action(random.choice(actions), skip)
            steps += 1
        finished(steps)


async def play_and_publish(game, skip, url, agent):
    import nats

    actions = choices(game)
    names = [button.name for button in game.get_available_buttons()]
    variables = [variable.name for variable in game.get_available_game_variables()]
    client = await nats.connect(url)
    instance = uuid.uuid4().hex
    number = 0

    async def publish(kind, trace, payload):
        at = datetime.now(timezone.utc).isoformat()
        payload.update(agent_id=agent, timestamp=at, episode_id=f"{instance}-{number:06}")
        event = {"type": f"agent.{kind}", "version": "1.0", "payload": payload, "trace_id": trace, "timestamp": at}
        await client.publish(f"clau-doom.agent.{agent}.{kind}", json.dumps(event).encode())

    while True:
        game.new_episode()
        number += 1
        trace = uuid.uuid4().hex
        steps, total = 0, 0.0
        values = list(game.get_state().game_variables)
        while not game.is_episode_finished():
            state = game.get_state()
            action = random.choice(actions)
            pressed = [value != 0 for value in action]
            steps += 1
            action_type = "+".join(name for name, down in zip(names, pressed) if down) or "NOOP"
            described = {"action_id": sum(down << i for i, down in enumerate(pressed)), "buttons": pressed, "action_type": action_type}
            await publish("action", trace, {"step": steps, "tic": state.tic, "action": described, "frame_skip": skip, "policy": "random"})
            reward = game.make_action(action, skip)
            total += reward
            done = game.is_episode_finished()
            if not done:
                state = game.get_state()
                values = list(state.game_variables)
            observed = {"step": steps, "tic": state.tic, "reward": reward, "total_reward": total, "variables": dict(zip(variables, values))}
            await publish("observe", trace, observed | {"terminated": done, "truncated": False})
            # The client writes only when its loop gets a turn.
            await asyncio.sleep(0)
        finished(steps)


def main():
    settings = json.loads(sys.argv[1])
    if settings["cpu"] is not None:
        os.sched_setaffinity(0, {settings["cpu"]})
    game = start(settings)
    try:
        if settings["nats"]:
            asyncio.run(play_and_publish(game, settings["skip"], settings["nats"], settings["id"]))
        else:
            play(game, settings["skip"])
    except BrokenPipeError:
        # Nobody reads any more. What is still buffered would be complained about at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        game.close()


main()
