# Writes to both logs; the lines end up in the run, and only there.
function handle($context, $payload) {
    [Console]::Out.WriteLine('this is stdout')
    [Console]::Error.WriteLine('this is stderr')
    return 'logged'
}
