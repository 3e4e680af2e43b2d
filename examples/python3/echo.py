"""Returns what it was given, so that one can see what a handler sees."""


def handle(context, payload):
    return {"payload": payload, "context": sorted(context)}
