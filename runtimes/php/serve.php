<?php
// The entry point of a PHP function image: the Function Runtime API on $PORT.
//
//     GET /healthz   200 {}
//     POST /*        {"context": {...}, "payload": ...}, answered with
//                    {"context": {"error": ..., "logs": {...}}, "payload": ...}
//
// Handlers run in workers: host.php, started by this file and spoken to by ../PROTOCOL.md. So a
// handler that ends its process fails one call and no more, and what it prints is that call's log.
// DISPATCH_CONCURRENCY says how many calls run at the same time; more wait. This file itself is one
// loop over everything that can be read or written. It stops gracefully where PHP has pcntl.
//
// On AWS Lambda it does not listen, but asks for calls: the Lambda Runtime API.

declare(strict_types=1);

namespace Dispatch\Serve;

const LOAD = 1;
const CALL = 2;
const HELLO = 16;
const LOADED = 17;
const RESULT = 19;
const ERROR = 20;
const LAST = 0x80;
const TOKEN = 8;
// Of a request's body besides its payload: the context.
const SLACK_BYTES = 1 << 20;
const MAX_HEAD_BYTES = 64 << 10;
const MAX_CONNECTIONS = 256;
// A connection on which nothing moves for so long is closed, unless its call runs.
const IDLE_SECONDS = 30;
// Names the server of the Lambda Runtime API. Handlers do not see it: a call is not theirs to ask
// for.
const RUNTIME_API = 'AWS_LAMBDA_RUNTIME_API';
// Kept of the time Lambda gives a call, to answer that it took too long.
const MARGIN_MS = 100;
// An event that is no call: whether the handler is loaded.
// The first is ours; OpenFaaS asks the others.
const HEALTH = ['/healthz', '/_/health', '/_/ready'];
const HEALTHZ = '"healthz"';
const JSON = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION
    | JSON_INVALID_UTF8_SUBSTITUTE;
const REASONS = [200 => 'OK', 400 => 'Bad Request', 404 => 'Not Found', 413 => 'Content Too Large',
    431 => 'Request Header Fields Too Large', 500 => 'Internal Server Error'];

function number(string $name, int $usual): int
{
    $text = getenv($name) ?: (string) $usual;
    if (!preg_match('/^[1-9]\d*$/D', $text)) {
        fwrite(STDERR, "$name is '$text'; write a whole number from 1 on\n");
        exit(1);
    }
    return (int) $text;
}

/** @return array{payload: int, log: int} */
function settings(): array
{
    return ['payload' => number('DISPATCH_MAX_PAYLOAD_BYTES', 6 << 20),
        'log' => number('DISPATCH_MAX_LOG_BYTES', 64 << 10)];
}

/** @param list<list<string>> $logs */
function envelope(?array $error, string $payload = 'null', array $logs = [[], []]): string
{
    $error = $error === null ? null : $error + ['stacktrace' => []];
    $logs = ['stdout' => $logs[0], 'stderr' => $logs[1]];
    $context = json_encode(['error' => $error, 'logs' => $logs], JSON);
    return "{\"context\":$context,\"payload\":$payload}";
}

/** @param list<list<string>> $logs */
function answered(int $kind, string $body, array $logs): string
{
    if (($kind & ~LAST) === RESULT) {
        return envelope(null, $body, $logs);
    }
    return envelope(['type' => 'FunctionError'] + json_decode($body, true), 'null', $logs);
}

function timed_out(float $limit): string
{
    return sprintf('the function timed out after %.0f ms', $limit);
}

/** When a call that comes now has to end, by the monotonic clock. */
function ends(?float $limit): ?float
{
    return $limit === null ? null : hrtime(true) / 1e9 + $limit / 1000;
}

/** A request that is answered with this status; the handler is not called. */
final class Refused extends \Exception
{
}

/**
 * The context and the payload of a call as JSON, and its limit in milliseconds. OpenWhisk has calls
 * in a `value`; where that has no payload, none is meant, as in its /init: null.
 *
 * @return array{string, string, float|null}|null
 */
