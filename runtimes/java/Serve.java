import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Phaser;
import java.util.concurrent.Semaphore;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;

/**
 * The entry point of a Java function image: the Function Runtime API on {@code $PORT}.
 *
 * <pre>
 * GET /healthz   200 {}
 * POST /*        {"context": {...}, "payload": ...}, answered with
 *                {"context": {"error": ..., "logs": {...}}, "payload": ...}
 * </pre>
 *
 * <p>Calls run in threads of this machine: DISPATCH_CONCURRENCY at the same time, more wait. What a
 * call's thread prints, and threads it starts, is that call's log.
 *
 * <p>On AWS Lambda it does not listen, but asks for calls: the Lambda Runtime API.
 */
final class Serve {
    /** Of a request's body besides its payload: the context. */
    private static final int SLACK_BYTES = 1 << 20;
    private static final int MAX_CONNECTIONS = 256;
    /** Where the Lambda Runtime API is. */
    private static final String LAMBDA = System.getenv("AWS_LAMBDA_RUNTIME_API");
    /** An event that is no call: whether the handler is loaded. */
    /** The first is ours; OpenFaaS asks the others. */
    private static final List<String> HEALTH = List.of("/healthz", "/_/health", "/_/ready");
    private static final String HEALTHZ = "\"healthz\"";
    /** A stop lets calls end; orchestrators wait less than this. */
    private static final int STOP_SECONDS = 3600;

    private final int maxPayloadBytes = number("DISPATCH_MAX_PAYLOAD_BYTES", 6 << 20);
    private final int maxLogBytes = number("DISPATCH_MAX_LOG_BYTES", 64 << 10);
    private final Semaphore turns = new Semaphore(number("DISPATCH_CONCURRENCY", 1), true);
    /** Requests under way, and one party for the server itself. */
    private final Phaser working = new Phaser(1);
    private final InheritableThreadLocal<Logs> current = new InheritableThreadLocal<>();
    private final BiFunction<Object, Object, Object> handler;
    private volatile boolean stopping;

    private Serve(BiFunction<Object, Object, Object> handler) {
        this.handler = handler;
    }

    /** Serves until the process is told to end; {@code kept} holds classes that are compiled. */
    static void run(Path kept) throws Exception {
        int port = number("PORT", 8080);
        BiFunction<Object, Object, Object> handler;
        try {
            String directory = System.getenv().getOrDefault("DISPATCH_FUNCTION", "/function");
            handler = Host.find(directory, System.getenv("DISPATCH_HANDLER"), kept, classes -> { });
        } catch (Throwable error) {
            error.printStackTrace();
            if (LAMBDA != null) {
                fail("init/error", String.valueOf(error));
            }
            Runtime.getRuntime().halt(1);
            return;
        }
        Serve serve = new Serve(handler);
        System.setOut(serve.stream(System.out, true));
        System.setErr(serve.stream(System.err, false));
        if (LAMBDA != null) {
            serve.ask();
        } else {
            serve.listen(port);
        }
    }

