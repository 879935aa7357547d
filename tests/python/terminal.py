"""Runs a full-screen program on a terminal of its own: terminal.py q|control-c|terminate PROGRAM ARGUMENT...

Waits until it shows agent A, and what becomes of A once it is paused; quits it that way, and fails where it does not end with 0 or leaves the
terminal changed.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

WITHIN = 60


def read_until(terminal, heard, text):
    until = time.monotonic() + WITHIN
    while text not in heard:
        left = until - time.monotonic()
        assert left > 0, f"{text!r} was not shown: {heard[-2000:]!r}"
        if select.select([terminal], [], [], left)[0]:
            try:
                heard += os.read(terminal, 65536)
            except OSError:  # the other side is closed
                raise AssertionError(f"{text!r} was not shown: {heard[-2000:]!r}") from None
    return heard


def main(way, *command):
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 140, 0, 0))
    before = termios.tcgetattr(side)
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(side, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(side, fd)
        os.execv(command[0], command)
    heard = read_until(terminal, b"", b"running")
    assert b"\x1b[?1049h" in heard, "it has a screen of its own"
    assert termios.tcgetattr(side) != before, "it reads keys as they come"
    # It is live: what changes is shown without being asked for.
    for command_of, state in (("pause", b"paused"), ("resume", b"running")):
        subprocess.run([command[0], command_of, "--agent", "A", "--wait=60s", *command[2:]], check=True, stdout=subprocess.DEVNULL)
        heard += read_until(terminal, b"", state)
    if way == "q":
        os.write(terminal, b"q")
    elif way == "control-c":
        os.write(terminal, b"\x03")
    else:
        os.kill(child, signal.SIGTERM)
    heard = read_until(terminal, heard, b"\x1b[?1049l")
    # What is still written must be read, or the other side waits for us.
    os.set_blocking(terminal, False)
    until = time.monotonic() + WITHIN
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        assert time.monotonic() < until, "it has not ended"
        try:
            heard += os.read(terminal, 65536)
        except BlockingIOError:
            select.select([terminal], [], [], 0.05)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert termios.tcgetattr(side) == before, "the terminal is as it was"


main(*sys.argv[1:])
