import java.util.HashMap;
import java.util.Map;
import java.util.function.BiFunction;

/** Tells what the gateway passed on about the HTTP request. */
public class Request implements BiFunction<Map<String, Object>, Object, Object> {
    @Override
    public Object apply(Map<String, Object> context, Object payload) {
        Map<?, ?> request = (Map<?, ?>) context.getOrDefault("httpContext", Map.of());
        Map<String, Object> answer = new HashMap<>();
        answer.put("method", request.get("method"));
        answer.put("uri", request.get("uri"));
        answer.put("query", payload);
        return answer;
    }
}
