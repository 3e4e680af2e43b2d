"""The Python host: a warm interpreter that forks sandboxed workers.

Started by `__sandbox-init` inside a pool sandbox with its control socket as standard input. Each
message asks for one worker: its plan (steps of a sandbox) comes as JSON, its socket, output pipes
and cgroup files as descriptors. The protocol of a worker is in ../PROTOCOL.md.
"""

import _thread
import ctypes
import datetime
import errno
import fcntl
import gc
import importlib
import json
import linecache
import logging
import os
import re
import resource
import signal
import site
import socket
import struct
import sys
import tokenize
import traceback

LOAD, CALL = 1, 2
HELLO, LOADED, LOAD_FAILED, RESULT, ERROR, START_FAILED, LISTENING = 16, 17, 18, 19, 20, 21, 22
LAST = 0x80
SOCKET = 3
TOKEN = 8

libc = ctypes.CDLL(None, use_errno=True)
# The same, but calls keep the interpreter's lock, as a fork has to.
locked = ctypes.PyDLL(None, use_errno=True)
encode = json.JSONEncoder(allow_nan=False).encode
# The server sends checked JSON without space around it, so nothing is left for json.loads to do.
decode = json.JSONDecoder().scan_once


# -- the pool ---------------------------------------------------------------------------------


def serve_pool():
    control = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.send(b"ready")
    # Shared pages stay shared: a collection in a worker would touch every object of the parent.
    gc.collect()
    gc.freeze()
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 1 << 17, 16)
        if not request:
            os._exit(0)
        steps = json.loads(request)["steps"]
        child, error = fork_apart(**steps.pop(0)["spawn"])
        if child == 0:
            start_worker(steps, descriptors, error)
        for descriptor in descriptors:
            os.close(descriptor)


