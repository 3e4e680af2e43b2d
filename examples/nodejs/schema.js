// Adds two numbers; the schemas beside it refuse anything else before it is called.
module.exports = (context, { a, b }) => ({ sum: a + b });
