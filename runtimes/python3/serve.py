"""The entry point of a Python function image: the Function Runtime API on $PORT.

    GET /healthz   200 {}
    POST /*        {"context": {...}, "payload": ...}, answered with
                   {"context": {"error": ..., "logs": {...}}, "payload": ...}

Handlers run in workers: host.py, started by this file and spoken to by ../PROTOCOL.md. So a handler
that ends its process fails one call and no more, and what it prints is that call's log.
DISPATCH_CONCURRENCY says how many calls run at the same time; more wait.

On AWS Lambda it does not listen, but asks for calls: the Lambda Runtime API.
"""

import contextlib
import http.client
import http.server
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

LOAD, CALL = 1, 2
HELLO, LOADED, LOAD_FAILED, RESULT, ERROR = 16, 17, 18, 19, 20
LAST = 0x80
TOKEN = 8
# Of a request's body besides its payload: the context.
SLACK_BYTES = 1 << 20
MAX_CONNECTIONS = 256
# A connection on which nothing comes for so long is closed.
IDLE_SECONDS = 30
# Names the server of the Lambda Runtime API. Handlers do not see it: a call is not theirs to ask for.
RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
# Kept of the time Lambda gives a call, to answer that it took too long.
MARGIN_MS = 100
# An event that is no call: whether the handler is loaded.
# The first is ours; OpenFaaS asks the others.
HEALTH = ("/healthz", "/_/health", "/_/ready")
HEALTHZ = b'"healthz"'
HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "host.py")


def number(name, default):
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        sys.exit(f"{name} is {text!r}; write a whole number from 1 on")
    return int(text)


PORT = number("PORT", 8080)
MAX_PAYLOAD_BYTES = number("DISPATCH_MAX_PAYLOAD_BYTES", 6 << 20)
MAX_LOG_BYTES = number("DISPATCH_MAX_LOG_BYTES", 64 << 10)
CONCURRENCY = number("DISPATCH_CONCURRENCY", 1)


# -- workers ----------------------------------------------------------------------------------


class Gone(Exception):
    """The worker's process ended."""


class Late(Exception):
    """The call took longer than its context allows."""


class Log:
    """One output stream of a worker, cut at a limit."""

    def __init__(self, pipe):
        self.pipe, self.kept, self.cut = pipe, b"", False
        os.set_blocking(pipe, False)

    def read(self):
        """Whether there may be more, now or later."""
        try:
            part = os.read(self.pipe, 65536)
        except BlockingIOError:
            return False
        room = MAX_LOG_BYTES - len(self.kept)
        self.cut = self.cut or len(part) > room
        self.kept += part[:room]
        return bool(part)

    def take(self):
        while self.read():
            pass
        lines = self.kept.decode(errors="replace").splitlines()
        if self.cut:
            lines.append(f"[dispatch: log cut after {MAX_LOG_BYTES} bytes]")
        self.kept, self.cut = b"", False
        return lines


class Worker:
    """A process that answers one call at a time; its handler is loaded."""

    def __init__(self):
        # When its call has to end, by the monotonic clock.
        self.ends = None
        self.socket, theirs = socket.socketpair()
        out, theirs_out = os.pipe()
        err, theirs_err = os.pipe()
        self.logs = Log(out), Log(err)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs_out, 1),
            (os.POSIX_SPAWN_DUP2, theirs_err, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
        ]
        words = [sys.executable, "-I", "-B", HOST, "worker"]
        self.pid = os.posix_spawn(
            sys.executable, words, os.environ, file_actions=actions, setpgroup=0
        )
        theirs.close()
        os.close(theirs_out)
        os.close(theirs_err)
        try:
            self.load()
        except BaseException:
            self.end()
            raise

    def load(self):
        kind, _ = self.receive()
        if kind != HELLO:
            raise RuntimeError("the worker did not say hello")
        order = {
            "steps": [],
            "handler": os.environ.get("DISPATCH_HANDLER", ""),
            "directory": os.environ.get("DISPATCH_FUNCTION", "/function"),
            "environment": {k: v for k, v in os.environ.items() if k != RUNTIME_API},
            "max_payload_bytes": MAX_PAYLOAD_BYTES,
            "load_timeout_ms": 0,
        }
        self.send(LOAD, json.dumps(order).encode())
        kind, body = self.receive()
        if kind != LOADED:
            for log in self.logs:
                print(*log.take(), sep="\n", file=sys.stderr)
            failure = json.loads(body)
            raise RuntimeError("\n".join([failure["message"], *failure["stacktrace"]]))

    def call(self, context, payload, limit_ms, came):
        """The kind of the answer, its body, and the lines of both logs.

        A call whose time went by while it waited is not begun: nobody waits for it any more.
        """
        self.ends = limit_ms and came + limit_ms / 1000
        if self.ends and time.monotonic() >= self.ends:
            return ERROR, failure(timed_out(limit_ms)), ([], [])
        token = os.urandom(TOKEN)
        length = struct.pack("<I", len(context))
        try:
            self.send(CALL, token + length + context + payload)
            kind, body = self.receive()
            while not body.startswith(token):
                kind, body = self.receive()
                kind |= LAST
            body = body[TOKEN:]
        except (Gone, OSError):
            kind, body = ERROR | LAST, failure(self.ending())
        except Late:
            kind, body = ERROR | LAST, failure(timed_out(limit_ms))
        return kind, body, [log.take() for log in self.logs]

    def ending(self):
        _, status = os.waitpid(self.pid, 0)
        self.pid, pid = None, self.pid
        end_group(pid)
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return f"the function's process ended before it answered: {how}"

    def end(self):
        self.socket.close()
        if self.pid is not None:
            end_group(self.pid)
        for log in self.logs:
            os.close(log.pipe)

    def send(self, kind, body):
        self.socket.sendall(struct.pack("<IB", len(body), kind) + body)

    def receive(self):
        length, kind = struct.unpack("<IB", self.exactly(5))
        return kind, self.exactly(length)

    def exactly(self, length):
        """So many bytes; what the worker prints meanwhile is read too, so that it never waits."""
        bytes_, poll = bytearray(), select.poll()
        poll.register(self.socket, select.POLLIN)
        for log in self.logs:
            poll.register(log.pipe, select.POLLIN)
        while len(bytes_) < length:
            left = self.ends and max(0, self.ends - time.monotonic()) * 1000
            ready = poll.poll(left)
            if not ready:
                raise Late
            for descriptor, _ in ready:
                if descriptor != self.socket.fileno():
                    log = next(log for log in self.logs if log.pipe == descriptor)
                    if not log.read():
                        poll.unregister(descriptor)
                    continue
                part = self.socket.recv(min(length - len(bytes_), 1 << 20))
                if not part:
                    raise Gone
                bytes_ += part
        return bytes(bytes_)