    private void listen(int port) throws IOException {
        // An answer is sent at once, not when the caller has confirmed its head.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        HttpServer server = HttpServer.create(new InetSocketAddress(port), MAX_CONNECTIONS);
        // Each has at most one request under way; one more waits for a thread.
        ExecutorService threads = new ThreadPoolExecutor(0, MAX_CONNECTIONS, 30, TimeUnit.SECONDS,
                new SynchronousQueue<>(), new ThreadPoolExecutor.CallerRunsPolicy());
        server.setExecutor(threads);
        server.createContext("/", this::serve);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping = true;
            Thread closing = new Thread(() -> server.stop(STOP_SECONDS));
            closing.setDaemon(true);
            closing.start();
            working.arriveAndAwaitAdvance();
            Runtime.getRuntime().halt(0);
        }));
        server.start();
    }

    static int number(String name, int usual) {
        String text = System.getenv(name);
        if (text == null || text.isEmpty()) {
            return usual;
        }
        if (!text.matches("[1-9]\\d{0,8}")) {
            System.err.println(name + " is '" + text + "'; write a whole number from 1 on");
            Runtime.getRuntime().halt(1);
        }
        return Integer.parseInt(text);
    }

    private void serve(HttpExchange exchange) throws IOException {
        working.register();
        try (exchange) {
            String method = exchange.getRequestMethod();
            if (method.equals("GET") && HEALTH.contains(exchange.getRequestURI().getPath())) {
                answer(exchange, 200, "{}");
            } else if (!method.equals("POST")) {
                answer(exchange, 404, "{\"message\": \"GET /healthz, or POST a call\"}");
            } else {
                call(exchange);
            }
        } finally {
            working.arriveAndDeregister();
        }
    }

    /** A request that is answered with this status; the handler is not called. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        final int status;

        Refused(int status, String message) {
            super(message);
            this.status = status;
        }
    }

    private void call(HttpExchange exchange) throws IOException {
        try {
            answer(exchange, 200, answered(body(exchange)));
        } catch (Refused refused) {
            answer(exchange, refused.status, refused(refused));
        }
    }

    /**
     * The answer to a call. OpenWhisk has calls in a `value`; where that has no payload, none is
     * meant, as in its /init.
     */
    private String answered(byte[] body) throws Refused {
        // Its caller's time runs from here, also while it waits for its turn.
        long came = System.nanoTime();
        Map<?, ?> call = parse(body);
        if (!call.containsKey("payload") && call.get("value") instanceof Map) {
            call = (Map<?, ?>) call.get("value");
            if (!call.containsKey("payload")) {
                return "{}";
            }
        }
        Object context = call.get("context");
        context = context == null ? new LinkedHashMap<>() : context;
        if (!(context instanceof Map)) {
            throw new Refused(400, "the context is no JSON object");
        }
        Logs logs = new Logs();
        turns.acquireUninterruptibly();
        Object limit = ((Map<?, ?>) context).get("timeout");
        double ms = limit instanceof Number number ? number.doubleValue() : 0;
        if (ms > 0 && System.nanoTime() - came >= ms * 1e6) {
            // Nobody waits for it any more: it is not begun.
            turns.release();
            String message = String.format("the function timed out after %.0f ms", ms);
            return failed("FunctionError", message);
        }
        current.set(logs);
        try {
            String value = Host.result(handler, context, call.get("payload"), maxPayloadBytes);
            return reply(null, value, logs);
        } catch (Throwable problem) {
            Map<String, Object> error = new LinkedHashMap<>();
            error.put("type", "FunctionError");
            error.putAll(asObject(Json.parse(Host.describe(problem))));
            return reply(error, "null", logs);
        } finally {
            current.remove();
            turns.release();
        }
    }

    private String refused(Refused refused) {
        return failed("InputError", refused.getMessage());
    }

    private String failed(String type, String message) {
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("type", type);
        error.put("message", message);
        error.put("stacktrace", List.of());
        return reply(error, "null", new Logs());
    }

    /** Asks Lambda for calls, one after the other. A call that takes too long ends all. */
    private void ask() throws IOException {
        while (true) {
            HttpURLConnection next = request("invocation/next");
            byte[] event = bytes(next);
            if (next.getResponseCode() != 200) {
                throw new IOException("the Lambda Runtime API answered " + next.getResponseCode());
            }
            String id = next.getHeaderField("Lambda-Runtime-Aws-Request-Id");
            byte[] answer = lambdaAnswer(event).getBytes(StandardCharsets.UTF_8);
            if (post("invocation/" + id + "/response", answer, false) == 413) {
                fail("invocation/" + id + "/error",
                        "the answer has " + answer.length + " bytes, which Lambda does not take");
            }
        }
    }

    private String lambdaAnswer(byte[] event) {
        if (event.length < 16 && new String(event, StandardCharsets.UTF_8).trim().equals(HEALTHZ)) {
            return "{}";
        }
        try {
            return answered(event);
        } catch (Refused refused) {
            return refused(refused);
        }
    }

    private static void fail(String path, String message) throws IOException {
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("errorType", "FunctionError");
        error.put("errorMessage", message);
        error.put("stackTrace", List.of());
        post(path, Json.write(error).getBytes(StandardCharsets.UTF_8), true);
    }

    private static HttpURLConnection request(String path) throws IOException {
        URI uri = URI.create("http://" + LAMBDA + "/2018-06-01/runtime/" + path);
        return (HttpURLConnection) uri.toURL().openConnection();
    }

    private static int post(String path, byte[] body, boolean failed) throws IOException {
        HttpURLConnection request = request(path);
        request.setRequestMethod("POST");
        request.setRequestProperty("Content-Type", "application/json");
        if (failed) {
            request.setRequestProperty("Lambda-Runtime-Function-Error-Type", "FunctionError");
        }
        request.setDoOutput(true);
        request.setFixedLengthStreamingMode(body.length);
        try (OutputStream out = request.getOutputStream()) {
            out.write(body);
        }
        bytes(request);
        return request.getResponseCode();
    }

    /** The body of an answer, so that its connection can be used again. */
    private static byte[] bytes(HttpURLConnection request) throws IOException {
        boolean good = request.getResponseCode() < 400;
        try (var in = good ? request.getInputStream() : request.getErrorStream()) {
            return in == null ? new byte[0] : in.readAllBytes();
        }
    }

    private byte[] body(HttpExchange exchange) throws IOException, Refused {
        int most = maxPayloadBytes + SLACK_BYTES;
        String length = exchange.getRequestHeaders().getFirst("Content-Length");
        boolean large = length != null && (length.length() > 9 || Integer.parseInt(length) > most);
        byte[] body = large ? new byte[0] : exchange.getRequestBody().readNBytes(most + 1);
        if (large || body.length > most) {
            throw new Refused(413, "the request has more than the " + most
                    + " bytes that are allowed");
        }
        return body;
    }

    private static Map<?, ?> parse(byte[] body) throws Refused {
        Object call;
        try {
            call = Json.parse(new String(body, StandardCharsets.UTF_8));
        } catch (RuntimeException error) {
            throw new Refused(400, "the request is not JSON: " + error.getMessage());
        }
        if (!(call instanceof Map)) {
            throw new Refused(400, "the request is no JSON object with context and payload");
        }
        return (Map<?, ?>) call;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> asObject(Object value) {
        return (Map<String, Object>) value;
    }

    private static String reply(Map<String, Object> error, String payload, Logs logs) {
        Map<String, Object> lines = new LinkedHashMap<>();
        lines.put("stdout", logs.out.take());
        lines.put("stderr", logs.err.take());
        Map<String, Object> context = new LinkedHashMap<>();
        context.put("error", error);
        context.put("logs", lines);
        return "{\"context\":" + Json.write(context) + ",\"payload\":" + payload + "}";
    }

    private void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        // What is left of a refused body would be taken for the next request.
        if (stopping || status >= 400) {
            exchange.getResponseHeaders().set("Connection", "close");
        }
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }

    /** What one call printed. */
    private final class Logs {
        final Log out = new Log();
        final Log err = new Log();
    }

    /** One stream of it, cut at a limit. */
    private final class Log {
        private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
        private boolean cut;
        private boolean taken;

        synchronized boolean write(byte[] bytes, int from, int length) {
            int room = Math.min(length, maxLogBytes - kept.size());
            kept.write(bytes, from, room);
            cut |= room < length;
            return !taken;
        }

        synchronized List<Object> take() {
            taken = true;
            String text = kept.toString(StandardCharsets.UTF_8);
            List<Object> lines = new ArrayList<>(Arrays.asList(text.split("\r?\n")));
            if (text.isEmpty()) {
                lines.clear();
            }
            if (cut) {
                lines.add("[dispatch: log cut after " + maxLogBytes + " bytes]");
            }
            return lines;
        }
    }

    /** Prints to the log of the thread's call; outside of calls, to where it was before. */
    private PrintStream stream(PrintStream before, boolean out) {
        return new PrintStream(new OutputStream() {
            @Override
            public void write(int one) {
                write(new byte[] {(byte) one}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int length) {
                Logs logs = current.get();
                Log log = logs == null ? null : out ? logs.out : logs.err;
                if (log == null || !log.write(bytes, from, length)) {
                    before.write(bytes, from, length);
                }
            }
        }, true, StandardCharsets.UTF_8);
    }
}
