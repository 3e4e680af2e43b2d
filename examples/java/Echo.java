import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.BiFunction;

/** Returns what it was given, so that one can see what a handler sees. */
public class Echo implements BiFunction<Map<String, Object>, Object, Object> {
    @Override
    public Object apply(Map<String, Object> context, Object payload) {
        Map<String, Object> answer = new HashMap<>();
        answer.put("payload", payload);
        answer.put("context", new TreeSet<>(context.keySet()));
        return answer;
    }
}
