// Makes a registry of two packages: greet, a CommonJS one, and shout, an ES module that uses it.
const childProcess = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");

const url = process.argv[2];

function publish(about, source) {
  fs.mkdirSync("package");
  fs.writeFileSync("package/package.json", JSON.stringify(about));
  fs.writeFileSync("package/index.js", source);
  const file = `${about.name}-${about.version}.tgz`;
  childProcess.execFileSync("tar", ["-czf", file, "package"]);
  fs.rmSync("package", { recursive: true });
  const digest = crypto.createHash("sha512").update(fs.readFileSync(file)).digest("base64");
  const dist = { tarball: `${url}/${file}`, integrity: `sha512-${digest}` };
  const versions = { [about.version]: { ...about, dist } };
  const document = { name: about.name, "dist-tags": { latest: about.version }, versions };
  fs.writeFileSync(about.name, JSON.stringify(document));
}

publish({ name: "greet", version: "1.2.0", main: "index.js" }, "exports.hello = () => 'hello';\n");
publish(
  { name: "shout", version: "1.0.0", type: "module", exports: "./index.js", dependencies: { greet: "^1.0.0" } },
  "import { hello } from 'greet';\nexport default () => hello().toUpperCase();\n",
);
