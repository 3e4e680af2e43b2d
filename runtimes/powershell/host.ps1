# The PowerShell host: loads a handler and calls it. Start: `pwsh -NoProfile -NonInteractive -File
# host.ps1`, with the socket as descriptor 3. The protocol is in ../PROTOCOL.md.

$ErrorActionPreference = 'Stop'
$LOAD, $CALL = 1, 2
$HELLO, $LOADED, $LOAD_FAILED, $RESULT, $FAILURE = 16, 17, 18, 19, 20

$dispatchHandle = [System.Net.Sockets.SafeSocketHandle]::new([IntPtr]3, $true)
$dispatchSocket = [System.Net.Sockets.Socket]::new($dispatchHandle)
$dispatchStream = [System.Net.Sockets.NetworkStream]::new($dispatchSocket, $true)

function Read-DispatchBytes([int]$length) {
    $bytes = [byte[]]::new($length)
    $have = 0
    while ($have -lt $length) {
        $got = $dispatchStream.Read($bytes, $have, $length - $have)
        if ($got -eq 0) { return $null }
        $have += $got
    }
    return , $bytes
}

function Read-DispatchFrame {
    $head = Read-DispatchBytes 5
    if ($null -eq $head) { return $null }
    $length = [BitConverter]::ToUInt32($head, 0)
    $body = Read-DispatchBytes $length
    if ($null -eq $body) { return $null }
    return @{ Kind = $head[4]; Body = $body }
}

function Write-DispatchFrame([byte]$kind, [string]$text, [byte[]]$token = @()) {
    $body = [Text.Encoding]::UTF8.GetBytes($text)
    $size = [BitConverter]::GetBytes([uint32]($token.Length + $body.Length))
    $dispatchStream.Write($size, 0, 4)
    $dispatchStream.WriteByte($kind)
    $dispatchStream.Write($token, 0, $token.Length)
    $dispatchStream.Write($body, 0, $body.Length)
    $dispatchStream.Flush()
}

Write-DispatchFrame $HELLO ''
$dispatchFrame = Read-DispatchFrame
if ($null -eq $dispatchFrame -or $dispatchFrame.Kind -ne $LOAD) { exit 0 }
$dispatchOrder = [Text.Encoding]::UTF8.GetString($dispatchFrame.Body) | ConvertFrom-Json -AsHashtable
foreach ($name in $dispatchOrder.environment.Keys) {
    [Environment]::SetEnvironmentVariable($name, $dispatchOrder.environment[$name])
}
try {
    $dispatchHandler, $dispatchDirectory = $dispatchOrder.handler, $dispatchOrder.directory
    . (Join-Path $PSScriptRoot handler.ps1)
} catch {
    $problem = @{ message = "$_"; stacktrace = @("$($_.ScriptStackTrace)" -split "`n") }
    Write-DispatchFrame $LOAD_FAILED (ConvertTo-Json -Compress -InputObject $problem)
    exit 0
}
Write-DispatchFrame $LOADED ''
while ($null -ne ($dispatchFrame = Read-DispatchFrame) -and $dispatchFrame.Kind -eq $CALL) {
    $body = $dispatchFrame.Body
    $dispatchToken = [byte[]]$body[0..7]
    $length = [BitConverter]::ToUInt32($body, 8)
    try {
        $context = [Text.Encoding]::UTF8.GetString($body, 12, $length) |
            ConvertFrom-Json -AsHashtable
        $rest = [Text.Encoding]::UTF8.GetString($body, 12 + $length, $body.Length - 12 - $length)
        $payload = $rest | ConvertFrom-Json -AsHashtable -NoEnumerate
        $value = & $dispatchFunction $context $payload
        $answer = ConvertTo-Json -InputObject $value -Depth 64 -Compress
        $size = [Text.Encoding]::UTF8.GetByteCount($answer)
        if ($size -gt $dispatchOrder.max_payload_bytes) {
            throw "the result has $size bytes; $($dispatchOrder.max_payload_bytes) are allowed"
        }
        Write-DispatchFrame $RESULT $answer $dispatchToken
    } catch {
        $failure = ConvertTo-Json -Compress -InputObject (Get-DispatchFailure $_)
        Write-DispatchFrame $FAILURE $failure $dispatchToken
    }
}
