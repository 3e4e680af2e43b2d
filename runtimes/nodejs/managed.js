// The entry point of a function on AWS Lambda's own Node, which calls `handler` itself. Calls go to
// the same workers as in an image of the function: see serve.js.
"use strict";

const path = require("node:path");

process.env.DISPATCH_FUNCTION ||= path.join(__dirname, "function");

const serve = require("./serve.js");

const loaded = serve.load();
// Said by the first call.
loaded.catch(() => {});

exports.handler = async (event, context) => {
  await loaded;
  const left = serve.leftMs(Date.now() + context.getRemainingTimeInMillis());
  return JSON.parse(await serve.lambdaAnswer(JSON.stringify(event), left));
};
