<?php
// Tells what the gateway passed on about the HTTP request.
function handle($context, $payload)
{
    $request = $context['httpContext'] ?? [];
    return ['method' => $request['method'] ?? null, 'uri' => $request['uri'] ?? null, 'query' => $payload];
}
