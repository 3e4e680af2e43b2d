<?php
// The PHP host: loads a handler and calls it. Start: `php -d display_errors=stderr host.php`,
// with the socket as descriptor 3. The protocol is in ../PROTOCOL.md.
//
// JSON objects reach the handler as associative arrays.

declare(strict_types=1);

namespace Dispatch;

const LOAD = 1;
const CALL = 2;
const HELLO = 16;
const LOADED = 17;
const LOAD_FAILED = 18;
const RESULT = 19;
const ERROR = 20;
const LAST = 0x80;
const TOKEN = 8;
const JSON = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;

final class Host
{
    /** @var resource */
    private $socket;

    public function __construct()
    {
        if (getmypid() !== 1 && function_exists('posix_setpgid')) {
            // A group of its own, so that it can be ended with what its handlers start.
            posix_setpgid(0, 0);
        }
        $this->socket = fopen('php://fd/3', 'r+b');
        stream_set_read_buffer($this->socket, 0);
        stream_set_write_buffer($this->socket, 0);
    }

    public function serve(): void
    {
        $this->send(HELLO, '');
        $frame = $this->receive();
        if ($frame === null || $frame[0] !== LOAD) {
            return;
        }
        $order = json_decode($frame[1], true);
        foreach ((array) $order['environment'] as $name => $value) {
            putenv("$name=$value");
            $_ENV[$name] = $value;
        }
        try {
            $handler = $this->find($order['directory'], (string) $order['handler']);
        } catch (\Throwable $error) {
            $this->send(LOAD_FAILED, $this->describe($error));
            return;
        }
        $this->send(LOADED, '');
        while (($frame = $this->receive()) !== null && $frame[0] === CALL) {
            $token = substr($frame[1], 0, TOKEN);
            $body = substr($frame[1], TOKEN);
            [$kind, $answer] = $this->call($handler, $body, $order['max_payload_bytes']);
            while (ob_get_level() > 0) {
                ob_end_flush();
            }
            flush();
            $last = $this->sweep();
            $this->send($last ? $kind | LAST : $kind, $token . $answer);
            if ($last) {
                return;
            }
        }
    }

    /** @return array{int, string} */
    private function call(callable $handler, string $body, int $most): array
    {
        try {
            $length = unpack('V', $body)[1];
            $flags = JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING;
            $context = json_decode(substr($body, 4, $length), true, 512, $flags);
            $payload = json_decode(substr($body, 4 + $length), true, 512, $flags);
            $value = $handler($context, $payload);
        } catch (\Throwable $error) {
            return [ERROR, $this->describe($error)];
        }
        try {
            $answer = json_encode($value, JSON | JSON_THROW_ON_ERROR);
        } catch (\JsonException $error) {
            return [ERROR, $this->failure('the result is not JSON: ' . $error->getMessage())];
        }
        $length = strlen($answer);
        if ($length > $most) {
            return [ERROR, $this->failure("the result has $length bytes; $most are allowed")];
        }
        return [RESULT, $answer];
    }

    /** The handler is `file.function`; without a file the only one holds it. */
    private function find(string $directory, string $handler): callable
    {
        $packages = getenv('DISPATCH_PACKAGES') . '/vendor/autoload.php';
        if (is_file($packages)) {
            require $packages;
        }
        $dot = strrpos($handler, '.');
        $function = $dot === false ? $handler : substr($handler, $dot + 1);
        $function = $function === '' ? 'handle' : $function;
        if ($dot === false) {
            $files = glob("$directory/*.php");
            if (count($files) !== 1) {
                throw new \RuntimeException(
                    "the handler '$function' names no file; write FILE.$function"
                );
            }
            $file = $files[0];
        } else {
            $file = $directory . '/' . substr($handler, 0, $dot) . '.php';
        }
        if (!is_file($file)) {
            throw new \RuntimeException('there is no ' . basename($file));
        }
        require $file;
        if (!is_callable($function)) {
            throw new \RuntimeException(basename($file) . " defines no function $function");
        }
        return $function;
    }

    private function describe(\Throwable $error): string
    {
        $place = basename($error->getFile()) . ':' . $error->getLine();
        $lines = array_filter(
            explode("\n", $error->getTraceAsString()),
            fn ($line) => !str_contains($line, __FILE__) && !str_contains($line, __NAMESPACE__)
        );
        $message = get_class($error) . ': ' . $error->getMessage();
        return $this->failure($message, ["at $place", ...array_values($lines)]);
    }

    /** @param list<string> $lines */
    private function failure(string $message, array $lines = []): string
    {
        $short = array_map(fn ($line) => substr($line, 0, 2000), array_slice($lines, 0, 200));
        $flags = JSON | JSON_INVALID_UTF8_SUBSTITUTE;
        return json_encode(['message' => substr($message, 0, 8000), 'stacktrace' => $short], $flags);
    }

    /**
     * Ends the processes a handler left behind, where PHP was built to tell; or says that the
     * worker has to end with them.
     */
    private function sweep(): bool
    {
        if (!function_exists('pcntl_waitpid') || pcntl_waitpid(-1, $status, WNOHANG) < 0) {
            return false;
        }
        if (getmypid() !== 1) {
            // Here -1 would be everything of this user.
            return true;
        }
        posix_kill(-1, 9);
        while (pcntl_waitpid(-1, $status) > 0) {
        }
        return false;
    }

    /** @return array{int, string}|null */
    private function receive(): ?array
    {
        $head = $this->read(5);
        if ($head === null) {
            return null;
        }
        $frame = unpack('Vlength/Ckind', $head);
        $body = $this->read($frame['length']);
        return $body === null ? null : [$frame['kind'], $body];
    }

    private function read(int $length): ?string
    {
        $text = '';
        while (strlen($text) < $length) {
            $part = fread($this->socket, $length - strlen($text));
            if ($part === false || $part === '') {
                return null;
            }
            $text .= $part;
        }
        return $text;
    }

    private function send(int $kind, string $text): void
    {
        $frame = pack('VC', strlen($text), $kind) . $text;
        for ($sent = 0; $sent < strlen($frame); $sent += $written) {
            $written = fwrite($this->socket, $sent === 0 ? $frame : substr($frame, $sent));
            if ($written === false || $written === 0) {
                exit(1);
            }
        }
    }
}

(new Host())->serve();
