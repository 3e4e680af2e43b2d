import os
import subprocess
import sys
import time


def handle(context, payload):
    if "secret" in payload:
        return context["secrets"][payload["secret"]]
    if "log" in payload:
        print(payload["log"], "out")
        print(payload["log"], "err", file=sys.stderr)
    if "fail" in payload:
        raise ValueError(payload["fail"])
    if "big" in payload:
        return "x" * payload["big"]
    if "exit" in payload:
        os._exit(payload["exit"])
    if "leave" in payload:
        return subprocess.Popen(["sleep", "1000"]).pid
    if "wait" in payload:
        open(payload["mark"], "w").close()
        while not os.path.exists(payload["wait"]):
            time.sleep(0.005)
        return "gone on"
    return payload.get("echo")
