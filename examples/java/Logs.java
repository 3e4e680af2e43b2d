import java.util.Map;
import java.util.function.BiFunction;

/** Writes to both logs; the lines end up in the run, and only there. */
public class Logs implements BiFunction<Map<String, Object>, Object, Object> {
    @Override
    public Object apply(Map<String, Object> context, Object payload) {
        System.out.println("this is stdout");
        System.err.println("this is stderr");
        return "logged";
    }
}