function split(string $body): ?array
{
    try {
        $call = json_decode($body, false, 512, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
    } catch (\JsonException $error) {
        throw new Refused('the request is not JSON: ' . $error->getMessage(), 400);
    }
    if (!$call instanceof \stdClass) {
        throw new Refused('the request is no JSON object with context and payload', 400);
    }
    if (!property_exists($call, 'payload') && ($call->value ?? null) instanceof \stdClass) {
        $call = $call->value;
        if (!property_exists($call, 'payload')) {
            return null;
        }
    }
    $context = $call->context ?? new \stdClass();
    if (!$context instanceof \stdClass) {
        throw new Refused('the context is no JSON object', 400);
    }
    $limit = $context->timeout ?? null;
    $limit = is_numeric($limit) && $limit > 0 && $limit < 1e9 ? (float) $limit : null;
    return [json_encode($context, JSON), json_encode($call->payload ?? null, JSON), $limit];
}

/** One output stream of a worker, cut at a limit. */
final class Log
{
    private string $kept = '';
    private bool $cut = false;

    /** @param resource $pipe */
    public function __construct(public $pipe, private int $most)
    {
        stream_set_blocking($pipe, false);
    }

    public function read(): bool
    {
        $part = (string) fread($this->pipe, 65536);
        $kept = substr($part, 0, $this->most - strlen($this->kept));
        $this->cut = $this->cut || strlen($kept) < strlen($part);
        $this->kept .= $kept;
        return $part !== '';
    }

    /** @return list<string> */
    public function take(): array
    {
        while ($this->read()) {
        }
        $lines = $this->kept === '' ? [] : preg_split('/\r?\n/', $this->kept);
        if ($lines !== [] && end($lines) === '') {
            array_pop($lines);
        }
        if ($this->cut) {
            $lines[] = "[dispatch: log cut after $this->most bytes]";
        }
        [$this->kept, $this->cut] = ['', false];
        return $lines;
    }
}

/** A process that answers one call at a time. */
final class Worker
{
    /** @var resource */
    private $process;
    /** @var resource */
    public $socket;
    /** @var list<Log> */
    public array $logs;
    public ?Connection $caller = null;
    private string $read = '';
    private string $token = '';
    /** When its call has to end, by the monotonic clock, and the milliseconds it was given. */
    public ?float $ends = null;
    private ?float $limit = null;
    private int $pid;

    public function __construct(private array $settings)
    {
        $memory = 'memory_limit=' . ini_get('memory_limit');
        $words = [PHP_BINARY, '-d', 'display_errors=stderr', '-d', $memory, __DIR__ . '/host.php'];
        $null = ['file', '/dev/null', 'r'];
        $streams = [$null, ['pipe', 'w'], ['pipe', 'w'], ['socket']];
        $this->process = proc_open($words, $streams, $pipes);
        if ($this->process === false) {
            throw new \RuntimeException('a worker cannot be started');
        }
        $this->pid = proc_get_status($this->process)['pid'];
        [, $out, $err, $this->socket] = $pipes;
        $this->logs = [new Log($out, $settings['log']), new Log($err, $settings['log'])];
        $this->load();
        stream_set_blocking($this->socket, false);
    }

    private function load(): void
    {
        $order = ['steps' => [], 'handler' => (string) getenv('DISPATCH_HANDLER'),
            'directory' => getenv('DISPATCH_FUNCTION') ?: '/function',
            'environment' => (object) array_diff_key(getenv(), [RUNTIME_API => '']),
            'max_payload_bytes' => $this->settings['payload'], 'load_timeout_ms' => 0];
        $hello = $this->wait();
        if ($hello !== null && $hello[0] === HELLO) {
            $this->send(LOAD, json_encode($order, JSON));
        }
        $answer = $this->wait();
        if ($answer !== null && $answer[0] === LOADED) {
            return;
        }
        $failure = json_decode($answer[1] ?? '{"message": "the worker ended as it started"}', true);
        $words = array_merge($this->logs[0]->take(), $this->logs[1]->take(), [$failure['message']]);
        $this->end();
        $trace = $failure['stacktrace'] ?? [];
        throw new \RuntimeException(implode("\n", array_merge($words, $trace)));
    }

    /** @return array{int, string}|null */
    private function wait(): ?array
    {
        while (($frame = $this->frame()) === null && !feof($this->socket)) {
            $read = [$this->socket, $this->logs[0]->pipe, $this->logs[1]->pipe];
            $none = null;
            if (@stream_select($read, $none, $none, 1)) {
                $this->logs[0]->read();
                $this->logs[1]->read();
                if (in_array($this->socket, $read, true)) {
                    $this->read .= (string) fread($this->socket, 65536);
                }
            }
        }
        return $frame;
    }

    /** @return array{int, string}|null */
    private function frame(): ?array
    {
        if (strlen($this->read) < 5) {
            return null;
        }
        $head = unpack('Vlength/Ckind', $this->read);
        if (strlen($this->read) < 5 + $head['length']) {
            return null;
        }
        $body = substr($this->read, 5, $head['length']);
        $this->read = substr($this->read, 5 + $head['length']);
        return [$head['kind'], $body];
    }

    private function send(int $kind, string $body): void
    {
        $frame = pack('VC', strlen($body), $kind) . $body;
        stream_set_blocking($this->socket, true);
        for ($sent = 0; $sent < strlen($frame); $sent += $written) {
            $written = @fwrite($this->socket, substr($frame, $sent, 1 << 20));
            if (!$written) {
                // Gone: its socket says so to whoever reads.
                break;
            }
        }
    }

    /** `$ends` is when it has to end, by the monotonic clock. */
    public function call(?Connection $caller, string $context, string $payload, ?float $limit,
        ?float $ends): void
    {
        [$this->limit, $this->ends] = [$limit, $ends];
        [$this->caller, $this->token] = [$caller, random_bytes(TOKEN)];
        $this->send(CALL, $this->token . pack('V', strlen($context)) . $context . $payload);
        stream_set_blocking($this->socket, false);
    }

    /**
     * What can be read; the answer when it is whole: its kind, its body, both logs.
     *
     * @return array{int, string, list<list<string>>}|null
     */
    public function follow(): ?array
    {
        $this->logs[0]->read();
        $this->logs[1]->read();
        $this->read .= (string) fread($this->socket, 1 << 20);
        $forged = 0;
        while (($frame = $this->frame()) !== null) {
            if (str_starts_with($frame[1], $this->token)) {
                $answer = [$frame[0] | $forged, substr($frame[1], TOKEN)];
                return [...$answer, [$this->logs[0]->take(), $this->logs[1]->take()]];
            }
            $forged = LAST;
        }
        $late = $this->ends !== null && hrtime(true) / 1e9 >= $this->ends;
        if (!feof($this->socket) && !$late) {
            return null;
        }
        $message = $late ? timed_out($this->limit)
            : 'the function\'s process ended before it answered: ' . $this->ending();
        $body = json_encode(['message' => $message, 'stacktrace' => []], JSON);
        return [ERROR | LAST, $body, [$this->logs[0]->take(), $this->logs[1]->take()]];
    }

    private function ending(): string
    {
        // It closed its socket a moment before.
        for ($look = 0; $look < 500; $look++) {
            $status = proc_get_status($this->process);
            if (!$status['running']) {
                return $status['signaled'] ? "signal {$status['termsig']}"
                    : "exit status {$status['exitcode']}";
            }
            usleep(1000);
        }
        return 'it closed its socket';
    }

    public function end(): void
    {
        fclose($this->socket);
        if (function_exists('posix_kill')) {
            @posix_kill(-$this->pid, 9);
        }
        proc_terminate($this->process, 9);
        proc_close($this->process);
    }
}

/** One connection: what was read of its request, and what is to be written. */
final class Connection
{
    public string $read = '';
    public string $unsent = '';
    public bool $keep = true;
    public bool $called = false;
    public int $moved;
    private bool $continued = false;

    /** @param resource $socket */
    public function __construct(public $socket, private int $most)
    {
        stream_set_blocking($socket, false);
        $this->moved = time();
    }

    /**
     * The method, the path and the body of the next request, when it is whole.
     *
     * @return array{string, string, string}|null
     */
    public function request(): ?array
    {
        $end = strpos($this->read, "\r\n\r\n");
        if (($end === false ? strlen($this->read) : $end) > MAX_HEAD_BYTES) {
            throw new Refused('the head is larger than ' . MAX_HEAD_BYTES . ' bytes', 431);
        }
        if ($end === false) {
            return null;
        }
        $lines = explode("\r\n", substr($this->read, 0, $end));
        $words = explode(' ', array_shift($lines));
        $fields = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + ['', ''];
            $fields[strtolower(trim($name))] = trim($value);
        }
        $body = $this->body($fields, $end + 4);
        if ($body === null) {
            return null;
        }
        $close = strtolower($fields['connection'] ?? '') === 'close';
        $this->keep = ($words[2] ?? '') === 'HTTP/1.1' && !$close;
        $this->continued = false;
        return [$words[0], $words[1] ?? '', $body];
    }

    /** @param array<string, string> $fields */
    private function body(array $fields, int $start): ?string
    {
        $chunked = str_contains(strtolower($fields['transfer-encoding'] ?? ''), 'chunked');
        $length = $fields['content-length'] ?? '0';
        if (!$chunked && !preg_match('/^\d+$/D', $length)) {
            throw new Refused("Content-Length is '$length'; send a number of bytes", 400);
        }
        if (!$chunked && (float) $length > $this->most) {
            throw $this->tooLarge();
        }
        if (strtolower($fields['expect'] ?? '') === '100-continue' && !$this->continued) {
            $this->continued = true;
            $this->unsent .= "HTTP/1.1 100 Continue\r\n\r\n";
        }
        if ($chunked) {
            return $this->chunks($start);
        }
        if (strlen($this->read) < $start + (int) $length) {
            return null;
        }
        $body = substr($this->read, $start, (int) $length);
        $this->read = substr($this->read, $start + (int) $length);
        return $body;
    }

    private function chunks(int $at): ?string
    {
        $body = '';
        while (($end = strpos($this->read, "\r\n", $at)) !== false) {
            if (!preg_match('/\G[0-9a-f]{1,8}/i', $this->read, $found, 0, $at)) {
                throw new Refused('a chunk does not begin with its length', 400);
            }
            $length = hexdec($found[0]);
            if (strlen($body) + $length > $this->most) {
                throw $this->tooLarge();
            }
            if ($length === 0) {
                $rest = strpos($this->read, "\r\n\r\n", $end - strlen($found[0]));
                $rest = $rest === false ? strpos($this->read, "\r\n\r\n", $end) : $rest;
                if ($rest === false) {
                    return null;
                }
                $this->read = substr($this->read, $rest + 4);
                return $body;
            }
            if (strlen($this->read) < $end + 2 + $length + 2) {
                return null;
            }
            $body .= substr($this->read, $end + 2, $length);
            $at = $end + 2 + $length + 2;
        }
        return null;
    }

    private function tooLarge(): Refused
    {
        return new Refused("the request has more than the $this->most bytes that are allowed", 413);
    }

    public function answer(int $status, string $body, bool $keep): void
    {
        $this->keep = $this->keep && $keep;
        $this->called = false;
        $this->moved = time();
        $this->unsent .= "HTTP/1.1 $status " . REASONS[$status] . "\r\n"
            . "Content-Type: application/json\r\nContent-Length: " . strlen($body) . "\r\n"
            . 'Connection: ' . ($this->keep ? 'keep-alive' : 'close') . "\r\n\r\n" . $body;
    }

    public function write(): bool
    {
        $sent = @fwrite($this->socket, substr($this->unsent, 0, 1 << 20));
        $this->moved = time();
        $this->unsent = substr($this->unsent, (int) $sent);
        return $sent !== false;
    }
}

