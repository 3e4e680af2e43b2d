// The entry point of a Node function image: the Function Runtime API on $PORT.
//
//     GET /healthz   200 {}
//     POST /*        {"context": {...}, "payload": ...}, answered with
//                    {"context": {"error": ..., "logs": {...}}, "payload": ...}
//
// Handlers run in workers: host.js, started by this file and spoken to by ../PROTOCOL.md. So a
// handler that ends its process fails one call and no more, and what it prints is that call's log.
// DISPATCH_CONCURRENCY says how many calls run at the same time; more wait.
//
// On AWS Lambda it does not listen, but asks for calls: the Lambda Runtime API.
"use strict";

const childProcess = require("node:child_process");
const crypto = require("node:crypto");
const http = require("node:http");
const path = require("node:path");

const LOAD = 1, CALL = 2;
const HELLO = 16, LOADED = 17, RESULT = 19, ERROR = 20;
const LAST = 0x80;
const TOKEN = 8;
// Of a request's body besides its payload: the context.
const SLACK_BYTES = 1 << 20;
const MAX_CONNECTIONS = 256;
// A connection on which nothing comes for so long is closed.
const IDLE_MS = 30_000;
// How long the streams of a worker that ended may take to close.
const DEATH_MS = 500;
// Names the server of the Lambda Runtime API. Handlers do not see it: a call is not theirs to ask
// for.
const RUNTIME_API = "AWS_LAMBDA_RUNTIME_API";
// Kept of the time Lambda gives a call, to answer that it took too long.
const MARGIN_MS = 100;
// An event that is no call: whether the handler is loaded.
// The first is ours; OpenFaaS asks the others.
const HEALTH = ["/healthz", "/_/health", "/_/ready"];
const HEALTHZ = '"healthz"';

const PORT = number("PORT", 8080);
const MAX_PAYLOAD_BYTES = number("DISPATCH_MAX_PAYLOAD_BYTES", 6 << 20);
const MAX_LOG_BYTES = number("DISPATCH_MAX_LOG_BYTES", 64 << 10);
const CONCURRENCY = number("DISPATCH_CONCURRENCY", 1);

function number(name, usual) {
  const text = process.env[name] || String(usual);
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  console.error(`${name} is '${text}'; write a whole number from 1 on`);
  process.exit(1);
}

// -- workers ------------------------------------------------------------------------------------

// One output stream of a worker, cut at a limit.
class Log {
  constructor(stream) {
    this.parts = [];
    this.length = 0;
    this.cut = false;
    this.stream = stream;
    this.ended = new Promise((done) => stream.once("close", done));
    stream.on("data", (part) => {
      const kept = part.subarray(0, MAX_LOG_BYTES - this.length);
      this.cut ||= kept.length < part.length;
      this.length += kept.length;
      if (kept.length) this.parts.push(kept);
    });
  }

  take() {
    const text = Buffer.concat(this.parts).toString("utf8");
    const lines = text.split(/\r?\n/);
    if (lines.at(-1) === "") lines.pop();
    if (this.cut) lines.push(`[dispatch: log cut after ${MAX_LOG_BYTES} bytes]`);
    [this.parts, this.length, this.cut] = [[], 0, false];
    return lines;
  }
}

// A process that answers one call at a time.
class Worker {
  constructor() {
    const words = [...process.execArgv, path.join(__dirname, "host.js")];
    // A group of its own, which ends with it.
    const options = { stdio: ["ignore", "pipe", "pipe", "pipe"], detached: true };
    this.child = childProcess.spawn(process.execPath, words, options);
    this.logs = [new Log(this.child.stdout), new Log(this.child.stderr)];
    this.socket = this.child.stdio[3];
    this.read = Buffer.alloc(0);
    this.wanted = null;
    this.socket.on("data", (part) => {
      this.read = this.read.length ? Buffer.concat([this.read, part]) : part;
      this.deliver();
    });
    this.socket.on("error", () => {});
    this.ended = new Promise((done) => {
      this.child.once("exit", (code, signal) => {
        this.how = signal ? `signal ${signal}` : `exit status ${code}`;
        done();
      });
      this.child.once("error", (error) => {
        this.how = error.message;
        done();
      });
    });
    this.ended.then(() => this.deliver());
  }

  deliver() {
    if (!this.wanted) return;
    const total = this.read.length < 5 ? Infinity : 5 + this.read.readUInt32LE(0);
    if (this.read.length < total && !this.how) return;
    const done = this.wanted;
    this.wanted = null;
    if (this.read.length < total) return done(null);
    const frame = { kind: this.read[4], body: this.read.subarray(5, total) };
    this.read = this.read.subarray(total);
    done(frame);
  }

  // The next frame; null when the worker ended before.
  receive() {
    return new Promise((done) => {
      this.wanted = done;
      this.deliver();
    });
  }

