final class Serve {
}