final class Server
{
    /** @var array<int, Connection> */
    private array $connections = [];
    /** @var list<Worker> */
    private array $idle = [];
    /** @var list<Worker> */
    private array $busy = [];
    /** @var list<array{Connection, string, string, float|null, float|null}> */
    private array $waiting = [];
    /** @var resource */
    private $listener;
    private bool $stopping = false;
    private int $concurrency;
    private array $settings;

    public function __construct()
    {
        $this->settings = settings();
        $this->concurrency = number('DISPATCH_CONCURRENCY', 1);
        $port = number('PORT', 8080);
        $this->idle[] = new Worker($this->settings);
        $options = ['socket' => ['backlog' => MAX_CONNECTIONS, 'tcp_nodelay' => true]];
        $listener = @stream_socket_server("tcp://0.0.0.0:$port", $number, $reason,
            STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, stream_context_create($options));
        if ($listener === false) {
            throw new \RuntimeException("port $port: $reason");
        }
        $this->listener = $listener;
        if (function_exists('pcntl_signal')) {
            pcntl_async_signals(true);
            pcntl_signal(SIGTERM, function () {
                $this->stopping = true;
            });
        }
    }

    public function run(): void
    {
        while (!$this->stopping || $this->atWork()) {
            $this->turn();
        }
        array_map(fn ($worker) => $worker->end(), $this->idle);
    }

