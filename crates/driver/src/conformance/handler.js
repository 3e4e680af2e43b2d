// The function that engines are held to their contract with: its payload says what it does.

const VERSION = 1;

module.exports.handle = async (context, payload) => {
  if ("print" in payload) {
    console.log(payload.print, "out");
    console.error(payload.print, "err");
  }
  if ("sleep_ms" in payload) await new Promise((done) => setTimeout(done, payload.sleep_ms));
  if ("exit" in payload) process.exit(payload.exit);
  if ("fail" in payload) throw new Error(payload.fail);
  if ("context" in payload) return context;
  if ("environment" in payload) return process.env[payload.environment] ?? null;
  if ("big" in payload) return "x".repeat(payload.big);
  if ("length" in payload) return payload.length.length;
  if ("version" in payload) return VERSION;
  return payload.echo;
};
