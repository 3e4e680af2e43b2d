"""Greets: {"name": "Ada", "place": "London"} -> {"greeting": "Hello, Ada from London"}."""


def handle(context, payload):
    name = payload.get("name", "Noone")
    place = payload.get("place", "Nowhere")
    return {"greeting": f"Hello, {name} from {place}"}
