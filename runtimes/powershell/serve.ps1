# The entry point of a PowerShell function image: the Function Runtime API on $PORT.
#
#     GET /healthz   200 {}
#     POST /*        {"context": {...}, "payload": ...}, answered with
#                    {"context": {"error": ..., "logs": {...}}, "payload": ...}
#
# One call at a time; while it runs, nothing else is answered. What Write-Host, the error, warning,
# verbose and debug streams and [Console] print is the call's log; what programs it starts print
# is not.

$ErrorActionPreference = 'Stop'

function Get-DispatchNumber([string]$name, [int]$usual) {
    $text = [Environment]::GetEnvironmentVariable($name)
    if (-not $text) { return $usual }
    if ($text -notmatch '^[1-9][0-9]{0,8}$') {
        [Console]::Error.WriteLine("$name is '$text'; write a whole number from 1 on")
        exit 1
    }
    return [int]$text
}

$dispatchPort = Get-DispatchNumber 'PORT' 8080
$dispatchMost = Get-DispatchNumber 'DISPATCH_MAX_PAYLOAD_BYTES' (6 -shl 20)
$dispatchMostLog = Get-DispatchNumber 'DISPATCH_MAX_LOG_BYTES' (64 -shl 10)
$dispatchHandler = $env:DISPATCH_HANDLER
$dispatchDirectory = if ($env:DISPATCH_FUNCTION) { $env:DISPATCH_FUNCTION } else { '/function' }
try {
    . (Join-Path $PSScriptRoot handler.ps1)
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}

function Get-DispatchLines([string]$text) {
    $cut = $text.Length -gt $dispatchMostLog
    if ($cut) { $text = $text.Substring(0, $dispatchMostLog) }
    $lines = @($text -split "`r?`n")
    if ($lines[-1] -eq '') { $lines = @($lines | Select-Object -SkipLast 1) }
    if ($cut) { $lines += "[dispatch: log cut after $dispatchMostLog bytes]" }
    return , $lines
}

function Send-DispatchText($response, [int]$status, [string]$text) {
    $bytes = [Text.Encoding]::UTF8.GetBytes($text)
    $response.StatusCode = $status
    $response.ContentType = 'application/json'
    $response.ContentLength64 = $bytes.Length
    $response.OutputStream.Write($bytes, 0, $bytes.Length)
    $response.Close()
}

function Send-DispatchReply($response, [int]$status, $failure, [string]$payload, $out, $err) {
    $logs = [ordered]@{ stdout = @($out); stderr = @($err) }
    $context = [ordered]@{ error = $failure; logs = $logs }
    $context = ConvertTo-Json -Compress -Depth 8 -InputObject $context
    Send-DispatchText $response $status "{`"context`":$context,`"payload`":$payload}"
}

function Send-DispatchRefusal($response, [int]$status, [string]$message) {
    $failure = [ordered]@{ type = 'InputError'; message = $message; stacktrace = @() }
    Send-DispatchReply $response $status $failure 'null' @() @()
}

# The body's bytes; null when there are more than may be.
function Read-DispatchBody($request) {
    $max = $dispatchMost + (1 -shl 20)
    if ($request.ContentLength64 -gt $max) { return $null }
    $whole, $part = [IO.MemoryStream]::new(), [byte[]]::new(65536)
    while (($got = $request.InputStream.Read($part, 0, $part.Length)) -gt 0) {
        if ($whole.Length + $got -gt $max) { return $null }
        $whole.Write($part, 0, $got)
    }
    return , $whole.ToArray()
}

