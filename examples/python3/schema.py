"""Adds two numbers; the schemas beside it refuse anything else before it is called."""


def handle(context, payload):
    return {"sum": payload["a"] + payload["b"]}
