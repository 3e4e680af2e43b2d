// The Node host: loads a handler and calls it. Start: `node host.js`, with the socket as
// descriptor 3. The protocol is in ../PROTOCOL.md.
"use strict";

const fs = require("node:fs");
const module_ = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const childProcess = require("node:child_process");

const LOAD = 1, CALL = 2;
const HELLO = 16, LOADED = 17, LOAD_FAILED = 18, RESULT = 19, ERROR = 20;
const LAST = 0x80;
const SOCKET = 3;
const TOKEN = 8;

let buffer = Buffer.allocUnsafe(65536);

// Reads exactly so many bytes to an offset; false at the end of the stream.
function fill(from, to) {
  while (from < to) {
    const got = fs.readSync(SOCKET, buffer, from, to - from, null);
    if (got === 0) return false;
    from += got;
  }
  return true;
}

// The next frame. Its body is a view that the next call of this function overwrites.
function receive() {
  if (!fill(0, 5)) return null;
  const total = 5 + buffer.readUInt32LE(0);
  if (total > buffer.length) {
    const larger = Buffer.allocUnsafe(total);
    buffer.copy(larger, 0, 0, 5);
    buffer = larger;
  }
  if (!fill(5, total)) return null;
  return { kind: buffer[4], body: buffer.subarray(5, total) };
}

function send(kind, text, token = Buffer.alloc(0)) {
  const length = token.length + Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(5 + length);
  frame.writeUInt32LE(length, 0);
  frame[4] = kind;
  token.copy(frame, 5);
  frame.write(text, 5 + token.length);
  for (let sent = 0; sent < frame.length; ) sent += fs.writeSync(SOCKET, frame, sent);
}

// An error as JSON, without the frames of this file and of Node itself.
function describe(error) {
  const isError = error instanceof Error;
  const message = isError ? `${error.name}: ${error.message}` : String(error);
  const lines = isError && error.stack ? String(error.stack).split("\n") : [];
  const kept = lines.filter((l) => !l.includes(__filename) && !l.includes("(node:"));
  const stacktrace = kept.slice(0, 200).map((l) => l.slice(0, 2000));
  return JSON.stringify({ message: message.slice(0, 8000), stacktrace });
}

// The handler is `./file.js`; without one, the only script of the folder.
function scriptOf(directory, handler) {
  if (handler) return path.resolve(directory, handler);
  const scripts = fs.readdirSync(directory).filter((name) => /\.[cm]?js$/.test(name));
  const known = ["index.js", "handler.js", "main.js"].filter((name) => scripts.includes(name));
  if (scripts.length === 1) return path.join(directory, scripts[0]);
  if (known.length) return path.join(directory, known[0]);
  throw new Error("the handler is not named; write ./FILE.js");
}

// Makes packages known to `import`, which does not read NODE_PATH as `require` does: what a
// function's own files do not find is looked for from beside each `node_modules` named there.
function addPackages(directory) {
  const places = (process.env.NODE_PATH || "").split(path.delimiter);
  const named = places.filter((place) => path.basename(place) === "node_modules");
  const parents = named.map((place) => pathToFileURL(path.join(place, "../host.js")).href);
  if (parents.length === 0 || !hasImport(directory)) return;
  if (module_.registerHooks) {
    module_.registerHooks({ resolve: eval(`(${resolveWith("", "")})`)(parents) });
  } else if (module_.register) {
    const source = `export const resolve = (${resolveWith("async", "await")})(${JSON.stringify(parents)});`;
    module_.register(`data:text/javascript,${encodeURIComponent(source)}`);
  }
}

// Whether a script of the function may import something. The hook is a thread of its own in most
// versions of Node, which takes as long as Node's own start.
function hasImport(directory) {
  const entries = fs.readdirSync(directory, { withFileTypes: true });
  return entries.some((entry) => {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) return entry.name !== "node_modules" && hasImport(file);
    return /\.[cm]?js$/.test(entry.name) && fs.readFileSync(file).includes("import");
  });
}

