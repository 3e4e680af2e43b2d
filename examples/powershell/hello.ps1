# Greets: {"name": "Ada", "place": "London"} -> {"greeting": "Hello, Ada from London"}.
function handle($context, $payload) {
    $name = if ($payload.name) { $payload.name } else { 'Noone' }
    $place = if ($payload.place) { $payload.place } else { 'Nowhere' }
    return @{ greeting = "Hello, $name from $place" }
}
