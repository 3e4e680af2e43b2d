// Writes to both logs; the lines end up in the run, and only there.
module.exports = () => {
  console.log("this is stdout");
  console.error("this is stderr");
  return "logged";
};