    /** Whether a request has come that is not wholly answered. */
    private function atWork(): bool
    {
        $open = fn ($c) => $c->read !== '' || $c->unsent !== '' || $c->called;
        return array_filter($this->connections, $open) !== [];
    }

    private function turn(): void
    {
        $read = $write = [];
        if (!$this->stopping && count($this->connections) < MAX_CONNECTIONS) {
            $read[] = $this->listener;
        }
        foreach ($this->connections as $connection) {
            // What comes while its call runs stays with the kernel.
            if (!$connection->called && $connection->unsent === '') {
                $read[] = $connection->socket;
            }
            if ($connection->unsent !== '') {
                $write[] = $connection->socket;
            }
        }
        foreach ($this->busy as $worker) {
            array_push($read, $worker->socket, $worker->logs[0]->pipe, $worker->logs[1]->pipe);
        }
        $none = null;
        $ends = array_filter(array_map(fn ($worker) => $worker->ends, $this->busy));
        $wait = $ends === [] ? 1 : max(0, min(1, min($ends) - hrtime(true) / 1e9));
        // A signal ends the wait, which is no failure.
        if (@stream_select($read, $write, $none, 0, (int) ceil($wait * 1e6)) === false) {
            return;
        }
        if (in_array($this->listener, $read, true)) {
            $this->accept();
        }
        foreach ($this->busy as $worker) {
            $streams = [$worker->socket, $worker->logs[0]->pipe, $worker->logs[1]->pipe];
            $moved = array_filter($streams, fn ($stream) => in_array($stream, $read, true));
            if ($moved !== [] || $worker->ends !== null) {
                $this->follow($worker);
            }
        }
        foreach ($this->connections as $connection) {
            $this->move($connection, $read, $write);
        }
        $this->start();
    }

