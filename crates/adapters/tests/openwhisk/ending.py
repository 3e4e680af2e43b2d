"""Waits to be ended, or returns more than OpenWhisk takes."""

import time


def handle(context, payload):
    if payload == "wait":
        time.sleep(60)
    if payload == "large":
        return "x" * (1 << 20)
    return payload
