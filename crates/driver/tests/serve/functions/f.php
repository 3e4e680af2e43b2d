<?php
function handle($context, $payload)
{
    if (isset($payload['secret'])) {
        return $context['secrets'][$payload['secret']];
    }
    if (isset($payload['log'])) {
        echo $payload['log'], " out\n";
        fwrite(STDERR, $payload['log'] . " err\n");
    }
    if (isset($payload['fail'])) {
        throw new Exception($payload['fail']);
    }
    if (isset($payload['big'])) {
        return str_repeat('x', $payload['big']);
    }
    if (isset($payload['exit'])) {
        exit($payload['exit']);
    }
    if (isset($payload['leave'])) {
        $GLOBALS['left'] = proc_open(['sleep', '1000'], [], $pipes);
        return proc_get_status($GLOBALS['left'])['pid'];
    }
    if (isset($payload['wait'])) {
        touch($payload['mark']);
        for (; !file_exists($payload['wait']); clearstatcache()) {
            usleep(5000);
        }
        return 'gone on';
    }
    return $payload['echo'] ?? null;
}
