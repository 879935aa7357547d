"""Reads scenario files with the stock ViZDoom package and prints what it understood: the expected side of the reader's tests.

Usage: read_scenarios.py FILE...

Prints one JSON object for each file: `complete` (whether no line was ignored) and the settings that the package gives back.
"""

import json
import math
import sys

import vizdoom

NUMBERS = (
    "living_reward death_penalty map_exit_reward kill_reward secret_reward item_reward frag_reward hit_reward hit_taken_penalty "
    "damage_made_reward damage_taken_penalty health_reward armor_reward doom_skill episode_start_time episode_timeout ticrate "
    "screen_width screen_height audio_buffer_size notifications_buffer_size"
).split()
FLAGS = "depth_buffer labels_buffer automap_buffer objects_info sectors_info audio_buffer notifications_buffer".split()
DELTAS = [button for button in vizdoom.Button.__members__.values() if vizdoom.is_delta_button(button)]


def read(path):
    game = vizdoom.DoomGame()
    found = {"complete": game.load_config(path)}
    for name in NUMBERS:
        number = float(getattr(game, "get_" + name)())
        found[name] = number if math.isfinite(number) else str(number)
    for name in FLAGS:
        found[name] = getattr(game, f"is_{name}_enabled")()
    found["doom_map"] = game.get_doom_map()
    found["mode"] = game.get_mode().name
    found["screen_format"] = game.get_screen_format().name
    found["audio_sampling_rate"] = game.get_audio_sampling_rate()
    found["game_args"] = game.get_game_args()
    found["doom_scenario_path"] = game.get_doom_scenario_path()
    found["available_buttons"] = [button.name for button in game.get_available_buttons()]
    found["available_game_variables"] = [variable.name for variable in game.get_available_game_variables()]
    found["button_max_value"] = {button.name: float(game.get_button_max_value(button)) for button in DELTAS}
    return found


if __name__ == "__main__":
    for file in sys.argv[1:]:
        print(json.dumps(read(file)))
