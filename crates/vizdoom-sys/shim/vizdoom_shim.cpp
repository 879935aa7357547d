#include "vizdoom_shim.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <new>

#include "ViZDoomConfigLoader.h"
#include "ViZDoomExceptions.h"
#include "ViZDoomUtilities.h"
#include "ViZDoomVersion.h"
#include "game.hpp"

using namespace vizdoom;

namespace vizdoom {
// Defined by libvizdoom; its header declares it under another name.
std::string screenFormatToString(ScreenFormat screenFormat);
}  // namespace vizdoom

struct vz_game {
    explicit vz_game(const vz_config &config) : game(config) {}
    vz::Game game;
};

struct vz_process {
    std::shared_ptr<vz::Process> process;
};

namespace {

thread_local std::string last_error;

vz_status fail(vz_status status, const char *text) noexcept {
    try {
        last_error = text;
    } catch (...) {
        last_error.clear();
    }
    return status;
}

// Runs `body` and turns every exception into its status.
template <class Body>
vz_status guard(Body body) noexcept {
    try {
        return body();
    } catch (const FileDoesNotExistException &e) {
        return fail(VZ_FILE_DOES_NOT_EXIST, e.what());
    } catch (const MessageQueueException &e) {
        return fail(VZ_MESSAGE_QUEUE, e.what());
    } catch (const SharedMemoryException &e) {
        return fail(VZ_SHARED_MEMORY, e.what());
    } catch (const ViZDoomErrorException &e) {
        return fail(VZ_ENGINE_ERROR, e.what());
    } catch (const ViZDoomIsNotRunningException &e) {
        return fail(VZ_NOT_RUNNING, e.what());
    } catch (const ViZDoomUnexpectedExitException &e) {
        return fail(VZ_UNEXPECTED_EXIT, e.what());
    } catch (const ViZDoomNoOpenALSoundException &e) {
        return fail(VZ_NO_OPENAL_SOUND, e.what());
    } catch (const std::exception &e) {
        return fail(VZ_OTHER, e.what());
    } catch (...) {
        return fail(VZ_OTHER, "an exception of unknown type");
    }
}

// As guard(), and an unexpected exit says how the process ended.
template <class Body>
vz_status guard_engine(vz_game *game, Body body) noexcept {
    const vz_status status = guard(body);
    if (status != VZ_UNEXPECTED_EXIT && status != VZ_MESSAGE_QUEUE) return status;
    const vz_status same = guard([&] {
        const std::string ending = game->game.process->ending();
        return ending.empty() ? status : fail(status, ("the engine " + ending).c_str());
    });
    return same;
}

std::string changed(const char *text, int (*change)(int)) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [change](unsigned char c) { return static_cast<char>(change(c)); });
    return out;
}

// Tries libvizdoom's number-to-name function over a table, and its configuration reader for what that function leaves out.
template <class Enum, class ToString>
bool find(const std::string &upper, uint32_t count, ToString to_string, int32_t &number) {
    if (upper == "UNKNOWN") return false;  // what that function says of a number that it leaves out
    for (uint32_t i = 0; i < count; ++i) {
        if (to_string(static_cast<Enum>(i)) == upper) {
            number = static_cast<int32_t>(i);
            return true;
        }
    }
    return false;
}

vz_status invalid(const char *text) { return fail(VZ_BAD_ARGUMENT, text); }

}  // namespace

const char *vz_last_error(void) { return last_error.c_str(); }

const char *vz_version(void) { return VIZDOOM_LIB_VERSION_STR; }

uint32_t vz_count(vz_names table) {
    switch (table) {
        case VZ_NAMES_BUTTON: return BUTTON_COUNT;
        case VZ_NAMES_VARIABLE: return USER60 + 1;
        case VZ_NAMES_SCREEN_FORMAT: return DOOM_256_COLORS8 + 1;
        case VZ_NAMES_RESOLUTION: return RES_1920X1080 + 1;
        case VZ_NAMES_MODE: return ASYNC_SPECTATOR + 1;
        case VZ_NAMES_AUTOMAP_MODE: return OBJECTS_WITH_SIZE + 1;
    }
    return 0;
}