  send(kind, ...parts) {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(parts.reduce((sum, part) => sum + part.length, 0), 0);
    head[4] = kind;
    this.socket.write(Buffer.concat([head, ...parts]));
  }

  async load() {
    const hello = await this.receive();
    const order = {
      steps: [],
      handler: process.env.DISPATCH_HANDLER || "",
      directory: process.env.DISPATCH_FUNCTION || "/function",
      environment: { ...process.env, [RUNTIME_API]: undefined },
      max_payload_bytes: MAX_PAYLOAD_BYTES,
      load_timeout_ms: 0,
    };
    if (hello?.kind === HELLO) this.send(LOAD, Buffer.from(JSON.stringify(order)));
    const answer = hello && (await this.receive());
    if (answer?.kind === LOADED) return;
    this.end();
    await this.ended;
    const failure = answer ? JSON.parse(answer.body) : { message: `the worker ended: ${this.how}` };
    const words = this.logs.flatMap((log) => log.take());
    throw new Error([...words, failure.message, ...(failure.stacktrace || [])].join("\n"));
  }

  // The kind of the answer, its body, and the lines of both logs. A call whose time went by while
  // it waited is not begun: nobody waits for it any more.
  async call(context, payload, limitMs, came) {
    let message = null;
    const timedOut = `the function timed out after ${limitMs?.toFixed(0)} ms`;
    const left = limitMs && came + limitMs - performance.now();
    if (limitMs && left <= 0) {
      const body = Buffer.from(JSON.stringify({ message: timedOut, stacktrace: [] }));
      return { kind: ERROR, body, logs: [[], []] };
    }
    const late = () => {
      message = timedOut;
      this.end();
    };
    const timer = limitMs && setTimeout(late, left);
    const token = crypto.randomBytes(TOKEN);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(context.length, 0);
    this.send(CALL, token, length, context, payload);
    let [frame, forged] = [await this.receive(), 0];
    while (frame && !frame.body.subarray(0, TOKEN).equals(token)) {
      [frame, forged] = [await this.receive(), LAST];
    }
    clearTimeout(timer);
    // What was printed before the answer is in the pipes, and read in the next turn of the loop.
    await new Promise((done) => setImmediate(() => setImmediate(done)));
    if (!frame) {
      message ||= `the function's process ended before it answered: ${this.how}`;
      this.end();
      // A process that left the group may keep the pipes open.
      const late = new Promise((done) => setTimeout(done, DEATH_MS));
      await Promise.race([late, Promise.all(this.logs.map((log) => log.ended))]);
      const body = Buffer.from(JSON.stringify({ message, stacktrace: [] }));
      frame = { kind: ERROR | LAST, body: Buffer.concat([token, body]) };
    }
    const logs = this.logs.map((log) => log.take());
    return { kind: frame.kind | forged, body: frame.body.subarray(TOKEN), logs };
  }

  end() {
    try {
      process.kill(-this.child.pid, "SIGKILL");
    } catch {
      // Nothing of it was left.
    }
  }
}

const idle = [];
const waiting = [];
let running = 0;

