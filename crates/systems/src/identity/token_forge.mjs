// A provider that forges: what is wrong with a token is chosen by the redirect address.
import {
  createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign,
} from 'node:crypto';

const [folder, port] = process.argv.slice(2);
const { OAuth2Server } = await import(`file://${folder}/dist/index.mjs`);

const server = new OAuth2Server();
await server.issuer.keys.generate('RS256', { kid: 'first' });
const first = server.issuer.keys.toJSON(true)[0];
const genuine = createPrivateKey({ key: first, format: 'jwk' });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const strangerJwk = stranger.publicKey.export({ format: 'jwk' });

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'));
const signed = (header, claims, by = genuine) => {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), by).toString('base64url')}`;
};
const hashed = (header, claims, secret) => {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
};
const publicPem = () => createPublicKey(genuine).export({ type: 'spki', format: 'pem' });
const publicDer = () => createPublicKey(genuine).export({ type: 'spki', format: 'der' });
const now = () => Math.floor(Date.now() / 1000);

// What is wrong, by name: from a good header and good claims to a token.
const forgeries = {
  nothing: (h, c) => signed(h, c),
  'alg none': (h, c) => `${encode({ ...h, alg: 'none' })}.${encode(c)}.`,
  'alg None': (h, c) => `${encode({ ...h, alg: 'None' })}.${encode(c)}.`,
  'alg none signed': (h, c) => signed({ ...h, alg: 'none' }, c),
  'no alg': (h, c) => signed({ kid: h.kid }, c),
  'HS256 with the public key': (h, c) => hashed({ ...h, alg: 'HS256' }, c, publicPem()),
  'HS256 with the DER of it': (h, c) => hashed({ ...h, alg: 'HS256' }, c, publicDer()),
  'HS256 with its modulus': (h, c) => hashed({ ...h, alg: 'HS256' }, c, first.n),
  'kid is a path': (h, c) => hashed({ alg: 'HS256', kid: '../../../dev/null' }, c, ''),
  'kid is a path, RS256': (h, c) => signed({ ...h, kid: '/dev/null' }, c, stranger.privateKey),
  'kid is an address': (h, c) =>
    signed({ ...h, kid: 'http://127.0.0.1/k' }, c, stranger.privateKey),
  'kid is SQL': (h, c) => signed({ ...h, kid: "x' UNION SELECT 'k" }, c, stranger.privateKey),
  'kid is a list': (h, c) => signed({ ...h, kid: ['first'] }, c),
  'kid of another algorithm': (h, c) => signed({ ...h, alg: 'ES256' }, c),
  'another key under the same kid': (h, c) => signed(h, c, stranger.privateKey),
  'another key and no kid': (h, c) => signed({ alg: 'RS256' }, c, stranger.privateKey),
  'its own key in the header': (h, c) =>
    signed({ alg: 'RS256', jwk: strangerJwk }, c, stranger.privateKey),
  'an address of keys in the header': (h, c) =>
    signed({ ...h, kid: 'x', jku: `http://127.0.0.1:${port}/evil` }, c, stranger.privateKey),
  'claims changed after signing': (h, c) => {
    const [head, , signature] = signed(h, c).split('.');
    return `${head}.${encode({ ...c, sub: 'root' })}.${signature}`;
  },
  'signature cut': (h, c) => signed(h, c).split('.').slice(0, 2).join('.') + '.',
  'demands in the header': (h, c) => signed({ ...h, crit: ['x'], x: 1 }, c),
  'a logout token': (h, c) => signed({ ...h, typ: 'logout+jwt' }, c),
  'another issuer': (h, c) => signed(h, { ...c, iss: 'https://evil.example' }),
  'issuer with a slash': (h, c) => signed(h, { ...c, iss: `${c.iss}/` }),
  'no issuer': (h, c) => signed(h, { ...c, iss: undefined }),
  'another audience': (h, c) => signed(h, { ...c, aud: 'somebody-else' }),
  'no audience': (h, c) => signed(h, { ...c, aud: undefined }),
  'two audiences and no azp': (h, c) => signed(h, { ...c, aud: [c.aud, 'somebody-else'] }),
  'another azp': (h, c) => signed(h, { ...c, azp: 'somebody-else' }),
  'another nonce': (h, c) => signed(h, { ...c, nonce: 'n' }),
  'no nonce': (h, c) => signed(h, { ...c, nonce: undefined }),
  expired: (h, c) => signed(h, { ...c, exp: now() - 120 }),
  'no end': (h, c) => signed(h, { ...c, exp: undefined }),
  'end is a text': (h, c) => signed(h, { ...c, exp: 'never' }),
  'not valid yet': (h, c) => signed(h, { ...c, nbf: now() + 300 }),
  'issued in the future': (h, c) => signed(h, { ...c, iat: now() + 300 }),
  'no subject': (h, c) => signed(h, { ...c, sub: undefined }),
  'an empty subject': (h, c) => signed(h, { ...c, sub: '' }),
  'a subject of two lines': (h, c) => signed(h, { ...c, sub: 'a\nb' }),
  'another access token': (h, c) => signed(h, { ...c, at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }),
  huge: (h, c) => signed(h, { ...c, padding: 'x'.repeat(70_000) }),
  // These are good.
  'within the skew': (h, c) => signed(h, { ...c, exp: now() - 20, nbf: now() + 20 }),
  'two audiences and azp': (h, c) => signed(h, { ...c, aud: [c.aud, 'x'], azp: c.aud }),
  'no kid': (h, c) => signed({ alg: 'RS256' }, c),
  'many groups': (h, c) =>
    signed(h, { ...c, groups: Array.from({ length: 1500 }, (_, n) => `g${n}`) }),
};

server.service.on('beforeResponse', (response, request) => {
  const wrong = new URL(request.body.redirect_uri).searchParams.get('wrong');
  const { id_token, access_token } = response.body;
  const [header, claims] = id_token.split('.').slice(0, 2).map(decode);
  const good = { ...claims, email: 'john@example.org', email_verified: true, groups: ['a'] };
  if (wrong === 'no ID token') {
    delete response.body.id_token;
  } else if (wrong === 'an access token') {
    response.body.id_token = access_token;
  } else if (wrong === 'a server error') {
    response.statusCode = 503;
  } else {
    response.body.id_token = forgeries[wrong]({ ...header, kid: 'first' }, good);
  }
});
await server.start(Number(port), '127.0.0.1');
server.issuer.url = `http://127.0.0.1:${port}`;
