<?php
// Adds two numbers; the schemas beside it refuse anything else before it is called.
function handle($context, $payload)
{
    return ['sum' => $payload['a'] + $payload['b']];
}
