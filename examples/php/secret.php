<?php
// Uses a secret without showing it.
function handle($context, $payload)
{
    return ['passwordLength' => strlen($context['secrets']['password'])];
}