    private function accept(): void
    {
        $socket = @stream_socket_accept($this->listener, 0);
        if ($socket !== false) {
            $most = $this->settings['payload'] + SLACK_BYTES;
            $this->connections[(int) $socket] = new Connection($socket, $most);
        }
    }

    private function move(Connection $connection, array $read, array $write): void
    {
        $open = true;
        if (in_array($connection->socket, $write, true)) {
            $open = $connection->write() && ($connection->keep || $connection->unsent !== '');
        }
        if ($open && in_array($connection->socket, $read, true)) {
            $part = (string) @fread($connection->socket, 1 << 20);
            $connection->read .= $part;
            $connection->moved = time();
            $open = $part !== '' || !feof($connection->socket);
        }
        $waits = !$connection->called && time() - $connection->moved > IDLE_SECONDS;
        if (!$open || $waits) {
            fclose($connection->socket);
            unset($this->connections[array_search($connection, $this->connections, true)]);
        } elseif (!$connection->called && $connection->unsent === '' && $connection->read !== '') {
            $this->take($connection);
        }
    }

    private function take(Connection $connection): void
    {
        try {
            $request = $connection->request();
            if ($request === null) {
                return;
            }
            [$method, $path, $body] = $request;
            if ($method === 'GET' && in_array($path, HEALTH, true)) {
                $connection->answer(200, '{}', !$this->stopping);
            } elseif ($method !== 'POST') {
                $message = '{"message": "GET /healthz, or POST a call"}';
                $connection->answer(404, $message, !$this->stopping);
            } elseif (($call = split($body)) === null) {
                $connection->answer(200, '{}', !$this->stopping);
            } else {
                // Its caller's time runs from here, also while it waits for its turn.
                $this->waiting[] = [$connection, ...$call, ends($call[2])];
                $connection->called = true;
            }
        } catch (Refused $refused) {
            // What is left of the body would be taken for the next request.
            $connection->read = '';
            $error = ['type' => 'InputError', 'message' => $refused->getMessage()];
            $connection->answer($refused->getCode(), envelope($error), false);
        }
    }