function Invoke-DispatchCall($response, $context, $payload) {
    $out, $err = [IO.StringWriter]::new(), [IO.StringWriter]::new()
    $before = [Console]::Out, [Console]::Error
    [Console]::SetOut($out)
    [Console]::SetError($err)
    $failure, $answer = $null, 'null'
    try {
        $values = @(& $dispatchFunction $context $payload 2>&1 3>&1 4>&1 5>&1 6>&1 | ForEach-Object {
            if ($_ -is [Management.Automation.InformationRecord]) { $out.WriteLine("$_") }
            elseif ($_ -is [Management.Automation.ErrorRecord]) { $err.WriteLine("$_") }
            elseif ($_ -is [Management.Automation.WarningRecord]) { $err.WriteLine("$_") }
            elseif ($_ -is [Management.Automation.VerboseRecord]) { $out.WriteLine("$_") }
            elseif ($_ -is [Management.Automation.DebugRecord]) { $out.WriteLine("$_") }
            else { , $_ }
        })
        $value = if ($values.Count -eq 1) { $values[0] } elseif ($values.Count) { $values } else { $null }
        $answer = ConvertTo-Json -InputObject $value -Depth 64 -Compress
        $size = [Text.Encoding]::UTF8.GetByteCount($answer)
        if ($size -gt $dispatchMost) {
            throw "the result has $size bytes; $dispatchMost are allowed"
        }
    } catch {
        $failure, $answer = ([ordered]@{ type = 'FunctionError' } + (Get-DispatchFailure $_)), 'null'
    } finally {
        [Console]::SetOut($before[0])
        [Console]::SetError($before[1])
    }
    $lines = (Get-DispatchLines $out.ToString()), (Get-DispatchLines $err.ToString())
    Send-DispatchReply $response 200 $failure $answer $lines[0] $lines[1]
}

function Invoke-DispatchRequest($request, $response) {
    # The first is ours; OpenFaaS asks the others.
    $health = '/healthz', '/_/health', '/_/ready'
    if ($request.HttpMethod -eq 'GET' -and $health -ccontains $request.Url.AbsolutePath) {
        return Send-DispatchText $response 200 '{}'
    }
    if ($request.HttpMethod -ne 'POST') {
        return Send-DispatchText $response 404 '{"message": "GET /healthz, or POST a call"}'
    }
    $body = Read-DispatchBody $request
    if ($null -eq $body) {
        $max = $dispatchMost + (1 -shl 20)
        $message = "the request has more than the $max bytes that are allowed"
        return Send-DispatchRefusal $response 413 $message
    }
    try {
        $text = [Text.Encoding]::UTF8.GetString($body)
        if (-not $text.Trim()) { throw 'it is empty' }
        $call = ConvertFrom-Json -InputObject $text -AsHashtable -NoEnumerate
    } catch {
        return Send-DispatchRefusal $response 400 "the request is not JSON: $_"
    }
    if ($call -isnot [Collections.IDictionary]) {
        $message = 'the request is no JSON object with context and payload'
        return Send-DispatchRefusal $response 400 $message
    }
    $context = if ($null -eq $call.context) { @{} } else { $call.context }
    if ($context -isnot [Collections.IDictionary]) {
        return Send-DispatchRefusal $response 400 'the context is no JSON object'
    }
    Invoke-DispatchCall $response $context $call.payload
}

$dispatchListener = [Net.HttpListener]::new()
$dispatchListener.Prefixes.Add("http://*:$dispatchPort/")
$dispatchListener.Start()
$dispatchStop = [Threading.CancellationTokenSource]::new()
# A signal comes on a thread where no script can run, so this is put together of .NET's own parts.
$expression, $kind = [Linq.Expressions.Expression], [Runtime.InteropServices.PosixSignalContext]
$signal = $expression::Parameter($kind)
$cancel = $expression::Assign(
    $expression::Property($signal, 'Cancel'), $expression::Constant($true, [bool]))
$method = [Threading.CancellationTokenSource].GetMethod('Cancel', [Type[]]@())
$stop = $expression::Call($expression::Constant($dispatchStop), $method)
$both = $expression::Block([Linq.Expressions.Expression[]]@($cancel, $stop))
$parameters = [Linq.Expressions.ParameterExpression[]]@($signal)
$action = [Action[Runtime.InteropServices.PosixSignalContext]]
$onSignal = $expression::Lambda($action, $both, $parameters).Compile()
$dispatchSignal = [Runtime.InteropServices.PosixSignalRegistration]::Create(
    [Runtime.InteropServices.PosixSignal]::SIGTERM, $onSignal)
while (-not $dispatchStop.IsCancellationRequested) {
    $next = $dispatchListener.GetContextAsync()
    # Short waits, so that the stop is noticed.
    while (-not $next.Wait(200)) { if ($dispatchStop.IsCancellationRequested) { break } }
    if (-not $next.IsCompleted) { break }
    try {
        Invoke-DispatchRequest $next.Result.Request $next.Result.Response
    } catch {
        [Console]::Error.WriteLine("a request was not answered: $_")
        $next.Result.Response.Abort()
    }
}
$dispatchSignal.Dispose()
$dispatchListener.Stop()
exit 0
