// Uses a secret without showing it.
module.exports = (context) => ({ passwordLength: context.secrets.password.length });
