import java.util.Map;
import java.util.function.BiFunction;

/** Greets: {"name": "Ada", "place": "London"} -> {"greeting": "Hello, Ada from London"}. */
public class Hello implements BiFunction<Map<String, Object>, Map<String, Object>, Object> {
    @Override
    public Object apply(Map<String, Object> context, Map<String, Object> payload) {
        Object name = payload.getOrDefault("name", "Noone");
        Object place = payload.getOrDefault("place", "Nowhere");
        return Map.of("greeting", "Hello, " + name + " from " + place);
    }
}
