# Greets: {"name": "Ada", "place": "London"} -> {"greeting": "Hello, Ada from London"}.
def handle(_context, payload)
  name = payload.fetch("name", "Noone")
  place = payload.fetch("place", "Nowhere")
  { greeting: "Hello, #{name} from #{place}" }
end
