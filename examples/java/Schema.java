import java.util.Map;
import java.util.function.BiFunction;

/** Adds two numbers; the schemas beside it refuse anything else before it is called. */
public class Schema implements BiFunction<Map<String, Object>, Map<String, Object>, Object> {
    @Override
    public Object apply(Map<String, Object> context, Map<String, Object> payload) {
        Number a = (Number) payload.get("a");
        Number b = (Number) payload.get("b");
        return Map.of("sum", a.longValue() + b.longValue());
    }
}