    /** Gives waiting calls to workers, as many as there may be. */
    private function start(): void
    {
        while ($this->waiting !== [] && count($this->busy) < $this->concurrency) {
            [$connection, $context, $payload, $limit, $ends] = array_shift($this->waiting);
            try {
                $worker = array_pop($this->idle) ?? new Worker($this->settings);
            } catch (\RuntimeException $problem) {
                $error = ['type' => 'SystemError', 'message' => $problem->getMessage()];
                $connection->answer(500, envelope($error), false);
                continue;
            }
            if ($ends !== null && hrtime(true) / 1e9 >= $ends) {
                // Nobody waits for it any more: it is not begun.
                $this->idle[] = $worker;
                $error = ['type' => 'FunctionError', 'message' => timed_out($limit)];
                $connection->answer(200, envelope($error), !$this->stopping);
                continue;
            }
            $worker->call($connection, $context, $payload, $limit, $ends);
            $this->busy[] = $worker;
        }
    }

    private function follow(Worker $worker): void
    {
        $answer = $worker->follow();
        if ($answer === null) {
            return;
        }
        [$kind, $body, $logs] = $answer;
        array_splice($this->busy, array_search($worker, $this->busy, true), 1);
        if ($kind & LAST) {
            $worker->end();
        } else {
            $this->idle[] = $worker;
        }
        $worker->caller->answer(200, answered($kind, $body, $logs), !$this->stopping);
    }
}

/** The Lambda Runtime API, of which a function is the client. */
final class LambdaRuntime
{
    private ?Worker $worker = null;

    public function __construct(private string $address, private array $settings)
    {
    }

    public function run(): void
    {
        try {
            $this->worker = new Worker($this->settings);
        } catch (\RuntimeException $error) {
            $this->fail('init/error', $error->getMessage());
            throw $error;
        }
        while (true) {
            [$status, $fields, $event] = $this->ask('GET', 'invocation/next');
            if ($status !== 200) {
                $shown = substr($event, 0, 500);
                throw new \RuntimeException("the Lambda Runtime API answered $status: $shown");
            }
            $id = $fields['lambda-runtime-aws-request-id'];
            $answer = $this->answer($event, left((float) $fields['lambda-runtime-deadline-ms']));
            [$status] = $this->ask('POST', "invocation/$id/response", $answer);
            if ($status === 413) {
                $length = strlen($answer);
                $message = "the answer has $length bytes, which Lambda does not take";
                $this->fail("invocation/$id/error", $message);
            }
        }
    }

