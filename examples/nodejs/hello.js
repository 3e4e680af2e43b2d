// Greets: {"name": "Ada", "place": "London"} -> {"greeting": "Hello, Ada from London"}.
module.exports = (context, payload) => {
  const { name = "Noone", place = "Nowhere" } = payload;
  return { greeting: `Hello, ${name} from ${place}` };
};