def failure(message):
    return json.dumps({"message": message, "stacktrace": []}).encode()


def timed_out(limit_ms):
    return f"the function timed out after {limit_ms:.0f} ms"


def end_group(pid):
    """Ends a worker and what its handler started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        while True:
            os.waitpid(-pid, 0)
    except ChildProcessError:
        pass


class Pool:
    def __init__(self):
        self.turns, self.idle = threading.Semaphore(CONCURRENCY), [Worker()]

    def call(self, *call):
        with self.turns:
            try:
                worker = self.idle.pop()
            except IndexError:
                worker = Worker()
            kind, body, logs = worker.call(*call)
            if kind & LAST:
                worker.end()
            else:
                self.idle.append(worker)
        return kind & ~LAST, body, logs

    def end(self):
        while self.idle:
            self.idle.pop().end()


# -- HTTP -------------------------------------------------------------------------------------


class Refused(Exception):
    """A request that is answered with this status; the handler is not called."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status

    def answer(self):
        error = {"type": "InputError", "message": str(self), "stacktrace": []}
        return self.status, reply(error, b"null", ([], []))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "dispatch", ""
    timeout = IDLE_SECONDS
    # An answer's head and body leave together, and at once.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def handle_one_request(self):
        # Counted from its first byte to the last of its answer: a stop waits for that.
        try:
            if self.rfile.peek(1):
                with self.server.at_work():
                    super().handle_one_request()
                return
        except OSError:
            pass
        self.close_connection = True

    def do_GET(self):
        if self.path in HEALTH:
            self.answer(200, b"{}")
        else:
            self.answer(404, b'{"message": "GET /healthz, or POST a call"}')

    def do_POST(self):
        try:
            status, answer = answered(self.server.pool, self.body())
        except Refused as refused:
            status, answer = refused.answer()
        except ConnectionError:
            self.close_connection = True
            return
        if status in (400, 413):
            # What is left of the body would be taken for the next request.
            self.close_connection = True
        self.answer(status, answer)

    def body(self):
        most = MAX_PAYLOAD_BYTES + SLACK_BYTES
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.chunks(most)
        text = self.headers.get("Content-Length", "0")
        if not text.isdigit():
            raise Refused(400, f"Content-Length is {text!r}; send a number of bytes")
        if int(text) > most:
            raise Refused(413, f"the request has {text} bytes; {most} are allowed")
        return self.exactly(int(text))

    def chunks(self, most):
        body = b""
        while True:
            line = self.rfile.readline(1024)
            try:
                length = int(line.split(b";")[0], 16)
            except ValueError:
                raise Refused(400, "a chunk does not begin with its length") from None
            if length < 0 or len(body) + length > most:
                raise Refused(413, f"the request has more than the {most} bytes that are allowed")
            if length == 0:
                while self.rfile.readline(65536).strip():
                    pass
                return body
            body += self.exactly(length)
            self.rfile.readline(8)

    def exactly(self, length):
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError
        return body

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.server.stopping:
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def log_message(self, *words):
        pass