// The hook as source: older versions of Node want it in a module, and asynchronous.
const resolveWith = (isAsync, wait) => `(parents) => ${isAsync} (specifier, context, next) => {
  try {
    return ${wait} next(specifier, context);
  } catch (error) {
    const bare = !/^(\\.{0,2}\\/|[a-z]+:)/.test(specifier);
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !bare) throw error;
    for (const parentURL of parents) {
      try {
        return ${wait} next(specifier, { ...context, parentURL });
      } catch (other) {
        if (other.code !== "ERR_MODULE_NOT_FOUND") throw other;
      }
    }
    throw error;
  }
}`;

// A script that turns out to be an ES module is imported.
async function load(script) {
  try {
    return require(script);
  } catch (error) {
    const isModule = ["ERR_REQUIRE_ESM", "ERR_MODULE_NOT_FOUND"].includes(error.code);
    if (!isModule && !(error instanceof SyntaxError)) throw error;
    return import(pathToFileURL(script)).catch((second) => {
      throw isModule ? second : error;
    });
  }
}

async function find(directory, handler) {
  addPackages(directory);
  const script = scriptOf(directory, handler);
  const loaded = script.endsWith(".mjs") ? await import(pathToFileURL(script)) : await load(script);
  const found = [loaded, loaded.default, loaded.handle, loaded.handler];
  const callable = found.find((candidate) => typeof candidate === "function");
  if (!callable) throw new TypeError(`${path.basename(script)} exports no function`);
  return callable;
}

// Whether the handler started processes that may outlive the call.
let spawned = false;
const spawn = childProcess.ChildProcess.prototype.spawn;
childProcess.ChildProcess.prototype.spawn = function (...options) {
  spawned = true;
  return spawn.apply(this, options);
};

// Ends them; or says that the worker has to end with them.
function sweep() {
  if (!spawned) return false;
  spawned = false;
  // Otherwise -1 would be everything of this user.
  if (process.pid !== 1) return true;
  try {
    // This is process 1 of its namespace: -1 is everything else in it.
    process.kill(-1, "SIGKILL");
  } catch {
    // Nothing was left.
  }
  return false;
}

async function call(handler, body, most) {
  let value;
  try {
    const split = 4 + body.readUInt32LE(0);
    const context = JSON.parse(body.toString("utf8", 4, split));
    const payload = JSON.parse(body.toString("utf8", split));
    value = handler(context, payload);
    if (value !== null && typeof value === "object" && typeof value.then === "function") {
      value = await value;
    }
  } catch (error) {
    return [ERROR, describe(error)];
  }
  let answer;
  try {
    answer = JSON.stringify(value === undefined ? null : value);
  } catch (error) {
    return [ERROR, JSON.stringify({ message: `the result is not JSON: ${error.message}`, stacktrace: [] })];
  }
  if (answer === undefined) {
    const message = `the result is not JSON: it is a ${typeof value}`;
    return [ERROR, JSON.stringify({ message, stacktrace: [] })];
  }
  const length = Buffer.byteLength(answer);
  if (length > most) {
    const message = `the result has ${length} bytes; ${most} are allowed`;
    return [ERROR, JSON.stringify({ message, stacktrace: [] })];
  }
  return [RESULT, answer];
}

// A promise nobody waits for must not end the worker in the middle of another's call.
process.on("unhandledRejection", (error) => console.error("unhandled rejection:", error));

async function main() {
  send(HELLO, "");
  const first = receive();
  if (!first || first.kind !== LOAD) return;
  const order = JSON.parse(first.body.toString("utf8"));
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, order.environment);
  let handler;
  try {
    handler = await find(order.directory, order.handler);
  } catch (error) {
    send(LOAD_FAILED, describe(error));
    return;
  }
  send(LOADED, "");
  for (;;) {
    const frame = receive();
    if (!frame || frame.kind !== CALL) return;
    const token = Buffer.from(frame.body.subarray(0, TOKEN));
    const [kind, answer] = await call(handler, frame.body.subarray(TOKEN), order.max_payload_bytes);
    const last = sweep();
    send(last ? kind | LAST : kind, answer, token);
    if (last) return;
  }
}

main().then(() => process.exit(0), () => process.exit(1));
