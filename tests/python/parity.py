"""Plays given actions with the stock ViZDoom package and writes what it saw: the expected side of the parity test.

Usage: parity.py CASE.json TRACE.bin

CASE has the name of one of ViZDoom's scenarios, configuration lines on top of it, the buttons (a check) and variables by
name, and episodes with a seed, a frame skip and actions. TRACE gets for each episode the number of observations, then the
observations: reward, tic, end (0 none, 1 death, 2 level exit, 3 timeout), a digest of the picture (0 where there is none)
and the variables, all of them 64 bits, little endian; the digest is an unsigned integer, the others are floats.
"""

import json
import os
import struct
import sys

import numpy
import vizdoom

NONE, DEATH, LEVEL_EXIT, TIMEOUT = range(4)


def digest(picture, weights):
    return int((picture.ravel().astype(numpy.uint64) * weights).sum())


def end_of(game):
    """Why a finished episode ended. The package says neither "exit" nor "script": they are what is left."""
    if game.is_player_dead():
        return DEATH
    return TIMEOUT if game.is_episode_timeout_reached() else LEVEL_EXIT


def tics_to_the_exit(game, episode):
    """The last tic of an episode that left the map, where the engine's tic is 0. Tic by tic, the one before it is known."""
    game.set_seed(episode["seed"])
    game.new_episode()
    tic = game.get_episode_time()
    for action in episode["actions"]:
        for _ in range(episode["skip"]):
            game.make_action(action, 1)
            tic += 1
            if game.is_episode_finished():
                return tic
    raise AssertionError("the episode that left the map did not do so tic by tic")


def play(game, episode, variables, weights):
    game.set_seed(episode["seed"])
    game.new_episode()
    observations = []

    def observe(reward):
        finished = game.is_episode_finished()
        end = end_of(game) if finished else NONE
        tic = game.get_episode_time()
        # There is no state of the terminal tic: its variables are asked for one by one.
        picture = 0 if finished else digest(game.get_state().screen_buffer, weights)
        values = [game.get_game_variable(variable) for variable in variables]
        observations.append([reward, float(tic), float(end), picture, values])
        return finished

    observe(0.0)
    for action in episode["actions"]:
        if observe(game.make_action(action, episode["skip"])):
            break
    if observations[-1][2] == LEVEL_EXIT:
        observations[-1][1] = float(tics_to_the_exit(game, episode))
    return observations


def main(case_path, trace_path):
    assert vizdoom.__version__ == "1.3.2", f"ViZDoom {vizdoom.__version__}; run `cargo xtask setup`"
    with open(case_path, encoding="utf-8") as file:
        case = json.load(file)
    game = vizdoom.DoomGame()
    assert game.load_config(os.path.join(vizdoom.scenarios_path, case["scenario"] + ".cfg"))
    assert game.set_config(case["settings"])
    buttons = [button.name for button in game.get_available_buttons()]
    assert buttons == case["buttons"], f"{buttons} are not {case['buttons']}"
    variables = [vizdoom.GameVariable.__members__[name] for name in case["variables"]]
    game.set_available_game_variables(variables)
    game.set_window_visible(False)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.GRAY8)
    game.init()
    weights = numpy.arange(1, 160 * 120 + 1, dtype=numpy.uint64)
    with open(trace_path, "wb") as file:
        for episode in case["episodes"]:
            observations = play(game, episode, variables, weights)
            file.write(struct.pack("<Q", len(observations)))
            for reward, tic, end, picture, values in observations:
                file.write(struct.pack(f"<dddQ{len(values)}d", reward, tic, end, picture, *values))
    game.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