def answered(pool, body, left_ms=None):
    """Status and body of the answer to a call."""
    # Its caller's time runs from here, also while it waits for its turn.
    came = time.monotonic()
    try:
        call = split(body)
    except Refused as refused:
        return refused.answer()
    if call is None:
        return 200, b"{}"
    context, payload, limit_ms = call
    limits = [limit for limit in (limit_ms, left_ms) if limit]
    try:
        kind, body, logs = pool.call(context, payload, min(limits, default=None), came)
    except Exception as problem:
        error = {"type": "SystemError", "message": str(problem), "stacktrace": []}
        return 500, reply(error, b"null", ([], []))
    if kind == RESULT:
        return 200, reply(None, body, logs)
    return 200, reply({"type": "FunctionError", **json.loads(body)}, b"null", logs)


def split(body):
    """Context and payload of a call, as JSON without space around it, and its limit in ms.

    OpenWhisk has calls in a `value`; where that has no payload, none is meant, as in its /init.
    """
    try:
        call = json.loads(body, parse_constant=no_constant)
        if not isinstance(call, dict):
            raise Refused(400, "the request is no JSON object with context and payload")
        if "payload" not in call and isinstance(call.get("value"), dict):
            call = call["value"]
            if "payload" not in call:
                return None
        context = call.get("context")
        context = {} if context is None else context
        if not isinstance(context, dict):
            raise Refused(400, "the context is no JSON object")
        texts = json.dumps(context).encode(), json.dumps(call.get("payload")).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request is not JSON: {error}") from None
    limit = context.get("timeout")
    return *texts, limit if type(limit) in (int, float) and 0 < limit < 1e9 else None


def no_constant(name):
    raise ValueError(f"it has {name}")


def reply(error, payload, logs):
    context = {"error": error, "logs": {"stdout": logs[0], "stderr": logs[1]}}
    return b'{"context":%b,"payload":%b}' % (json.dumps(context).encode(), payload)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS
    stopping = False

    def __init__(self, pool):
        self.pool, self.working, self.changed = pool, 0, threading.Condition()
        self.places = threading.Semaphore(MAX_CONNECTIONS)
        super().__init__(("", PORT), Handler)

    def server_bind(self):
        # Without the look-up of the machine's name that http.server makes.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)

    def process_request(self, *request):
        self.places.acquire()
        super().process_request(*request)

    def shutdown_request(self, request):
        self.places.release()
        super().shutdown_request(request)

    @contextlib.contextmanager
    def at_work(self):
        with self.changed:
            self.working += 1
        try:
            yield
        finally:
            with self.changed:
                self.working -= 1
                self.changed.notify_all()

    def finish(self):
        self.stopping = True
        self.shutdown()
        self.socket.close()
        with self.changed:
            self.changed.wait_for(lambda: self.working == 0)
        self.pool.end()
        os._exit(0)


# -- AWS Lambda -------------------------------------------------------------------------------


class LambdaRuntime:
    """The Lambda Runtime API, of which a function is the client."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address)

    def request(self, method, path, body=None, headers=None):
        self.connection.request(method, "/2018-06-01/runtime/" + path, body, headers or {})
        response = self.connection.getresponse()
        return response, response.read()

    def fail(self, path, kind, message):
        error = {"errorType": kind, "errorMessage": message, "stackTrace": []}
        headers = {"Lambda-Runtime-Function-Error-Type": kind}
        return self.request("POST", path, json.dumps(error).encode(), headers)

    def next(self):
        """A call: its id, its body, and the milliseconds it has."""
        response, body = self.request("GET", "invocation/next")
        if response.status != 200:
            sys.exit(f"the Lambda Runtime API answered {response.status}: {body[:500]!r}")
        ends = int(response.headers.get("Lambda-Runtime-Deadline-Ms") or 0) / 1000
        return response.headers["Lambda-Runtime-Aws-Request-Id"], body, left_ms(ends)

    def serve(self, pool):
        while True:
            call, body, left = self.next()
            answer = lambda_answer(pool, body, left)
            response, _ = self.request("POST", f"invocation/{call}/response", answer)
            if response.status == 413:
                message = f"the answer has {len(answer)} bytes, which Lambda does not take"
                self.fail(f"invocation/{call}/error", "FunctionError", message)


def left_ms(ends):
    """What is left until a time, less what it takes to answer; None where there is no limit."""
    return max(1, (ends - time.time()) * 1000 - MARGIN_MS) if ends else None


def lambda_answer(pool, body, left):
    return b"{}" if body.strip() == HEALTHZ else answered(pool, body, left)[1]


def serve_lambda(address):
    runtime = LambdaRuntime(address)
    try:
        pool = Pool()
    except RuntimeError as error:
        runtime.fail("init/error", "FunctionError", str(error))
        sys.exit(str(error))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    runtime.serve(pool)


def main():
    if os.environ.get(RUNTIME_API):
        serve_lambda(os.environ[RUNTIME_API])
    try:
        pool = Pool()
    except RuntimeError as error:
        sys.exit(str(error))
    server = Server(pool)

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Thread(target=server.finish).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(poll_interval=0.1)
    threading.Event().wait()


if __name__ == "__main__":
    main()
