# Finds a handler: reads $dispatchHandler and $dispatchDirectory, sets $dispatchFunction. It is run in
# its caller's scope, so that the handler's own functions stay known there.

# The handler is `file.ps1::function`; without a file the only script holds it.
$dispatchFile, $dispatchFunction = $dispatchHandler -split '::', 2
if (-not $dispatchFunction) {
    $named = $dispatchFile -and $dispatchFile -notlike '*.ps1'
    $dispatchFunction = if ($named) { $dispatchFile } else { 'handle' }
}
if ($dispatchFile -notlike '*.ps1') {
    $scripts = @(Get-ChildItem -Path $dispatchDirectory -Filter *.ps1)
    if ($scripts.Count -ne 1) { throw "the handler names no file; write FILE.ps1::$dispatchFunction" }
    $dispatchFile = $scripts[0].Name
}
. (Join-Path $dispatchDirectory $dispatchFile)
Get-Command -Name $dispatchFunction -CommandType Function | Out-Null

function Get-DispatchFailure($problem) {
    $ours = 'host\.ps1|serve\.ps1|handler\.ps1'
    $trace = @(($problem.ScriptStackTrace -split "`n") | Where-Object { $_ -notmatch $ours })
    $name = $problem.Exception.GetType().Name
    return @{ message = "${name}: $($problem.Exception.Message)"; stacktrace = $trace }
}
