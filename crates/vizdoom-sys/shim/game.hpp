// DoomGame with its private parts in reach: compiled with -fno-access-control, in this directory alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ViZDoomController.h"
#include "ViZDoomGame.h"
#include "process.hpp"
#include "vizdoom_shim.h"

namespace vz {

class Game : public vizdoom::DoomGame {
public:
    explicit Game(const vz_config &config);

    // Starts the engine; what it leaves behind on failure is for stop().
    void start(int output_fd);
    // Never throws; afterwards nothing of the engine is left. Blocks while the engine hangs, until its process is killed.
    void stop() noexcept;

    void new_episode(unsigned int seed, const std::string &record);
    void replay(const std::string &path, unsigned int player);
    void step(const double *action, unsigned int skip);

    bool alive() const { return running && doomController->doomRunning && doomController->gameState; }
    void require_alive() const;
    const vizdoom::SMGameState &shared() const { return *doomController->gameState; }
    vizdoom::DoomController &controller() const { return *doomController; }
    void status(vz_step &out, double *variables) const;

    std::shared_ptr<Process> process = std::make_shared<Process>();
    std::string instance;

    const std::vector<vizdoom::Button> &buttons() const { return availableButtons; }
    const std::vector<double> &last_action() const { return lastAction; }

private:
    void run_engine(const LaunchPlan &plan);
    void open_shared_memory();
    void begin_episode();
    void account();

    std::vector<vizdoom::GameVariable> variables_;
    std::vector<double> action_;
    std::string run_dir_;
    // A second, writable view of the shared game state, for the one thing that must be changed once the engine is dead.
    std::unique_ptr<boost::interprocess::mapped_region> writable_;
    std::mutex writable_mutex_;
};

}  // namespace vz