def fork_apart(flags):
    """Forks a child which is in new namespaces, as their process 1: the step "spawn" of a plan.

    At once, not by unsharing first and then forking a process 1: that copies an interpreter twice.
    The child has to know why it failed, so it fails after the fork: the answer is its process id,
    and an error.
    """
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    request = struct.pack("<8Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    # What os.fork does around its call of the kernel.
    ctypes.pythonapi.PyOS_BeforeFork()
    child = locked.syscall(ctypes.c_long(435), request, ctypes.c_size_t(len(request)))
    number = ctypes.get_errno()
    if child == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0, None
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if child < 0 and number == errno.ENOSYS:
        # Some sandboxes around us hide clone3, so that programs go on with what is older.
        return fork_twice(flags)
    if child < 0:
        return os.fork(), OSError(number, f"clone3: {os.strerror(number)}")
    return child, None


def fork_twice(flags):
    child = os.fork()
    if child:
        return child, None
    try:
        check(libc.unshare(flags))
        if os.fork():
            os._exit(0)
        return 0, None
    except OSError as error:
        return 0, error


def start_worker(steps, descriptors, error):
    """Runs in a fresh child and never returns."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        take_streams(descriptors[:3])
        server, buffer = socket.socket(fileno=SOCKET), memoryview(bytearray(65536))
        step = "namespaces"
        try:
            if error:
                raise error
            os.setsid()
            for descriptor in descriptors[3:]:
                os.write(descriptor, b"0")
                os.close(descriptor)
            for step in steps:
                apply(step)
            # From here on this is a spare, until a function takes it.
            kind, body = receive(server, buffer)
            if kind != LOAD:
                os._exit(0)
            order = json.loads(bytes(body))
            for step in order["steps"]:
                apply(step)
        except BaseException as error:
            send(server, START_FAILED, f"{step}: {error}".encode())
            os._exit(1)
        send(server, HELLO, b"")
        serve_calls(server, order, buffer)
    finally:
        os._exit(0)


def take_streams(streams):
    os.close(0)
    os.open("/dev/null", os.O_RDONLY)
    high = [fcntl.fcntl(d, fcntl.F_DUPFD_CLOEXEC, 16) for d in streams]
    os.dup2(high[1], 1)
    os.dup2(high[2], 2)
    os.dup2(high[0], SOCKET, inheritable=False)
    for descriptor in set(high + streams) - {1, 2, SOCKET}:
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8")
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace")
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


# -- the sandbox ------------------------------------------------------------------------------


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number, *arguments):
    return check(libc.syscall(ctypes.c_long(number), *arguments))


def text(value):
    return None if value is None else value.encode()


def apply(step):
    if isinstance(step, str):
        STEPS[step]()
    else:
        ((name, arguments),) = step.items()
        STEPS[name](**arguments)


def listen(at):
    """Opens listening sockets and hands them to the server."""
    listeners = []
    for place in at:
        host, _, port = place.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        listener = socket.socket(family)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(128)
        listeners.append(listener)
    with socket.socket(fileno=os.dup(SOCKET)) as wire:
        frame = struct.pack("<IB", 0, LISTENING)
        socket.send_fds(wire, [frame], [listener.fileno() for listener in listeners])


def file(path, text):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def netlink(request):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as route:
        route.send(bytes.fromhex(request))
        # struct nlmsgerr after struct nlmsghdr: 0, or the number of an error below it.
        (error,) = struct.unpack_from("=i", route.recv(512), 16)
    if error:
        raise OSError(-error, os.strerror(-error))


def id_map(uid, gid):
    for file, line in ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1"):
        descriptor = os.open("/proc/self/" + file, os.O_WRONLY)
        os.write(descriptor, line.encode())
        os.close(descriptor)


def mount(source, target, kind, flags, data):
    flags = ctypes.c_ulong(flags)
    check(libc.mount(text(source), text(target), text(kind), flags, text(data)))


def attributes(target, flags, recursive):
    request = struct.pack("<QQQQ", flags, 0, 0, 0)
    syscall(442, -1, text(target), 0x8000 if recursive else 0, request, ctypes.c_size_t(32))


def loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up_and_running = struct.pack("16sh22x", b"lo", 0x41)
        fcntl.ioctl(any_socket, 0x8914, up_and_running)


def rlimit(resource, limit):
    hard = RESOURCE.getrlimit(resource)[1]
    if hard != RESOURCE.RLIM_INFINITY:
        limit = min(limit, hard)
    RESOURCE.setrlimit(resource, (limit, limit))


def no_new_privileges():
    check(libc.prctl(38, 1, 0, 0, 0))


def drop_capabilities():
    for capability in range(64):
        if libc.prctl(24, capability, 0, 0, 0) < 0:
            break
    check(libc.capset(struct.pack("<Ii", 0x20080522, 0), bytes(24)))


def landlock(handled, scoped, size, rules):
    rule_set = syscall(444, struct.pack("<QQQ", handled, 0, scoped), ctypes.c_size_t(size), 0)
    for rule in rules:
        try:
            place = os.open(rule["path"], os.O_PATH)
        except FileNotFoundError:
            continue
        syscall(445, rule_set, 1, struct.pack("=Qi", rule["access"], place), 0)
        os.close(place)
    syscall(446, rule_set, 0)
    os.close(rule_set)


def seccomp(program):
    code = bytes.fromhex(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    check(libc.prctl(22, 2, header, 0, 0))


RESOURCE = resource
STEPS = {
    "id_map": id_map,
    "mount": mount,
    "attributes": attributes,
    "file": file,
    "unlink": lambda path: os.unlink(path),
    "netlink": netlink,
    "hostname": lambda name: socket.sethostname(name),
    "loopback": loopback,
    "listen": listen,
    "rlimit": rlimit,
    "no_new_privileges": no_new_privileges,
    "drop_capabilities": drop_capabilities,
    "landlock": landlock,
    "seccomp": seccomp,
    "change_directory": lambda path: os.chdir(path),
}


# -- the worker -------------------------------------------------------------------------------


def serve_calls(server, order, buffer):
    os.environ.clear()
    os.environ.update(order["environment"])
    try:
        handler = find(order["directory"], order["handler"])
    except BaseException as error:
        flush()
        send(server, LOAD_FAILED, describe(error))
        return
    flush()
    send(server, LOADED, b"")
    most = order["max_payload_bytes"]
    while True:
        kind, body = receive(server, buffer)
        if kind != CALL:
            return
        token = bytes(body[:TOKEN])
        kind, answer = call(handler, body[TOKEN:], most)
        del body
        flush()
        if sweep() or _thread._count():
            kind |= LAST
        send(server, kind, token + answer)
        if kind & LAST:
            return


def call(handler, body, most):
    try:
        split = 4 + int.from_bytes(body[:4], "little")
        context, _ = decode(str(body[4:split], "utf-8"), 0)
        payload, _ = decode(str(body[split:], "utf-8"), 0)
        value = handler(context, payload)
        if hasattr(value, "__await__"):
            import asyncio

            value = asyncio.run(await_value(value))
    except BaseException as error:
        return ERROR, describe(error)
    try:
        answer = encode(value).encode()
    except BaseException as error:
        return ERROR, failure(f"the result is not JSON: {error}")
    if len(answer) > most:
        return ERROR, failure(f"the result has {len(answer)} bytes; {most} are allowed")
    return RESULT, answer


async def await_value(value):
    return await value


def find(directory, handler):
    """The handler is `module.function`; without a module the only file holds it."""
    add_packages(os.environ.get("PYTHONPATH", ""))
    sys.path.insert(0, directory)
    module, _, function = (handler or "handle").rpartition(".")
    if not module:
        names = [n[:-3] for n in os.listdir(directory) if n.endswith(".py")]
        known = [n for n in ("handler", "main") if n in names]
        if len(names) != 1 and not known:
            raise ImportError(f"the handler '{function}' names no module; write FILE.{function}")
        module = names[0] if len(names) == 1 else known[0]
    found = getattr(importlib.import_module(module), function)
    if not callable(found):
        raise TypeError(f"{module}.{function} is not a function")
    return found


def add_packages(directories):
    """Makes packages known, before the machine's own but after the standard library.

    An isolated interpreter does not read PYTHONPATH, and a forked one gets it too late.
    """
    for directory in filter(None, directories.split(os.pathsep)):
        machine = ("site-packages", "dist-packages")
        at = (n for n, path in enumerate(sys.path) if path.endswith(machine))
        at, before = next(at, len(sys.path)), len(sys.path)
        site.addsitedir(directory)
        sys.path[at:at] = added = sys.path[before:]
        del sys.path[before + len(added):]


def describe(error):
    """JSON of an error, without the frames of this file."""
    try:
        name, message = type(error).__name__, str(error)
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        lines = "".join(traceback.format_exception(type(error), error, trace)).splitlines()
        lines = [line for line in lines if "<frozen importlib" not in line]
    except BaseException:
        name, message, lines = type(error).__name__, "", []
    return failure(f"{name}: {message}" if message else name, lines[:200])


def failure(message, lines=()):
    short = [line[:2000] for line in lines]
    return json.dumps({"message": message[:8000], "stacktrace": short}).encode()


def flush():
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except BaseException:
            pass


def sweep():
    """Ends the processes a handler left behind; or says that the worker has to end with them."""
    # Not by os.waitpid, which raises an exception for the usual case of no child at all.
    if libc.waitpid(-1, None, os.WNOHANG) < 0:
        return False
    if os.getpid() != 1:
        # Here -1 would be everything of this user.
        return True
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    return False


def receive(server, buffer):
    """The next frame; its body is a view that the following call of this function overwrites."""
    have = 0
    while have < 5:
        got = server.recv_into(buffer[have:])
        if not got:
            return 0, b""
        have += got
    length = int.from_bytes(buffer[:4], "little")
    kind, total = buffer[4], 5 + length
    if total > len(buffer):
        larger = memoryview(bytearray(total))
        larger[:have] = buffer[:have]
        buffer = larger
    while have < total:
        got = server.recv_into(buffer[have:total])
        if not got:
            return 0, b""
        have += got
    return kind, buffer[5:total]


def send(server, kind, body):
    server.sendall(struct.pack("<IB", len(body), kind) + body)


def serve_alone():
    """A worker that serve.py started."""
    server, buffer = socket.socket(fileno=SOCKET), memoryview(bytearray(65536))
    server.set_inheritable(False)
    send(server, HELLO, b"")
    kind, body = receive(server, buffer)
    if kind == LOAD:
        serve_calls(server, json.loads(bytes(body)), buffer)
    os._exit(0)


if __name__ == "__main__":
    serve_alone() if sys.argv[1:] == ["worker"] else serve_pool()
