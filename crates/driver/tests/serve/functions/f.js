const childProcess = require("node:child_process");
const fs = require("node:fs");

module.exports = async (context, payload) => {
  if (payload.secret) return context.secrets[payload.secret];
  if (payload.log) {
    console.log(payload.log, "out");
    console.error(payload.log, "err");
  }
  if (payload.fail) throw new Error(payload.fail);
  if (payload.big) return "x".repeat(payload.big);
  if (payload.exit) process.exit(payload.exit);
  if (payload.leave) return childProcess.spawn("sleep", ["1000"]).pid;
  if (payload.wait) {
    fs.writeFileSync(payload.mark, "");
    while (!fs.existsSync(payload.wait)) await new Promise((done) => setTimeout(done, 5));
    return "gone on";
  }
  return payload.echo;
};
