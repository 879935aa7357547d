/*
 * The C face of libvizdoom, as the Rust crates see it.
 *
 * No C++ exception leaves these functions: each returns a vz_status, and vz_last_error() has the text of the calling thread's
 * last failure. A vz_game belongs to one thread at a time; a vz_process may be used from any thread at any time.
 */
#ifndef VIZDOOM_SHIM_H
#define VIZDOOM_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One code for each recoverable cause. */
typedef enum vz_status {
    VZ_OK = 0,
    VZ_FILE_DOES_NOT_EXIST = 1, /* FileDoesNotExistException */
    VZ_MESSAGE_QUEUE = 2,       /* MessageQueueException */
    VZ_SHARED_MEMORY = 3,       /* SharedMemoryException */
    VZ_ENGINE_ERROR = 4,        /* ViZDoomErrorException: the engine said what is wrong */
    VZ_NOT_RUNNING = 5,         /* ViZDoomIsNotRunningException */
    VZ_UNEXPECTED_EXIT = 6,     /* ViZDoomUnexpectedExitException */
    VZ_NO_OPENAL_SOUND = 7,     /* ViZDoomNoOpenALSoundException */
    VZ_BAD_ARGUMENT = 8,        /* a value of the caller's is out of range */
    VZ_EPISODE_FINISHED = 9,    /* a step after the end */
    VZ_OTHER = 10               /* any other exception, such as std::bad_alloc */
} vz_status;

/* The tables of names. */
typedef enum vz_names {
    VZ_NAMES_BUTTON = 0,
    VZ_NAMES_VARIABLE = 1,
    VZ_NAMES_SCREEN_FORMAT = 2,
    VZ_NAMES_RESOLUTION = 3, /* such as RES_160X120 */
    VZ_NAMES_MODE = 4,
    VZ_NAMES_AUTOMAP_MODE = 5
} vz_names;

/* Bits of vz_config.flags. */
typedef enum vz_flag {
    VZ_HUD = 1 << 0,
    VZ_MINIMAL_HUD = 1 << 1,
    VZ_WEAPON = 1 << 2,
    VZ_CROSSHAIR = 1 << 3,
    VZ_DECALS = 1 << 4,
    VZ_PARTICLES = 1 << 5,
    VZ_EFFECTS_SPRITES = 1 << 6,
    VZ_MESSAGES = 1 << 7,
    VZ_CORPSES = 1 << 8,
    VZ_SCREEN_FLASHES = 1 << 9,
    VZ_ALL_FRAMES = 1 << 10,
    VZ_DEPTH = 1 << 11,
    VZ_LABELS = 1 << 12,
    VZ_AUTOMAP = 1 << 13,
    VZ_AUTOMAP_ROTATE = 1 << 14,
    VZ_AUTOMAP_TEXTURES = 1 << 15,
    VZ_AUTOMAP_SPRITES = 1 << 16,
    VZ_OBJECTS = 1 << 17,
    VZ_SECTORS = 1 << 18,
    VZ_WINDOW = 1 << 19,
    VZ_CONSOLE = 1 << 20,
    VZ_SOUND = 1 << 21,
    VZ_NOTIFICATIONS = 1 << 22
} vz_flag;

/* What each thing is worth, in reward. */
typedef struct vz_rewards {
    double living, death_penalty, map_exit, kill, secret, item, frag, hit, hit_taken_penalty;
    double damage_made, damage_taken_penalty, health, armor;
} vz_rewards;

/* How a game is set up. Strings and arrays are copied. Enumerations are libvizdoom's numbers, as vz_lookup() gives them. */
typedef struct vz_config {
    const char *executable;    /* absolute; the engine finds vizdoom.pk3 beside it */
    const char *iwad;          /* absolute */
    const char *wad;           /* absolute, or null */
    const char *map;           /* such as map01 */
    const char *engine_config; /* the engine's own .ini, or null for one in the run directory */
    const char *run_dir;       /* absolute; working directory and HOME of the engine */
    const char *const *args;   /* further arguments for the engine */
    size_t args_len;
    const int32_t *buttons; /* in the order of an action */
    size_t buttons_len;
    const double *button_max; /* one for each button; negative: the engine's own */
    const int32_t *variables; /* in the order in which a step reports them */
    size_t variables_len;
    int32_t skill; /* 1 to 5 */
    int32_t mode;
    int32_t screen_format;
    int32_t automap_mode;
    uint32_t width, height;
    uint32_t ticrate;
    uint32_t episode_start_time; /* tics */
    uint32_t episode_timeout;    /* tics; 0: none */
    uint32_t notifications_tics;
    uint32_t seed;
    uint32_t flags; /* vz_flag */
    vz_rewards rewards;
} vz_config;

/* What a step did. */
typedef struct vz_step {
    double reward;
    double total_reward;
    uint32_t tic; /* the controller's last map tic */
    uint8_t finished;
    uint8_t player_dead; /* dead in a single player game */
    uint8_t map_ended;   /* the map was left, or its script ended it */
    uint8_t timed_out;
} vz_step;

