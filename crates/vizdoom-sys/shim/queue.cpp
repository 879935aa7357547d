// The message queues between game and engine, in the place of libvizdoom's ViZDoomMessageQueue.cpp. The queue itself, its memory and what is in it
// stay Boost's; what differs is how this side sends and waits, for with Boost's own ways a tic costs four changes of process instead of two:
//
// - Boost wakes the receiver while it holds the queue's lock. On one CPU the engine starts at once, finds the lock taken, and sleeps again.
//   Here the lock is given back first.
// - Whoever sleeps in Boost's receive() makes the engine wake him, under its lock, just before it goes to sleep itself. Here the CPU is
//   given away instead: the engine does its tic and sleeps, the answer is there, and nobody had to be woken. Where it is not there after that (the
//   engine runs on another CPU), the sleep is Boost's.
// - Where others want the CPU too, giving it away gives it to them, for milliseconds, while a sleeper is put in front of them when it is woken.
//   So a CPU that came back late is not given away for a while, each time for a longer one.
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>

#include "ViZDoomExceptions.h"
#include "ViZDoomMessageQueue.h"

namespace vizdoom {

namespace {

using Header = bip::ipcdetail::mq_hdr_t<bip::offset_ptr<void>>;

// How often the CPU is given away before the sleep.
constexpr int ways_given = 2;

// Whether to give the CPU away: what this thread, which waits for the engine, has seen of it.
class Generosity {
   public:
    // Whether to give it away at this message.
    bool tries() { return sleeps_ == 0 || --sleeps_ == 0; }

    // Gives it away. Two readings of the clock are a hundredth of what a needless change of process takes.
    void give() {
        const auto gone = std::chrono::steady_clock::now();
        sched_yield();
        if (std::chrono::steady_clock::now() - gone > late) {
            sleeps_ = next_;
            next_ = std::min(next_ * 2, most);
        } else if (next_ > first) {
            --next_;
        }
    }

   private:
    // Most tics take a tenth of this, and others keep the CPU for longer. Where a tic takes longer itself, a change of process does not count.
    static constexpr std::chrono::microseconds late{500};
    // Messages that are slept for after the first late return, and at most.
    static constexpr unsigned first = 64;
    static constexpr unsigned most = 4096;

    unsigned sleeps_ = 0;
    unsigned next_ = first;
};

thread_local Generosity generosity;

Header &header(bip::message_queue &queue) { return *static_cast<Header *>(queue.m_shmem.get_user_address()); }

// False where the queue is full.
bool put(Header &queue, const Message &message) {
    bool somebody_waits = false;
    {
        const bip::scoped_lock<bip::interprocess_mutex> lock(queue.m_mutex);
        if (queue.is_full()) return false;
        somebody_waits = queue.m_blocked_receivers != 0;
        auto &slot = queue.queue_free_msg(0);
        slot.priority = 0;
        slot.len = sizeof message;
        std::memcpy(slot.data(), &message, sizeof message);
    }
    if (somebody_waits) queue.m_cond_recv.notify_one();
    return true;
}

// A look without the lock; whoever finds something takes it with the lock.
bool has_something(const Header &queue) { return __atomic_load_n(&queue.m_cur_num_msg, __ATOMIC_RELAXED) != 0; }

}  // namespace

MessageQueue::MessageQueue(std::string name) : name(std::move(name)) { init(); }

MessageQueue::~MessageQueue() { close(); }

void MessageQueue::init() {
    try {
        bip::message_queue::remove(name.c_str());
        mq = new bip::message_queue(bip::open_or_create, name.c_str(), MQ_MAX_MSG_NUM, sizeof(Message));
    } catch (const std::exception &error) {
        throw MessageQueueException("cannot make the message queue " + name + " in /dev/shm: " + error.what());
    }
}

void MessageQueue::close() {
    bip::message_queue::remove(name.c_str());
    delete mq;
    mq = nullptr;
}

void MessageQueue::send(uint8_t code, const char *command) {
    Message message{};
    message.code = code;
    if (command) std::strncpy(message.command, command, MQ_MAX_CMD_LEN);
    try {
        if (!put(header(*mq), message)) mq->send(&message, sizeof message, 0);
    } catch (const std::exception &error) {
        throw MessageQueueException("cannot send to the engine: " + std::string(error.what()));
    }
}

Message MessageQueue::receive() {
    Message message;
    unsigned int priority = 0;
    size_t size = 0;
    try {
        const int ways = generosity.tries() ? ways_given : 0;
        for (int given = 0; given < ways; ++given) {
            if (has_something(header(*mq)) && mq->try_receive(&message, sizeof message, size, priority)) return message;
            generosity.give();
        }
        mq->receive(&message, sizeof message, size, priority);
    } catch (const std::exception &error) {
        throw MessageQueueException("cannot hear the engine: " + std::string(error.what()));
    }
    return message;
}

}  // namespace vizdoom
