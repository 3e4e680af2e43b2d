"""An engine for Dispatch in Python's standard library: the contract of api/engine.openapi.json.

    python3 engine.py --port 9090 --token-file token

It runs Python handlers in processes of this machine, some for each deployment, one call at a time
in each. It is an example: the processes are in no sandbox, and what it holds goes when it ends.
"""

import argparse
import base64
import contextlib
import hmac
import http.server
import importlib
import io
import json
import multiprocessing.connection
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback

LOAD_SECONDS = 30
MAX_BODY_BYTES = 64 << 20


# -- errors, as callers read them -------------------------------------------------------------


class Failure(Exception):
    """An answer that is no success. `retry` is in milliseconds; None: it cannot help."""

    def __init__(self, status, code, fault, message, retry=None, reached="no", scope="engine"):
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "fault": fault, "message": message}
        self.body.update(retryAfterMs=retry, reached=reached, scope=scope)


def unknown(id):
    return Failure(404, "ENGINE007", "backend", f"there is no deployment {id}", retry=0)


# -- workers: processes that run one handler ----------------------------------------------------


def work(pipe, folder, handler):
    """The whole life of a worker: it loads the handler, then answers call after call."""
    sys.path.insert(0, folder)
    module, _, function = handler.rpartition(".")
    try:
        handle = getattr(importlib.import_module(module), function)
    except BaseException:
        pipe.send_bytes(json.dumps({"failed": traceback.format_exc(limit=-1)}).encode())
        return
    pipe.send_bytes(b"{}")
    while True:
        try:
            call = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        out, err, error, payload = io.StringIO(), io.StringIO(), None, None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                payload = json.dumps(handle(call.get("context"), call.get("payload")))
            except Exception as problem:
                message = f"{type(problem).__name__}: {problem}"
                lines = traceback.format_exc().splitlines()
                error = {"type": "FunctionError", "message": message, "stacktrace": lines}
        logs = {"stdout": out.getvalue().splitlines(), "stderr": err.getvalue().splitlines()}
        context = json.dumps({"error": error, "logs": logs})
        pipe.send_bytes(f'{{"context": {context}, "payload": {payload or "null"}}}'.encode())


