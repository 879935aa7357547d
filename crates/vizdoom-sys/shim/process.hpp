// The engine's process: started by us instead of libvizdoom, so that it dies with its host, keeps out of the host's process
// group and directory, and can be killed from any thread without ever hitting a process id that was used again.
#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace vz {

// All that exec needs, made before the fork: the child of a program with threads may not allocate.
struct LaunchPlan {
    LaunchPlan(std::vector<std::string> args, std::string run_dir, int output_fd);

    std::vector<std::string> args;
    std::vector<std::string> env;
    std::string run_dir;
    int output_fd;
    std::vector<char *> argv;
    std::vector<char *> envp;
};

class Process {
public:
    // Forks and executes. False where a kill came first or the fork failed.
    bool launch(const LaunchPlan &plan);
    // Waits for the end. The thread that calls it must be the one that launched: the parent-death signal follows that thread.
    void wait();
    void kill();
    pid_t pid() const;
    // How it ended, such as "killed by signal 9"; empty while it runs.
    std::string ending() const;

private:
    mutable std::mutex mutex_;
    pid_t pid_ = 0;
    bool kill_requested_ = false;
    std::string ending_;
};

}  // namespace vz
