// A certified OpenID provider with accounts of a test: anybody signs in with any password.
import { generateKeyPairSync } from 'node:crypto';

const [folder, port, ...back] = process.argv.slice(2);
const { Provider } = await import(`file://${folder}/lib/index.js`);
const issuer = `http://127.0.0.1:${port}`;

const key = (kid, use, ...made) => {
  const jwk = generateKeyPairSync(...made).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid, use };
};
const client = (client_id, more) => ({
  client_id,
  redirect_uris: ['https://dispatch.example/back', ...back],
  post_logout_redirect_uris: [
    'https://dispatch.example/out', ...back.map((url) => new URL('/', url).href),
  ],
  grant_types: [
    'authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code',
  ],
  response_types: ['code'],
  ...more,
});

const provider = new Provider(issuer, {
  jwks: {
    keys: [
      key('rsa', 'sig', 'rsa', { modulusLength: 2048 }),
      key('ec', 'sig', 'ec', { namedCurve: 'P-256' }),
      key('ed', 'sig', 'ed25519'),
    ],
  },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  clients: [
    client('dispatch basic', {
      client_secret: 'a:secret/of+basic %',
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'RS256',
    }),
    client('dispatch-post', {
      client_secret: 'a:secret/of+post %',
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'ES256',
    }),
    client('dispatch-public', {
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'PS256',
    }),
  ],
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  features: { deviceFlow: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  cookies: { keys: ['a key of a test'] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id} Example`,
      preferred_username: id,
      email: `${id}@example.org`,
      email_verified: id !== 'mallory',
      groups: id === 'ann' ? ['developers', 'operators'] : [],
    }),
  }),
});
provider.listen(Number(port), '127.0.0.1');