vz_status vz_lookup(vz_names table, const char *name, int32_t *number) {
    return guard([&] {
        const std::string upper = changed(name, std::toupper), lower = changed(name, std::tolower);
        const uint32_t count = vz_count(table);
        bool found = false;
        try {
            switch (table) {
                case VZ_NAMES_BUTTON:
                    found = find<Button>(upper, count, buttonToString, *number);
                    if (!found) *number = ConfigLoader::stringToButton(lower), found = true;
                    break;
                case VZ_NAMES_VARIABLE:
                    found = find<GameVariable>(upper, count, gameVariableToString, *number);
                    if (!found) *number = ConfigLoader::stringToGameVariable(lower), found = true;
                    break;
                case VZ_NAMES_SCREEN_FORMAT: found = find<ScreenFormat>(upper, count, screenFormatToString, *number); break;
                case VZ_NAMES_RESOLUTION: *number = ConfigLoader::stringToResolution(lower), found = true; break;
                case VZ_NAMES_MODE: found = find<Mode>(upper, count, modeToString, *number); break;
                case VZ_NAMES_AUTOMAP_MODE: found = find<AutomapMode>(upper, count, automapModeToString, *number); break;
            }
        } catch (const std::exception &) {
            found = false;
        }
        return found ? VZ_OK : invalid("no such name");
    });
}

uint8_t vz_button_is_delta(int32_t button) { return isDeltaButton(static_cast<Button>(button)); }

vz_status vz_game_new(const vz_config *config, vz_game **game) {
    return guard([&] {
        *game = new vz_game(*config);
        return VZ_OK;
    });
}

void vz_game_free(vz_game *game) {
    if (!game) return;
    game->game.stop();
    (void)guard([&] {
        delete game;
        return VZ_OK;
    });
}

vz_status vz_game_start(vz_game *game, int32_t output_fd) {
    if (game->game.alive()) return invalid("the engine runs already");
    const vz_status status = guard_engine(game, [&] {
        game->game.start(output_fd);
        return VZ_OK;
    });
    if (status == VZ_OK) return status;
    game->game.process->kill();
    game->game.stop();
    return status;
}

void vz_game_stop(vz_game *game) { game->game.stop(); }

uint8_t vz_game_is_running(const vz_game *game) { return game->game.alive(); }

vz_process *vz_game_process(const vz_game *game) { return new (std::nothrow) vz_process{game->game.process}; }

void vz_game_instance_id(const vz_game *game, char *text, size_t size) {
    if (!size) return;
    strncpy(text, game->game.instance.c_str(), size - 1);
    text[size - 1] = 0;
}

vz_status vz_game_new_episode(vz_game *game, uint32_t seed, const char *record) {
    return guard_engine(game, [&] {
        game->game.new_episode(seed, record ? record : "");
        return VZ_OK;
    });
}

vz_status vz_game_replay(vz_game *game, const char *path, uint32_t player) {
    return guard_engine(game, [&] {
        game->game.replay(path, player);
        return VZ_OK;
    });
}

vz_status vz_game_step(vz_game *game, const double *action, uint32_t skip, vz_step *step, double *variables) {
    return guard_engine(game, [&] {
        game->game.require_alive();
        if (!game->game.controller().isTicPossible()) return fail(VZ_EPISODE_FINISHED, "the episode is over");
        game->game.step(action, skip);
        game->game.status(*step, variables);
        return VZ_OK;
    });
}

vz_status vz_game_status(const vz_game *game, vz_step *step, double *variables) {
    return guard([&] {
        game->game.require_alive();
        game->game.status(*step, variables);
        return VZ_OK;
    });
}

vz_status vz_game_last_action(const vz_game *game, double *action) {
    return guard([&] {
        game->game.require_alive();
        const auto &last = game->game.last_action();
        std::copy(last.begin(), last.end(), action);
        return VZ_OK;
    });
}

vz_status vz_game_command(vz_game *game, const char *command) {
    return guard_engine(game, [&] {
        game->game.require_alive();
        if (strlen(command) > MQ_MAX_CMD_LEN) return invalid("a console command has at most 128 bytes");
        game->game.controller().sendCommand(command);
        return VZ_OK;
    });
}