/* The engine's buffers, in memory shared with it: they change with the next step. A buffer that is off is null. */
typedef struct vz_buffers {
    const uint8_t *screen; /* height * width * channels bytes */
    const uint8_t *depth;  /* height * width bytes */
    const uint8_t *labels; /* height * width bytes */
    const uint8_t *automap; /* height * width * channels bytes */
    uint32_t width, height, channels;
} vz_buffers;

/* A visible object and its box on the screen, in pixels. Strings change with the next step. */
typedef struct vz_label {
    uint32_t object_id, x, y, width, height;
    uint8_t value;          /* its value in the labels buffer */
    double position[9];     /* x y z, angle pitch roll, velocity x y z */
    const char *name;
    const char *category;
} vz_label;

/* An object of the map, seen or not. Strings change with the next step. */
typedef struct vz_object {
    uint32_t id;
    int32_t sector_id;
    double position[9];
    const char *name;
    const char *category;
} vz_object;

/* A sector of the map. */
typedef struct vz_sector {
    uint32_t id, lines_len;
    double floor_height, ceiling_height;
} vz_sector;

/* A line of a sector. */
typedef struct vz_line {
    double x1, y1, x2, y2;
    uint8_t is_blocking;
} vz_line;

typedef struct vz_game vz_game;
typedef struct vz_process vz_process;

/* The text of this thread's last failure; valid until its next one. */
const char *vz_last_error(void);
/* The version that the engine must have, such as 1.3.2. */
const char *vz_version(void);

/* The number of a name in one of libvizdoom's tables. Case does not matter. */
vz_status vz_lookup(vz_names table, const char *name, int32_t *number);
/* How many entries a table has. */
uint32_t vz_count(vz_names table);
/* Whether a button takes any number (1) or 0 and 1 (0). */
uint8_t vz_button_is_delta(int32_t button);

/* A game that is set up and not started. */
vz_status vz_game_new(const vz_config *config, vz_game **game);
/* Stops the engine if it runs and frees the game. */
void vz_game_free(vz_game *game);
/* Starts the engine, its output into `output_fd`, and waits until the map runs. After a failure nothing of the engine is left. */
vz_status vz_game_start(vz_game *game, int32_t output_fd);
/* Ends the engine: gently, which blocks while it hangs (vz_process_kill() ends that), then by force. Idempotent. */
void vz_game_stop(vz_game *game);
/* Whether the engine is there. */
uint8_t vz_game_is_running(const vz_game *game);
/* The engine's process, to be freed with vz_process_free(). */
vz_process *vz_game_process(const vz_game *game);
/* Copies the instance id (at most size - 1 bytes); empty before the first start. */
void vz_game_instance_id(const vz_game *game, char *text, size_t size);

/* Starts an episode with a seed; records it where `record` is not null (relative to the run directory). */
vz_status vz_game_new_episode(vz_game *game, uint32_t seed, const char *record);
/* Plays a recorded episode; `player` is the one that is shown. */
vz_status vz_game_replay(vz_game *game, const char *path, uint32_t player);
/* Holds an action (buttons_len numbers) for `skip` tics; fills variables_len variables. */
vz_status vz_game_step(vz_game *game, const double *action, uint32_t skip, vz_step *step, double *variables);
/* The same as the last step reported, or the start of the episode. */
vz_status vz_game_status(const vz_game *game, vz_step *step, double *variables);
/* The action that was played last (buttons_len numbers): of interest in a replay or for a spectator. */
vz_status vz_game_last_action(const vz_game *game, double *action);
/* Sends a console command (at most 128 bytes). */
vz_status vz_game_command(vz_game *game, const char *command);

vz_status vz_game_buffers(const vz_game *game, vz_buffers *buffers);
uint32_t vz_game_labels_len(const vz_game *game);
vz_status vz_game_label(const vz_game *game, uint32_t index, vz_label *label);
uint32_t vz_game_objects_len(const vz_game *game);
vz_status vz_game_object(const vz_game *game, uint32_t index, vz_object *object);
uint32_t vz_game_sectors_len(const vz_game *game);
vz_status vz_game_sector(const vz_game *game, uint32_t index, vz_sector *sector);
vz_status vz_game_line(const vz_game *game, uint32_t sector, uint32_t index, vz_line *line);
/* The notifications, not terminated; length 0 where they are off. */
const char *vz_game_notifications(const vz_game *game, size_t *length);

/* Kills the engine's process group, now or as soon as it starts. Idempotent; harmless once it is gone. */
void vz_process_kill(const vz_process *process);
/* The engine's process id; 0 where there is none. */
int32_t vz_process_pid(const vz_process *process);
void vz_process_free(vz_process *process);

#ifdef __cplusplus
}
#endif
#endif
