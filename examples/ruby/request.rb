# Tells what the gateway passed on about the HTTP request.
def handle(context, payload)
  request = context.fetch("httpContext", {})
  { method: request["method"], uri: request["uri"], query: payload }
end
