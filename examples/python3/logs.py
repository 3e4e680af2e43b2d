"""Writes to both logs; the lines end up in the run, and only there."""
import sys


def handle(context, payload):
    print("this is stdout")
    print("this is stderr", file=sys.stderr)
    return "logged"
