"""Uses a secret without showing it."""


def handle(context, payload):
    password = context["secrets"]["password"]
    return {"passwordLength": len(password)}