class Worker:
    def __init__(self, deployment):
        ours, theirs = socket.socketpair()
        words = [sys.executable, __file__, "--work", deployment.folder, deployment.handler]
        self.process = subprocess.Popen(
            words + ["--pipe", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=deployment.log,
            stderr=deployment.log,
            env={**os.environ, **deployment.order["environment"]},
        )
        theirs.close()
        self.pipe = multiprocessing.connection.Connection(ours.detach())
        try:
            loaded = json.loads(self.receive(LOAD_SECONDS))
        except (TimeoutError, EOFError) as error:
            loaded = {"failed": f"the handler did not load: {error!r}"}
        if "failed" in loaded:
            self.end()
            raise Failure(422, "ENGINE003", "caller", loaded["failed"].strip())

    def receive(self, seconds):
        if not self.pipe.poll(seconds):
            raise TimeoutError
        return self.pipe.recv_bytes()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.pipe.close()


# -- deployments --------------------------------------------------------------------------------


class Deployment:
    """A handler's source, and its workers. Calls beyond `concurrency` wait for their turn."""

    def __init__(self, order):
        self.order, self.removed, self.idle = order, False, []
        self.handler = order["handler"] or "handler.handle"
        self.turns = threading.Semaphore(order["concurrency"])
        self.folder, self.log = tempfile.mkdtemp(), tempfile.TemporaryFile()
        self.lock = threading.Lock()
        try:
            self.unpack()
            self.idle.append(Worker(self))
        except BaseException:
            self.remove()
            raise

    def unpack(self):
        """A source is a tar.gz archive, or one file: the handler's module."""
        if self.order["language"] != "python3" or "source" not in self.order:
            message = "this engine takes sources in python3 only"
            raise Failure(422, "ENGINE001", "caller", message)
        source = base64.b64decode(self.order["source"]["base64"])
        if source[:2] == b"\x1f\x8b":
            with tarfile.open(fileobj=io.BytesIO(source)) as archive:
                archive.extractall(self.folder, filter="data")
        else:
            module = self.handler.rpartition(".")[0]
            with open(os.path.join(self.folder, module + ".py"), "wb") as file:
                file.write(source)

    def call(self, call, seconds):
        """The answer to a call, whatever the handler did, or a Failure before it began."""
        ends = time.monotonic() + seconds
        if not self.turns.acquire(timeout=max(0, seconds)):
            message = "all workers were busy until the call's deadline"
            raise Failure(503, "ENGINE005", "backend", message, retry=0, scope="deployment")
        try:
            worker = self.idle.pop() if self.idle else Worker(self)
            try:
                worker.pipe.send_bytes(call)
                answer = worker.receive(max(0, ends - time.monotonic()))
            except (EOFError, OSError, TimeoutError) as error:
                worker.end()
                if isinstance(error, TimeoutError):
                    return failed(f"the function timed out after {seconds * 1000:.0f} ms")
                status = worker.process.returncode
                return failed(f"the function's process ended before it answered: {status}")
            self.put_idle(worker)
            return answer
        finally:
            self.turns.release()

    def put_idle(self, worker):
        with self.lock:
            if not self.removed:
                self.idle.append(worker)
                return
        worker.end()

    def remove(self):
        """Workers in a call end after it."""
        with self.lock:
            self.removed, idle, self.idle = True, self.idle, []
        for worker in idle:
            worker.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def lines(self, count):
        """What workers printed outside of calls."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace").splitlines()[-count:]


def failed(message):
    error = {"type": "FunctionError", "message": message, "stacktrace": []}
    context = {"error": error, "logs": {"stdout": [], "stderr": []}}
    return json.dumps({"context": context, "payload": None}).encode()


# -- HTTP ---------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def answer(self, status, value):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if length > MAX_BODY_BYTES:
                self.close_connection = True
                raise Failure(413, "API006", "caller", f"more than {MAX_BODY_BYTES} bytes")
            body = self.rfile.read(length)
            self.answer(*self.reply(body))
        except Failure as failure:
            self.answer(failure.status, failure.body)
        except OSError:
            # The caller has left.
            self.close_connection = True
        except Exception as problem:
            traceback.print_exc()
            message = f"the engine failed: {problem!r}"
            body = Failure(500, "ENGINE006", "ours", message, retry=1000, reached="maybe").body
            self.answer(500, body)

    do_GET = do_PUT = do_POST = do_DELETE = serve

    def reply(self, body):
        """Status and body of the answer."""
        token, given = self.server.token, self.headers.get("Authorization", "")
        if token and not hmac.compare_digest(given.encode(), b"Bearer " + token):
            raise Failure(401, "IAM001", "backend", "the token is not this engine's")
        path, _, query = self.path.partition("?")
        if (self.command, path) == ("GET", "/healthz"):
            return 200, {}
        if (self.command, path) == ("GET", "/v1/capabilities"):
            return 200, {"languages": ["python3"], "pullsImages": False, "missing": []}
        found = re.fullmatch(r"/v1/deployments/([0-9a-f-]{36})(/invoke|/logs|)", path)
        if not found:
            raise Failure(404, "API002", "caller", f"there is no {path} here")
        id, below = found.groups()
        deployments, known = self.server.deployments, self.server.deployments.get(id)
        match self.command, below:
            case "PUT", "":
                with self.server.making:
                    known = deployments.get(id) or Deployment(json.loads(body))
                    deployments[id] = known
                return 200, {"state": "ready", "workers": len(known.idle)}
            case "DELETE", "":
                if known := deployments.pop(id, None):
                    known.remove()
                return 200, {}
            case _ if known is None:
                raise unknown(id)
            case "GET", "":
                return 200, {"state": "ready", "workers": len(known.idle)}
            case "GET", "/logs":
                count = re.search(r"lines=(\d+)", query)
                return 200, {"lines": known.lines(int(count[1]) if count else 100)}
            case "POST", "/invoke":
                left = self.headers.get("Dispatch-Time-Left-Ms")
                seconds = int(left or known.order["timeoutMs"]) / 1000
                return 200, known.call(body, min(seconds, known.order["timeoutMs"] / 1000))
        raise Failure(405, "API002", "caller", f"{self.command} {path} is not known")

    def log_message(self, *words):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--token-file", help="requests without the token in it are refused")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--pipe", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(multiprocessing.connection.Connection(given.pipe), *given.work)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    server.deployments, server.making = {}, threading.Lock()
    server.token = open(given.token_file, "rb").read().strip() if given.token_file else None
    print(f"the engine listens on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
