"""Tells what the gateway passed on about the HTTP request."""


def handle(context, payload):
    request = context.get("httpContext", {})
    return {"method": request.get("method"), "uri": request.get("uri"), "query": payload}
