// Tells what the gateway passed on about the HTTP request.
module.exports = ({ httpContext = {} }, payload) => ({
  method: httpContext.method,
  uri: httpContext.uri,
  query: payload,
});
