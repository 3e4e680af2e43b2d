<?php
// Writes to both logs; the lines end up in the run, and only there.
function handle($context, $payload)
{
    echo "this is stdout\n";
    fwrite(STDERR, "this is stderr\n");
    return 'logged';
}
