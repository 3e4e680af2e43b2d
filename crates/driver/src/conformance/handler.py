"""The function that engines are held to their contract with: its payload says what it does."""

import os
import sys
import time

VERSION = 1


def handle(context, payload):
    if "print" in payload:
        print(payload["print"], "out")
        print(payload["print"], "err", file=sys.stderr)
    if "sleep_ms" in payload:
        time.sleep(payload["sleep_ms"] / 1000)
    if "exit" in payload:
        os._exit(payload["exit"])
    if "fail" in payload:
        raise ValueError(payload["fail"])
    if "context" in payload:
        return context
    if "environment" in payload:
        return os.environ.get(payload["environment"])
    if "big" in payload:
        return "x" * payload["big"]
    if "length" in payload:
        return len(payload["length"])
    if "version" in payload:
        return VERSION
    return payload["echo"]
