# Returns what it was given, so that one can see what a handler sees.
function handle($context, $payload) {
    return @{ payload = $payload; context = @($context.Keys | Sort-Object) }
}
