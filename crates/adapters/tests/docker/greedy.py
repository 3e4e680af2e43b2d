"""Needs more memory than it may have: its worker is ended for it, or the whole container."""


def handle(context, payload):
    if payload.get("grow") == "container":
        with open("/proc/1/oom_score_adj", "w") as preferred:
            preferred.write("1000")
    if "grow" in payload:
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    return payload["echo"]
