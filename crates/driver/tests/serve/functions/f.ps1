function handle($context, $payload) {
    if ($payload.secret) { return $context.secrets[$payload.secret] }
    if ($payload.log) {
        Write-Host "$($payload.log) out"
        [Console]::Error.WriteLine("$($payload.log) err")
    }
    if ($payload.fail) { throw $payload.fail }
    if ($payload.big) { return 'x' * $payload.big }
    if ($payload.wait) {
        New-Item -ItemType File -Path $payload.mark | Out-Null
        while (-not (Test-Path $payload.wait)) { Start-Sleep -Milliseconds 5 }
        return 'gone on'
    }
    return , $payload.echo
}
