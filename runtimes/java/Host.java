import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/**
 * The Java host: loads a handler and calls it. Start: {@code java -jar host.jar}, with the socket
 * as descriptor 3; the jar's manifest opens java.base/java.io. The protocol is in ../PROTOCOL.md.
 *
 * <p>A handler is a class that implements {@code BiFunction<Map, P, R>}; objects reach it as maps,
 * arrays as lists. Source files are compiled when there are any, and the classes sent to the
 * server, which keeps them for later workers.
 */
public final class Host {
    private static final int LOAD = 1, CALL = 2;
    private static final int HELLO = 16, LOADED = 17, LOAD_FAILED = 18, RESULT = 19, ERROR = 20;
    private static final int KEEP = 23;
    private static final int TOKEN = 8;

    private final DataInputStream in;
    private final FileOutputStream out;

    private Host() throws Exception {
        FileDescriptor socket = new FileDescriptor();
        Field number = FileDescriptor.class.getDeclaredField("fd");
        number.setAccessible(true);
        number.setInt(socket, 3);
        in = new DataInputStream(new FileInputStream(socket));
        out = new FileOutputStream(socket);
    }

    public static void main(String[] arguments) throws Exception {
        switch (arguments.length == 0 ? "serve" : arguments[0]) {
            case "archive" -> new Host().archive(List.of(arguments).subList(1, arguments.length));
            case "rehearse" -> rehearse();
            case "compile" -> compileTo(Path.of(arguments[1]), Path.of(arguments[2]));
            case "http" -> {
                Serve.run(Path.of(arguments[1]));
                return;
            }
            default -> new Host().serve();
        }
        Runtime.getRuntime().halt(0);
    }

    /**
     * Sends an archive of the classes that every start needs, as the machine keeps them in memory.
     * It is made by another machine at its exit, whose command this is given.
     */
    private void archive(List<String> command) throws Exception {
        send(HELLO, "");
        Path archive = Path.of("/tmp/host.jsa");
        List<String> words = new ArrayList<>(command);
        words.removeIf(word -> word.startsWith("-XX:SharedArchiveFile="));
        words.add(1, "-XX:ArchiveClassesAtExit=" + archive);
        words.add("rehearse");
        new ProcessBuilder(words).redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
        send(KEEP, new byte[0], Files.readAllBytes(archive));
        send(LOADED, "");
    }

    /** Does what a start does, without a server and a handler. */
    private static void rehearse() throws Exception {
        try {
            Path own = Path.of(System.getProperty("java.class.path"));
            find(own.getParent().toString(), "Host", own, classes -> { });
        } catch (ClassCastException expected) {
            Json.parse(describe(expected));
        }
        Json.write(Json.parse("{\"a\": [1, 2.5, \"b\", true, null]}"));
    }

    private void serve() throws IOException {
        send(HELLO, "");
        byte[] body = receive(LOAD);
        if (body == null) {
            return;
        }
        Map<?, ?> order = (Map<?, ?>) Json.parse(new String(body, StandardCharsets.UTF_8));
        BiFunction<Object, Object, Object> handler;
        try {
            Path kept = Path.of((String) order.get("classes"));
            handler = find((String) order.get("directory"), (String) order.get("handler"), kept,
                    classes -> send(KEEP, new byte[0], classes));
        } catch (Throwable error) {
            send(LOAD_FAILED, describe(error));
            return;
        }
        send(LOADED, "");
        long most = ((Number) order.get("max_payload_bytes")).longValue();
        while ((body = receive(CALL)) != null) {
            answer(handler, body, most);
        }
    }

