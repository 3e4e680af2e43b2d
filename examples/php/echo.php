<?php
// Returns what it was given, so that one can see what a handler sees.
function handle($context, $payload)
{
    $keys = array_keys((array) $context);
    sort($keys);
    return ['payload' => $payload, 'context' => $keys];
}