vz_status vz_game_buffers(const vz_game *game, vz_buffers *out) {
    return guard([&] {
        game->game.require_alive();
        auto &c = game->game.controller();
        out->screen = c.getScreenBuffer();
        out->depth = c.isDepthBufferEnabled() ? c.getDepthBuffer() : nullptr;
        out->labels = c.isLabelsEnabled() ? c.getLabelsBuffer() : nullptr;
        out->automap = c.isAutomapEnabled() ? c.getAutomapBuffer() : nullptr;
        out->width = c.getScreenWidth();
        out->height = c.getScreenHeight();
        out->channels = c.getScreenChannels();
        return VZ_OK;
    });
}

uint32_t vz_game_labels_len(const vz_game *game) {
    if (!game->game.alive() || !game->game.shared().LABELS) return 0;
    return std::min<uint32_t>(game->game.shared().LABEL_COUNT, MAX_LABELS);
}

vz_status vz_game_label(const vz_game *game, uint32_t index, vz_label *out) {
    if (index >= vz_game_labels_len(game)) return invalid("no such label");
    const SMLabel &label = game->game.shared().LABEL[index];
    out->object_id = label.objectId;
    out->x = label.position[0];
    out->y = label.position[1];
    out->width = label.size[0];
    out->height = label.size[1];
    out->value = label.value;
    std::copy(std::begin(label.objectPosition), std::end(label.objectPosition), out->position);
    out->name = label.objectName;
    out->category = label.objectCategory;
    return VZ_OK;
}

uint32_t vz_game_objects_len(const vz_game *game) {
    if (!game->game.alive() || !game->game.shared().OBJECTS) return 0;
    return std::min<uint32_t>(game->game.shared().OBJECT_COUNT, MAX_OBJECTS);
}

vz_status vz_game_object(const vz_game *game, uint32_t index, vz_object *out) {
    if (index >= vz_game_objects_len(game)) return invalid("no such object");
    const SMObject &object = game->game.shared().OBJECT[index];
    out->id = object.id;
    out->sector_id = object.sectorId;
    std::copy(std::begin(object.position), std::end(object.position), out->position);
    out->name = object.name;
    out->category = object.category;
    return VZ_OK;
}

uint32_t vz_game_sectors_len(const vz_game *game) {
    if (!game->game.alive() || !game->game.shared().SECTORS) return 0;
    return std::min<uint32_t>(game->game.shared().SECTOR_COUNT, MAX_SECTORS);
}

vz_status vz_game_sector(const vz_game *game, uint32_t index, vz_sector *out) {
    if (index >= vz_game_sectors_len(game)) return invalid("no such sector");
    const SMSector &sector = game->game.shared().SECTOR[index];
    out->id = sector.id;
    out->lines_len = std::min<uint32_t>(sector.lineCount, MAX_SECTOR_LINES);
    out->floor_height = sector.floorHeight;
    out->ceiling_height = sector.ceilingHeight;
    return VZ_OK;
}

vz_status vz_game_line(const vz_game *game, uint32_t sector, uint32_t index, vz_line *out) {
    vz_sector of;
    if (vz_game_sector(game, sector, &of) != VZ_OK || index >= of.lines_len) return invalid("no such line");
    const SMGameState &state = game->game.shared();
    const uint32_t number = state.SECTOR[sector].lines[index];
    if (number >= MAX_LINES) return invalid("no such line");
    const SMLine &line = state.LINE[number];
    *out = {line.position[0], line.position[1], line.position[2], line.position[3], line.isBlocking};
    return VZ_OK;
}

const char *vz_game_notifications(const vz_game *game, size_t *length) {
    *length = 0;
    if (!game->game.alive() || !game->game.shared().NOTIFICATIONS) return "";
    *length = std::min<size_t>(game->game.shared().NOTIFICATIONS_TEXT_SIZE, MAX_NOTIFICATIONS_CHARS);
    return game->game.shared().NOTIFICATIONS_TEXT;
}

void vz_process_kill(const vz_process *process) {
    if (process) process->process->kill();
}

int32_t vz_process_pid(const vz_process *process) { return process ? process->process->pid() : 0; }

void vz_process_free(vz_process *process) { delete process; }