    private void answer(BiFunction<Object, Object, Object> handler, byte[] body, long most)
            throws IOException {
        int kind = RESULT;
        String answer;
        try {
            int length = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN).getInt(TOKEN);
            int start = TOKEN + 4;
            Object context = Json.parse(new String(body, start, length, StandardCharsets.UTF_8));
            int rest = start + length;
            String payload = new String(body, rest, body.length - rest, StandardCharsets.UTF_8);
            answer = result(handler, context, Json.parse(payload), most);
        } catch (Throwable error) {
            kind = ERROR;
            answer = describe(error);
        }
        System.out.flush();
        System.err.flush();
        send(kind, Arrays.copyOf(body, TOKEN), answer.getBytes(StandardCharsets.UTF_8));
    }

    /** What a handler returns, as JSON. */
    static String result(BiFunction<Object, Object, Object> handler, Object context,
            Object payload, long most) {
        String result = Json.write(handler.apply(context, payload));
        if (result.getBytes(StandardCharsets.UTF_8).length > most) {
            throw new IllegalStateException(
                    "the result is larger than the " + most + " bytes that are allowed");
        }
        return result;
    }

    /** Takes compiled classes, a jar, for those who start later. */
    interface Keep {
        void keep(byte[] classes) throws IOException;
    }

    /** Loads a handler; {@code kept} is where its compiled classes are when they were kept. */
    @SuppressWarnings("unchecked")
    static BiFunction<Object, Object, Object> find(String directory, String handler, Path kept,
            Keep keep) throws Exception {
        Path folder = Path.of(directory);
        List<Path> files = filesOf(folder);
        List<URL> places = places(folder, files, kept);
        List<String> sources = sources(files);
        if (!sources.isEmpty()) {
            Path classes = Files.exists(kept) ? kept : compile(sources, places, keep);
            places.add(0, classes.toUri().toURL());
        }
        if (handler == null || handler.isEmpty()) {
            if (sources.size() != 1) {
                throw new ClassNotFoundException("the handler is not named; write its class");
            }
            handler = Path.of(sources.get(0)).getFileName().toString().replace(".java", "");
        }
        ClassLoader loader = new URLClassLoader(places.toArray(new URL[0]));
        // Libraries look there for what others plug into them.
        Thread.currentThread().setContextClassLoader(loader);
        Object made = loader.loadClass(handler).getDeclaredConstructor().newInstance();
        if (!(made instanceof BiFunction)) {
            throw new ClassCastException(handler + " does not implement java.util.function.BiFunction");
        }
        return (BiFunction<Object, Object, Object>) made;
    }

    private static List<Path> filesOf(Path folder) throws IOException {
        try (Stream<Path> walk = Files.walk(folder)) {
            return walk.filter(Files::isRegularFile).sorted().collect(Collectors.toList());
        }
    }

    private static List<String> sources(List<Path> files) {
        return files.stream().map(Path::toString).filter(name -> name.endsWith(".java"))
                .collect(Collectors.toList());
    }

    /** Where classes are looked for: the function, its jars, and the packages of its image. */
    private static List<URL> places(Path folder, List<Path> files, Path kept) throws IOException {
        List<Path> jars = new ArrayList<>(files);
        String packages = System.getenv("DISPATCH_PACKAGES");
        if (packages != null && Files.isDirectory(Path.of(packages))) {
            jars.addAll(filesOf(Path.of(packages)));
        }
        List<URL> places = new ArrayList<>();
        places.add(folder.toUri().toURL());
        for (Path file : jars) {
            if (file.toString().endsWith(".jar") && !file.equals(kept)) {
                places.add(file.toUri().toURL());
            }
        }
        return places;
    }

    /** Compiles a function's sources, where it has any, to a jar. */
    private static void compileTo(Path folder, Path jar) throws Exception {
        List<Path> files = filesOf(folder);
        if (!sources(files).isEmpty()) {
            List<URL> places = places(folder, files, jar);
            compile(sources(files), places, classes -> Files.write(jar, classes));
        }
    }

    /** Compiles, and gives what came of it to be kept. */
    private static Path compile(List<String> sources, List<URL> places, Keep keep)
            throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        if (compiler == null) {
            throw new IllegalStateException("this Java has no compiler: send classes or a jar");
        }
        Path target = Files.createTempDirectory("classes");
        List<String> words = new ArrayList<>(List.of("-proc:none", "-nowarn", "-d", target.toString()));
        words.add("-cp");
        words.add(places.stream().map(URL::getPath).collect(Collectors.joining(File.pathSeparator)));
        words.addAll(sources);
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        if (compiler.run(null, said, said, words.toArray(new String[0])) != 0) {
            throw new IllegalArgumentException("javac: " + said.toString(StandardCharsets.UTF_8));
        }
        keep.keep(jar(target));
        return target;
    }

    private static byte[] jar(Path folder) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (JarOutputStream jar = new JarOutputStream(bytes)) {
            for (Path file : filesOf(folder)) {
                ZipEntry entry = new ZipEntry(folder.relativize(file).toString());
                // The same classes make the same jar, whenever that is.
                entry.setTimeLocal(LocalDateTime.of(1980, 1, 1, 0, 0));
                jar.putNextEntry(entry);
                Files.copy(file, jar);
            }
        }
        return bytes.toByteArray();
    }

    static String describe(Throwable error) {
        List<Object> lines = new ArrayList<>();
        for (StackTraceElement element : error.getStackTrace()) {
            if (!isOurs(element.getClassName()) && lines.size() < 200) {
                lines.add("at " + element);
            }
        }
        String message = String.valueOf(error);
        message = message.substring(0, Math.min(message.length(), 8000));
        return Json.write(Map.of("message", message, "stacktrace", lines));
    }

    private static boolean isOurs(String name) {
        return name.equals("Host") || name.startsWith("Serve") || name.startsWith("com.sun.net.")
                || name.startsWith("sun.net.httpserver.");
    }

    private byte[] receive(int wanted) throws IOException {
        byte[] head = new byte[5];
        try {
            in.readFully(head);
            int length = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN).getInt();
            byte[] body = new byte[length];
            in.readFully(body);
            return head[4] == wanted ? body : null;
        } catch (EOFException end) {
            return null;
        }
    }

    private void send(int kind, String text) throws IOException {
        send(kind, new byte[0], text.getBytes(StandardCharsets.UTF_8));
    }

    private void send(int kind, byte[] token, byte[] body) throws IOException {
        int length = token.length + body.length;
        ByteBuffer frame = ByteBuffer.allocate(5 + length).order(ByteOrder.LITTLE_ENDIAN);
        frame.putInt(length).put((byte) kind).put(token).put(body);
        out.write(frame.array());
    }
}
