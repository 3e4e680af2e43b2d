import java.util.Map;
import java.util.function.BiFunction;

/** Uses a secret without showing it. */
public class Secret implements BiFunction<Map<String, Object>, Object, Object> {
    @Override
    public Object apply(Map<String, Object> context, Object payload) {
        Map<?, ?> secrets = (Map<?, ?>) context.get("secrets");
        return Map.of("passwordLength", secrets.get("password").toString().length());
    }
}
