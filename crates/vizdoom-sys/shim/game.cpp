#include "game.hpp"

#include <sys/mman.h>

#include <fstream>

#include "ViZDoomExceptions.h"
#include "ViZDoomUtilities.h"
#include "ViZDoomVersion.h"

namespace bip = boost::interprocess;
using namespace vizdoom;

namespace vz {

namespace {

// Stands in for the shared game state until there is one: libvizdoom reads it when the engine ends during the start.
SMGameState blank_state;

// An engine that was killed while it held a queue's lock would keep it for ever. With the engine dead there is nobody but this process, which
// holds it for microseconds: a lock that is held for longer is the dead one's, and is given up in its place.
void take_lock_from_the_dead(bip::message_queue &queue) {
    auto *header = static_cast<bip::ipcdetail::mq_hdr_t<bip::offset_ptr<void>> *>(queue.m_shmem.get_user_address());
    for (int tries = 0; tries < 250 && !header->m_mutex.try_lock(); ++tries) {
        boost::this_thread::sleep_for(boost::chrono::milliseconds(2));
    }
    // Ours by now, or the dead one's.
    header->m_mutex.unlock();
}

}  // namespace

Game::Game(const vz_config &config) : run_dir_(config.run_dir) {
    const auto on = [&](vz_flag flag) { return (config.flags & flag) != 0; };
    DoomController &c = *doomController;
    c.setExePath(config.executable);
    c.setIwadPath(config.iwad);
    if (config.wad) c.setFilePath(config.wad);
    c.setMap(config.map);
    if (config.engine_config) c.setConfigPath(config.engine_config);
    for (size_t i = 0; i < config.args_len; ++i) c.addCustomArg(config.args[i]);
    for (size_t i = 0; i < config.buttons_len; ++i) {
        addAvailableButton(static_cast<Button>(config.buttons[i]));
        if (config.button_max[i] >= 0) c.setButtonMaxValue(static_cast<Button>(config.buttons[i]), config.button_max[i]);
    }
    for (size_t i = 0; i < config.variables_len; ++i) variables_.push_back(static_cast<GameVariable>(config.variables[i]));
    action_.resize(availableButtons.size());
    c.setSkill(config.skill);
    setMode(static_cast<Mode>(config.mode));
    c.setScreenFormat(static_cast<ScreenFormat>(config.screen_format));
    c.setScreenResolution(config.width, config.height);
    c.setTicrate(config.ticrate);
    c.setMapStartTime(config.episode_start_time);
    c.setMapTimeout(config.episode_timeout);
    c.setInstanceSeed(config.seed);
    c.setRenderHud(on(VZ_HUD));
    c.setRenderMinimalHud(on(VZ_MINIMAL_HUD));
    c.setRenderWeapon(on(VZ_WEAPON));
    c.setRenderCrosshair(on(VZ_CROSSHAIR));
    c.setRenderDecals(on(VZ_DECALS));
    c.setRenderParticles(on(VZ_PARTICLES));
    c.setRenderEffectsSprites(on(VZ_EFFECTS_SPRITES));
    c.setRenderMessages(on(VZ_MESSAGES));
    c.setRenderCorpses(on(VZ_CORPSES));
    c.setRenderScreenFlashes(on(VZ_SCREEN_FLASHES));
    c.setRenderAllFrames(on(VZ_ALL_FRAMES));
    c.setDepthBufferEnabled(on(VZ_DEPTH));
    c.setLabelsEnabled(on(VZ_LABELS));
    c.setAutomapEnabled(on(VZ_AUTOMAP));
    c.setAutomapMode(static_cast<AutomapMode>(config.automap_mode));
    c.setAutomapRotate(on(VZ_AUTOMAP_ROTATE));
    c.setAutomapRenderTextures(on(VZ_AUTOMAP_TEXTURES));
    c.setAutomapRenderObjectsAsSprites(on(VZ_AUTOMAP_SPRITES));
    c.setObjectsEnabled(on(VZ_OBJECTS));
    c.setSectorsEnabled(on(VZ_SECTORS));
    setWindowVisible(on(VZ_WINDOW));
    setConsoleEnabled(on(VZ_CONSOLE));
    setSoundEnabled(on(VZ_SOUND));
    c.setNotificationsEnabled(on(VZ_NOTIFICATIONS));
    c.setNotificationsBufferSize(static_cast<int>(config.notifications_tics));
    const vz_rewards &r = config.rewards;
    setLivingReward(r.living);
    setDeathPenalty(r.death_penalty);
    setMapExitReward(r.map_exit);
    setKillReward(r.kill);
    setSecretReward(r.secret);
    setItemReward(r.item);
    setFragReward(r.frag);
    setHitReward(r.hit);
    setHitTakenPenalty(r.hit_taken_penalty);
    setDamageMadeReward(r.damage_made);
    setDamageTakenPenalty(r.damage_taken_penalty);
    setHealthReward(r.health);
    setArmorReward(r.armor);
    // The constructor of DoomGame leaves these without a value.
    lastKillCount = lastSecretCount = lastItemCount = lastFragCount = lastHitCount = lastHitsTaken = lastHealth = lastArmor = 0;
    lastDamageCount = lastDamageTaken = 0;
}

void Game::require_alive() const {
    if (!alive()) throw ViZDoomIsNotRunningException();
}

// The engine's thread: launches, waits, and then lets go whoever waits for an answer of the engine.
void Game::run_engine(const LaunchPlan &plan) {
    if (process->launch(plan)) process->wait();
    {
        // A recording that the dead engine cannot finish would make libvizdoom wait for it for ever.
        const std::lock_guard<std::mutex> lock(writable_mutex_);
        if (writable_) static_cast<SMGameState *>(writable_->get_address())->DEMO_RECORDING = false;
    }
    Message message;
    unsigned int priority = 0;
    size_t size = 0;
    try {
        take_lock_from_the_dead(*doomController->MQDoom->mq);
        take_lock_from_the_dead(*doomController->MQController->mq);
        // Frees a sender that waits for room in the queue.
        while (doomController->MQDoom->mq->try_receive(&message, sizeof message, size, priority)) {
        }
        doomController->MQController->send(MSG_CODE_DOOM_PROCESS_EXIT);
    } catch (...) {
        // The queue is gone, and with it everyone who could wait on it.
    }
}

// DoomGame::init and DoomController::init, with three differences: the engine is launched by us, an end during the start is an
// error instead of a crash, and ./_vizdoom.cfg is not read.
void Game::start(int output_fd) {
    DoomController &c = *doomController;
    lastAction.assign(availableButtons.size(), 0);
    nextAction.assign(availableButtons.size(), 0);
    c.setAllowDoomInput(mode == SPECTATOR || mode == ASYNC_SPECTATOR);
    c.setRunDoomAsync(mode == ASYNC_PLAYER || mode == ASYNC_SPECTATOR);
    c.gameState = &blank_state;
    c.generateInstanceId();
    instance = c.instanceId;
    // Before there is anything to leave behind: whoever clears up after a killed host finds the name here.
    std::ofstream(run_dir_ + "/engine.instance") << instance;
    c.createDoomArgs();
    c.MQDoom = new MessageQueue(MQ_DOOM_NAME_BASE + instance);
    c.MQController = new MessageQueue(MQ_CTR_NAME_BASE + instance);
    const auto plan = std::make_shared<LaunchPlan>(c.doomArgs, run_dir_, output_fd);
    c.doomThread = new boost::thread([this, plan] { run_engine(*plan); });
    c.doomRunning = true;
    c.waitForDoomStart();
    open_shared_memory();
    c.waitForDoomMapStartTime();
    c.MQDoom->send(MSG_CODE_UPDATE);
    c.waitForDoomWork();
    *c.input = *c._input;
    c.mapLastTic = c.gameState->MAP_TIC;
    running = true;
    c.disableAllButtons();
    for (const Button button : availableButtons) c.setButtonAvailable(button, true);
    begin_episode();
}

void Game::open_shared_memory() {
    DoomController &c = *doomController;
    c.SM = new SharedMemory(SM_NAME_BASE + instance);
    SMGameState *state = c.SM->getGameState();
    if (state->VERSION != VIZDOOM_LIB_VERSION) {
        throw ViZDoomErrorException(std::string("the engine is ViZDoom ") + state->VERSION_STR + ", version " +
                                    VIZDOOM_LIB_VERSION_STR + " is needed");
    }
    {
        const std::lock_guard<std::mutex> lock(writable_mutex_);
        writable_.reset(new bip::mapped_region(c.SM->sm, bip::read_write, 0, sizeof(SMGameState)));
    }
    c.gameState = state;
    c.input = c.SM->getInputState();
    c.screenBuffer = c.SM->getScreenBuffer();
    c.audioBuffer = c.SM->getAudioBuffer();
    c.depthBuffer = c.SM->getDepthBuffer();
    c.labelsBuffer = c.SM->getLabelsBuffer();
    c.automapBuffer = c.SM->getAutomapBuffer();
}

void Game::stop() noexcept {
    DoomController &c = *doomController;
    try {
        if (alive()) c.close();
    } catch (...) {
        // The engine ended in the middle of it; the rest is for us.
    }
    process->kill();
    if (!c.gameState) c.gameState = &blank_state;
    try {
        c.close();
    } catch (...) {
        c.doomRunning = false;
    }
    c.doomRunning = false;
    running = false;
    {
        const std::lock_guard<std::mutex> lock(writable_mutex_);
        writable_.reset();
    }
    if (!instance.empty()) {
        for (const char *base : {SM_NAME_BASE, MQ_CTR_NAME_BASE, MQ_DOOM_NAME_BASE}) shm_unlink(("/" + (base + instance)).c_str());
    }
}

void Game::new_episode(unsigned int seed, const std::string &record) {
    require_alive();
    setSeed(seed);
    doomController->restartMap(record);
    begin_episode();
}

void Game::replay(const std::string &path, unsigned int player) {
    require_alive();
    doomController->playDemo(path, static_cast<int>(player));
    begin_episode();
}

// DoomGame::resetState without the copies.
void Game::begin_episode() {
    lastMapTic = 0;
    nextStateNumber = 1;
    account();
    lastReward = 0;
    summaryReward = 0;
}

// DoomGame::setAction and advanceAction without the copies.
void Game::step(const double *action, unsigned int skip) {
    require_alive();
    DoomController &c = *doomController;
    action_.assign(action, action + action_.size());
    setAction(action_);
    c.tics(skip, true);
    account();
}

// The part of DoomGame::updateState that is not a copy of shared memory.
void Game::account() {
    DoomController &c = *doomController;
    if (c.isAllowDoomInput() || c.isReplaying()) {
        for (size_t i = 0; i < availableButtons.size(); ++i) lastAction[i] = c.getButtonState(availableButtons[i]);
    } else {
        std::copy(nextAction.begin(), nextAction.end(), lastAction.begin());
    }
    updateReward();
    lastMapTic = c.isRunDoomAsync() ? c.getMapTic() : c.getMapLastTic();
}

void Game::status(vz_step &out, double *variables) const {
    DoomController &c = *doomController;
    const SMGameState &state = shared();
    out.reward = lastReward;
    out.total_reward = summaryReward;
    out.finished = !c.isTicPossible();
    out.player_dead = !state.GAME_MULTIPLAYER && state.PLAYER_DEAD;
    out.map_ended = state.MAP_END;
    out.timed_out = c.isMapTimeoutReached();
    out.tic = c.isRunDoomAsync() && !out.map_ended ? c.getMapTic() : c.getMapLastTic();
    for (size_t i = 0; i < variables_.size(); ++i) variables[i] = c.getGameVariable(variables_[i]);
}

}  // namespace vz
