// Runs a JavaScript handler as a component of the world dispatch:function/function.
//
// `files` are the function's own CommonJS modules and JSON files by path.
const files = __FILES__;
const loaded = new Map();

function resolve(from, name) {
  const parts = from.split("/").slice(0, -1);
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  const path = parts.join("/");
  const found = [path, `${path}.js`, `${path}.json`, `${path}/index.js`].find((p) => p in files);
  if (found === undefined) throw new Error(`Cannot find module '${name}' from '${from}'`);
  return found;
}

function load(path) {
  if (loaded.has(path)) return loaded.get(path).exports;
  const module = { exports: {} };
  loaded.set(path, module);
  if (path.endsWith(".json")) {
    module.exports = JSON.parse(files[path]);
    return module.exports;
  }
  const require = (name) => {
    if (!name.startsWith(".")) throw new Error(`Cannot find module '${name}': not in the source`);
    return load(resolve(path, name));
  };
  const text = `${files[path]}\n//# sourceURL=${path}`;
  new Function("module", "exports", "require", text)(module, module.exports, require);
  return module.exports;
}

// Loaded while the component is made, so that calls begin with everything evaluated.
const module = __MODULE__;
const member = __MEMBER__;
const candidates = [module[member], module.default?.[member], module.handle];
const handler = [...candidates, module.default?.handle, module.default, module].find(
  (candidate) => typeof candidate === "function",
);
if (handler === undefined) throw new Error("the handler's file exports no function");

export async function handle(context, payload) {
  try {
    const answer = await handler(JSON.parse(context), JSON.parse(payload));
    return JSON.stringify(answer) ?? "null";
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const stacktrace = String(error?.stack ?? "").split("\n").filter((line) => line !== "");
    throw { payload: { message, stacktrace } };
  }
}
