"""Runs the command in a terminal and types at it: [until, text] in turn, as JSON in argv[1].

Prints as JSON what was shown, whether typing was shown at each turn and in the end, and the exit.
"""

import json
import os
import pty
import select
import sys
import termios
import time

child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])

shown, echo, end = b"", [], time.monotonic() + 30


def read():
    global shown
    if select.select([terminal], [], [], 0.05)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            # The command has ended.
            time.sleep(0.05)


def echoes():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


for until, text in json.loads(sys.argv[1]):
    while until.encode() not in shown and time.monotonic() < end:
        read()
    echo.append(echoes())
    os.write(terminal, text.encode())
status = 0
while time.monotonic() < end:
    read()
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        break
read()
result = {"shown": shown.decode(), "echo": echo + [echoes()]}
print(json.dumps(result | {"exit": os.waitstatus_to_exitcode(status)}))
