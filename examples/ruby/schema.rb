# Adds two numbers; the schemas beside it refuse anything else before it is called.
def handle(_context, payload)
  { sum: payload["a"] + payload["b"] }
end
