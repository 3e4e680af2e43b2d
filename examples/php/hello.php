<?php
// Greets: {"name": "Ada", "place": "London"} -> {"greeting": "Hello, Ada from London"}.
function handle($context, $payload)
{
    $name = $payload['name'] ?? 'Noone';
    $place = $payload['place'] ?? 'Nowhere';
    return ['greeting' => "Hello, $name from $place"];
}
