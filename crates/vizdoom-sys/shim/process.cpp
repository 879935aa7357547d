#include "process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

extern char **environ;

namespace vz {

LaunchPlan::LaunchPlan(std::vector<std::string> args_, std::string run_dir_, int output_fd_)
    : args(std::move(args_)), run_dir(std::move(run_dir_)), output_fd(output_fd_) {
    for (char **entry = environ; entry && *entry; ++entry) {
        if (strncmp(*entry, "HOME=", 5) != 0) env.emplace_back(*entry);
    }
    env.push_back("HOME=" + run_dir);
    for (auto &arg : args) argv.push_back(&arg[0]);
    argv.push_back(nullptr);
    for (auto &entry : env) envp.push_back(&entry[0]);
    envp.push_back(nullptr);
}

namespace {

// Closes everything above standard error. Async-signal-safe.
void close_inherited(int open_max) {
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0) return;
#endif
    for (int fd = 3; fd < open_max; ++fd) close(fd);
}

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_engine(const LaunchPlan &plan, pid_t host, int open_max) {
    setpgid(0, 0);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != host) _exit(126);  // the host died before the line above took hold
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, 0);
    dup2(plan.output_fd, 1);
    dup2(plan.output_fd, 2);
    close_inherited(open_max);
    if (chdir(plan.run_dir.c_str()) != 0) {
        static const char text[] = "the run directory cannot be entered\n";
        (void)!write(2, text, sizeof text - 1);
        _exit(126);
    }
    execve(plan.argv[0], plan.argv.data(), plan.envp.data());
    static const char text[] = "the engine's executable cannot be executed\n";
    (void)!write(2, text, sizeof text - 1);
    _exit(127);
}

std::string describe(int status) {
    if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
    return "exited with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

bool Process::launch(const LaunchPlan &plan) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_.clear();
    if (kill_requested_) {
        ending_ = "stopped before it started";
        return false;
    }
    const pid_t host = getpid();
    long open_max = sysconf(_SC_OPEN_MAX);
    if (open_max < 0 || open_max > 65536) open_max = 65536;
    const pid_t pid = fork();
    if (pid == 0) become_engine(plan, host, static_cast<int>(open_max));
    if (pid < 0) {
        ending_ = std::string("could not be forked: ") + strerror(errno);
        return false;
    }
    setpgid(pid, pid);
    pid_ = pid;
    return true;
}

void Process::wait() {
    const pid_t pid = this->pid();
    if (pid <= 0) return;
    siginfo_t info;
    // WNOWAIT leaves the process id taken until kill() can no longer use it.
    while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == -1 && errno == EINTR) {
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    pid_ = 0;
    int status = 0;
    pid_t reaped;
    do reaped = waitpid(pid, &status, 0);
    while (reaped == -1 && errno == EINTR);
    ending_ = reaped == pid ? describe(status) : "reaped by someone else";
}

void Process::kill() {
    const std::lock_guard<std::mutex> lock(mutex_);
    kill_requested_ = true;
    if (pid_ > 0) {
        ::kill(-pid_, SIGKILL);
        ::kill(pid_, SIGKILL);
    }
}

pid_t Process::pid() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return pid_;
}

std::string Process::ending() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ending_;
}

}  // namespace vz