    private function answer(string $event, ?float $left): string
    {
        if (trim($event) === HEALTHZ) {
            return '{}';
        }
        try {
            $call = split($event);
        } catch (Refused $refused) {
            return envelope(['type' => 'InputError', 'message' => $refused->getMessage()]);
        }
        if ($call === null) {
            return '{}';
        }
        [$context, $payload, $limit] = $call;
        $limits = array_filter([$limit, $left], fn ($limit) => $limit !== null);
        try {
            $worker = $this->worker ?? new Worker($this->settings);
        } catch (\RuntimeException $problem) {
            return envelope(['type' => 'SystemError', 'message' => $problem->getMessage()]);
        }
        $limit = $limits === [] ? null : min($limits);
        $worker->call(null, $context, $payload, $limit, ends($limit));
        [$kind, $body, $logs] = $this->follow($worker);
        $this->worker = $worker;
        if ($kind & LAST) {
            $worker->end();
            $this->worker = null;
        }
        return answered($kind, $body, $logs);
    }

    /** @return array{int, string, list<list<string>>} */
    private function follow(Worker $worker): array
    {
        while (($answer = $worker->follow()) === null) {
            $read = [$worker->socket, $worker->logs[0]->pipe, $worker->logs[1]->pipe];
            $none = null;
            $wait = $worker->ends === null ? 1 : max(0, min(1, $worker->ends - hrtime(true) / 1e9));
            @stream_select($read, $none, $none, 0, (int) ceil($wait * 1e6));
        }
        return $answer;
    }

    private function fail(string $path, string $message): void
    {
        $error = ['errorType' => 'FunctionError', 'errorMessage' => $message, 'stackTrace' => []];
        $fields = ['Lambda-Runtime-Function-Error-Type: FunctionError'];
        $this->ask('POST', $path, json_encode($error, JSON), $fields);
    }

    /**
     * The status, the fields and the body of an answer. Each has a connection of its own.
     *
     * @return array{int, array<string, string>, string}
     */
    private function ask(string $method, string $path, string $body = '', array $fields = []): array
    {
        $wire = @stream_socket_client("tcp://$this->address", $number, $reason);
        if ($wire === false) {
            throw new \RuntimeException("the Lambda Runtime API at $this->address: $reason");
        }
        // It answers when there is a call, which may take days.
        stream_set_timeout($wire, 1 << 30);
        $lines = ["$method /2018-06-01/runtime/$path HTTP/1.1", "Host: $this->address",
            'Connection: close', 'Content-Type: application/json',
            'Content-Length: ' . strlen($body), ...$fields];
        $request = implode("\r\n", $lines) . "\r\n\r\n" . $body;
        for ($sent = 0; $sent < strlen($request); $sent += $written) {
            $written = @fwrite($wire, substr($request, $sent, 1 << 20));
            if (!$written) {
                break;
            }
        }
        $status = (int) (explode(' ', (string) fgets($wire))[1] ?? 0);
        $told = [];
        while (($line = rtrim((string) fgets($wire))) !== '') {
            [$name, $value] = explode(':', $line, 2) + ['', ''];
            $told[strtolower($name)] = trim($value);
        }
        $chunked = strtolower($told['transfer-encoding'] ?? '') === 'chunked';
        $length = (int) ($told['content-length'] ?? 0);
        $text = $chunked ? self::chunks($wire) : (string) stream_get_contents($wire, $length);
        fclose($wire);
        return [$status, $told, $text];
    }

    /** @param resource $wire */
    private static function chunks($wire): string
    {
        $text = '';
        while (($length = hexdec(trim((string) fgets($wire)))) > 0) {
            $text .= stream_get_contents($wire, $length);
            fgets($wire);
        }
        return $text;
    }
}

/** What is left until a time, less what it takes to answer; null where there is no limit. */
function left(float $ends_ms): ?float
{
    return $ends_ms > 0 ? max(1, $ends_ms - microtime(true) * 1000 - MARGIN_MS) : null;
}

try {
    $address = (string) getenv(RUNTIME_API);
    $address === '' ? (new Server())->run() : (new LambdaRuntime($address, settings()))->run();
} catch (\RuntimeException $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
