"""Answers a question on a terminal of its own: answer.py ANSWER PROGRAM ARGUMENT...

Waits until the program asks, types the answer, and ends with the program's exit code; what it showed goes to standard output.
"""

import os
import pty
import select
import sys
import time

WITHIN = 60


def main(answer, *command):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    heard, typed = b"", False
    until = time.monotonic() + WITHIN
    while True:
        assert time.monotonic() < until, f"it has not ended: {heard!r}"
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            more = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            more = b""
        if not more:
            break
        heard += more
        if not typed and b"[y/N] " in heard:
            os.write(terminal, answer.encode() + b"\n")
            typed = True
    assert typed, f"it has not asked: {heard!r}"
    sys.stdout.write(heard.decode())
    sys.stdout.flush()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


sys.exit(main(*sys.argv[1:]))
