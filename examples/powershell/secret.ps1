# Uses a secret without showing it.
function handle($context, $payload) {
    return @{ passwordLength = $context.secrets.password.Length }
}
