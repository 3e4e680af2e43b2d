import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.BiFunction;

public class f implements BiFunction<Map<String, Map<String, Object>>, Map<String, Object>, Object> {
    public Object apply(Map<String, Map<String, Object>> context, Map<String, Object> payload) {
        try {
            return answer(context, payload);
        } catch (java.io.IOException | InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private static Object answer(Map<String, Map<String, Object>> context,
            Map<String, Object> payload) throws java.io.IOException, InterruptedException {
        if (payload.containsKey("secret")) {
            return context.get("secrets").get(payload.get("secret"));
        }
        if (payload.containsKey("log")) {
            System.out.println(payload.get("log") + " out");
            System.err.println(payload.get("log") + " err");
        }
        if (payload.containsKey("fail")) {
            throw new IllegalArgumentException((String) payload.get("fail"));
        }
        if (payload.containsKey("big")) {
            return "x".repeat((Integer) payload.get("big"));
        }
        if (payload.containsKey("wait")) {
            Files.createFile(Path.of((String) payload.get("mark")));
            while (!Files.exists(Path.of((String) payload.get("wait")))) {
                Thread.sleep(5);
            }
            return "gone on";
        }
        return payload.get("echo");
    }
}
