// Returns what it was given, so that one can see what a handler sees.
module.exports = async (context, payload) => ({ payload, context: Object.keys(context).sort() });