async function call(...parts) {
  if (running === CONCURRENCY) await new Promise((turn) => waiting.push(turn));
  else running += 1;
  try {
    let worker = idle.pop();
    if (!worker || worker.how) {
      worker = new Worker();
      await worker.load();
    }
    const answer = await worker.call(...parts);
    if (answer.kind & LAST) worker.end();
    else idle.push(worker);
    return { ...answer, kind: answer.kind & ~LAST };
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

// -- HTTP ---------------------------------------------------------------------------------------

// A request that is answered with this status; the handler is not called.
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function bodyOf(request) {
  const most = MAX_PAYLOAD_BYTES + SLACK_BYTES;
  const tooLarge = `the request has more than the ${most} bytes that are allowed`;
  if (Number(request.headers["content-length"]) > most) throw new Refused(413, tooLarge);
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > most) throw new Refused(413, tooLarge);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

// The context and the payload of a call as JSON, and its limit in milliseconds. OpenWhisk has calls
// in a `value`; where that has no payload, none is meant, as in its /init: null.
function split(text) {
  let call;
  try {
    call = JSON.parse(text);
  } catch (error) {
    throw new Refused(400, `the request is not JSON: ${error.message}`);
  }
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(call)) throw new Refused(400, "the request is no JSON object with context and payload");
  if (!("payload" in call) && isObject(call.value)) {
    call = call.value;
    if (!("payload" in call)) return null;
  }
  const context = call.context ?? {};
  if (!isObject(context)) throw new Refused(400, "the context is no JSON object");
  const limit = context.timeout > 0 && context.timeout < 1e9 ? Number(context.timeout) : null;
  try {
    const texts = [context, call.payload ?? null].map((part) => JSON.stringify(part));
    return [...texts.map((text) => Buffer.from(text)), limit];
  } catch (error) {
    throw new Refused(400, `the request is nested too deeply: ${error.message}`);
  }
}

// Status and body of the answer to a call; `leftMs` is what it may take at most.
async function answered(text, leftMs = null) {
  // Its caller's time runs from here, also while it waits for its turn.
  const came = performance.now();
  try {
    const parts = split(text);
    if (parts === null) return [200, "{}"];
    const [context, payload, limitMs] = parts;
    const limits = [limitMs, leftMs].filter((limit) => limit !== null);
    const limit = limits.length ? Math.min(...limits) : null;
    const { kind, body, logs } = await call(context, payload, limit, came);
    if (kind === RESULT) return [200, reply(null, body, logs)];
    return [200, reply({ type: "FunctionError", ...JSON.parse(body) }, "null", logs)];
  } catch (error) {
    return failed(error);
  }
}

function failed(error) {
  const type = error instanceof Refused ? "InputError" : "SystemError";
  const failure = { type, message: error.message, stacktrace: [] };
  return [error.status || 500, reply(failure, "null", [[], []])];
}

function reply(error, payload, [stdout, stderr]) {
  const context = JSON.stringify({ error, logs: { stdout, stderr } });
  const parts = ['{"context":', context, ',"payload":', payload, "}"];
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

function answer(response, status, body) {
  const headers = { "content-type": "application/json", "content-length": body.length };
  // What is left of a refused body would be taken for the next request.
  if (stopping || status >= 400) headers.connection = "close";
  response.writeHead(status, headers).end(body);
}

async function serve(request, response) {
  const { method, url } = request;
  if (method === "GET" && HEALTH.includes(url)) return answer(response, 200, "{}");
  if (method !== "POST") {
    return answer(response, 404, '{"message": "GET /healthz, or POST a call"}');
  }
  const done = await bodyOf(request).then(answered, failed);
  answer(response, ...done);
}

let stopping = false;
const server = http.createServer({ keepAliveTimeout: IDLE_MS, requestTimeout: 0 }, serve);
server.maxConnections = MAX_CONNECTIONS;
// Between two parts of a body; a call itself may take longer, and then nothing is awaited here.
server.on("connection", (socket) => socket.setTimeout(IDLE_MS));
server.on("request", (request) => request.once("end", () => request.socket.setTimeout(0)));

function stop() {
  stopping = true;
  server.close(() => {
    idle.forEach((worker) => worker.end());
    process.exit(0);
  });
  server.closeIdleConnections();
}

// -- AWS Lambda ---------------------------------------------------------------------------------

// One request to the Lambda Runtime API, of which a function is the client.
function ask(address, method, path, body = "", headers = {}) {
  const [host, port = "80"] = address.split(":");
  const options = { method, host, port, path: `/2018-06-01/runtime/${path}`, agent, headers };
  return new Promise((done, fail) => {
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", fail);
      response.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8");
        done({ status: response.statusCode, headers: response.headers, body: text });
      });
    });
    request.on("error", fail);
    if (method === "POST") request.setHeader("content-length", Buffer.byteLength(body));
    request.end(body);
  });
}

const agent = new http.Agent({ keepAlive: true });

function tellFailure(address, path, message) {
  const body = JSON.stringify({ errorType: "FunctionError", errorMessage: message, stackTrace: [] });
  const headers = { "lambda-runtime-function-error-type": "FunctionError" };
  return ask(address, "POST", path, body, headers);
}

// What is left until a time, less what it takes to answer; null where there is no limit.
function leftMs(ends) {
  return ends ? Math.max(1, ends - Date.now() - MARGIN_MS) : null;
}

async function lambdaAnswer(text, left) {
  return text.trim() === HEALTHZ ? Buffer.from("{}") : (await answered(text, left))[1];
}

async function serveLambda(address) {
  try {
    await load();
  } catch (error) {
    await tellFailure(address, "init/error", error.message);
    throw error;
  }
  for (;;) {
    const next = await ask(address, "GET", "invocation/next");
    if (next.status !== 200) {
      throw new Error(`the Lambda Runtime API answered ${next.status}: ${next.body.slice(0, 500)}`);
    }
    const id = next.headers["lambda-runtime-aws-request-id"];
    const left = leftMs(Number(next.headers["lambda-runtime-deadline-ms"]));
    const body = await lambdaAnswer(next.body, left);
    const told = await ask(address, "POST", `invocation/${id}/response`, body);
    if (told.status === 413) {
      const message = `the answer has ${body.length} bytes, which Lambda does not take`;
      await tellFailure(address, `invocation/${id}/error`, message);
    }
  }
}

// The first worker; it fails when the handler does not load.
async function load() {
  const worker = new Worker();
  await worker.load();
  idle.push(worker);
}

async function main() {
  const address = process.env[RUNTIME_API];
  if (address) {
    process.on("SIGTERM", () => process.exit(0));
    return serveLambda(address);
  }
  process.on("SIGTERM", stop);
  await load();
  server.listen(PORT);
}

module.exports = { load, lambdaAnswer, leftMs };
if (require.main === module) {
  main().catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
