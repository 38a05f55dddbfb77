import assert from 'node:assert/strict';
import { constants, createHmac, publicEncrypt } from 'node:crypto';
import { describe, it } from 'node:test';
import { CompactEncrypt, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { createCredentialGate } from '../access/credential-gate.ts';
import { accessClaims, createIssuer, ISSUER, NOW_S, segment, without } from '../authenticate/fixtures.ts';

const gate = await createCredentialGate();
const { issuer } = gate;
const good = await issuer.sign(accessClaims());
const [head = '', body = '', signature = ''] = good.split('.');

/** The status that a request with this bearer gets, and whether a key was looked for. */
async function send(token: string) {
  const before = issuer.asked();
  const { status, decision } = await gate.ask('authorization', `Bearer ${token}`);
  const why = decision?.kind === 'sign-in' ? decision.why : decision?.kind;
  return { status, why, isKeyAsked: issuer.asked() > before };
}

async function assertRefusedCheaply(token: string, why: string) {
  assert.deepEqual(await send(token), { status: 401, why, isKeyAsked: false });
}

async function assertRefused(token: string, why: string) {
  const said = await send(token);
  assert.deepEqual([said.status, said.why], [401, why]);
}

it('The token that all these are made from is good', async () => {
  assert.deepEqual(await send(good), { status: 200, why: 'allow', isKeyAsked: true });
});

describe('a token that is not signed by an asymmetric algorithm is refused before a key is looked for:', () => {
  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    'none ',
    '',
    'HS256',
    'hs256',
    'RS256 ',
    'rs256',
    'RSA1_5',
    'dir',
    'A256GCM',
  ])
    for (const sig of ['', 'AA', signature])
      it(`alg ${JSON.stringify(alg)}, ${sig.length} characters of signature`, () =>
        assertRefusedCheaply(
          `${segment({ alg, kid: 'rsa-1' })}.${body}.${sig}`,
          sig === '' ? 'token_malformed' : 'token_untrusted',
        ));

  for (const alg of [undefined, null, 7, ['RS256'], { toString: 'RS256' }])
    it(`alg ${JSON.stringify(alg)}`, () =>
      assertRefusedCheaply(`${segment({ alg, kid: 'rsa-1' })}.${body}.${signature}`, 'token_untrusted'));

  for (const [form, secret] of [
    ['PEM', async () => Buffer.from(await exportSPKI(issuer.rsa.publicKey))],
    ['JWK', async () => Buffer.from(JSON.stringify(await exportJWK(issuer.rsa.publicKey)))],
    ['modulus', async () => Buffer.from(String((await exportJWK(issuer.rsa.publicKey)).n), 'base64url')],
  ] as const)
    it(`HS256 with the public key for secret, as ${form}`, async () => {
      const input = `${segment({ alg: 'HS256', kid: 'rsa-1' })}.${body}`;
      const mac = createHmac('sha256', await secret())
        .update(input)
        .digest('base64url');
      await assertRefusedCheaply(`${input}.${mac}`, 'token_untrusted');
    });
});

describe('a token that brings its own key, or changes how it is read, is refused before a key is looked for:', async () => {
  const stranger = await createIssuer();
  const jwk = await exportJWK(stranger.rsa.publicKey);
  for (const header of [
    { jwk },
    { jku: 'https://evil.test/keys' },
    { x5u: 'https://evil.test/cert' },
    { x5c: ['MIIB'] },
    { crit: ['exp'], exp: NOW_S + 60 },
    { crit: [] },
    { b64: true },
    { b64: false, crit: ['b64'] },
    { zip: 'DEF' },
    { enc: 'A256GCM' },
  ])
    it(Object.keys(header).join(' and '), async () => {
      const input = `${segment({ alg: 'RS256', kid: 'rsa-1', ...header })}.${body}`;
      const sig = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', stranger.rsa.privateKey, Buffer.from(input));
      await assertRefusedCheaply(`${input}.${Buffer.from(sig).toString('base64url')}`, 'token_untrusted');
    });

  for (const typ of [
    'logout+jwt',
    'dpop+jwt',
    'secevent+jwt',
    'application/jwt',
    'id+jwt',
    'JWE',
    '',
    7,
    null,
    ['at+jwt'],
  ])
    it(`typ ${JSON.stringify(typ)}, though the issuer signed it`, async () => {
      const token = await signWith({ alg: 'RS256', kid: 'rsa-1', typ });
      await assertRefusedCheaply(token, 'token_malformed');
    });
});

/** Signed by the issuer's RSA key whatever the header says. */
async function signWith(header: object, claims: object = accessClaims()): Promise<string> {
  const input = `${segment(header)}.${segment(claims)}`;
  const sig = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', issuer.rsa.privateKey, Buffer.from(input));
  return `${input}.${Buffer.from(sig).toString('base64url')}`;
}

describe('a kid that is not one of the issuer is refused:', () => {
  for (const kid of [
    '../../dev/null',
    "' OR 1=1 --",
    'https://evil.test/key',
    'rsa-2',
    '',
    '__proto__',
    '\u0000',
    'RSA-1',
  ])
    it(JSON.stringify(kid), async () => assertRefused(await signWith({ alg: 'RS256', kid }), 'token_untrusted'));

  for (const kid of [7, null, ['rsa-1'], { 0: 'rsa-1' }, 'x'.repeat(257)])
    it(`${JSON.stringify(kid).slice(0, 30)}, before a key is looked for`, async () =>
      assertRefusedCheaply(await signWith({ alg: 'RS256', kid }), 'token_malformed'));

  it('the kid of the other algorithm', async () => {
    await assertRefused(await signWith({ alg: 'RS256', kid: 'ec-1' }), 'token_untrusted');
    await assertRefused(await signWith({ alg: 'ES256', kid: 'rsa-1' }), 'token_untrusted');
  });
});

describe('a signature that the issuer did not make is refused:', () => {
  it("another issuer's, under the same kid", async () => {
    const stranger = await createIssuer();
    await assertRefused(await stranger.sign(accessClaims()), 'token_untrusted');
  });

  it('the same key under another algorithm', async () => {
    const { privateKey } = issuer.rsa;
    const pss = await crypto.subtle.importKey(
      'pkcs8',
      await crypto.subtle.exportKey('pkcs8', privateKey),
      { name: 'RSA-PSS', hash: 'SHA-256' },
      false,
      ['sign'],
    );
    const header = { alg: 'PS256', kid: 'rsa-1' };
    await assertRefused(await new SignJWT(accessClaims()).setProtectedHeader(header).sign(pss), 'token_untrusted');
  });

  for (const [what, bytes] of [
    ['r = s = 0', new Uint8Array(64)],
    ['r = s = 1', new Uint8Array(64).map((_, i) => (i % 32 === 31 ? 1 : 0))],
    ['r = s = n', Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'.repeat(2), 'hex')],
    ['63 bytes', new Uint8Array(63)],
    ['DER', Buffer.from('3006020100020100', 'hex')],
  ] as const)
    it(`ES256 with ${what}`, () =>
      assertRefused(
        `${segment({ alg: 'ES256', kid: 'ec-1' })}.${body}.${Buffer.from(bytes).toString('base64url')}`,
        'token_untrusted',
      ));

  for (const at of [0, 1, 2])
    it(`one flipped bit in segment ${at}`, async () => {
      const segments = [head, body, signature];
      const bytes = Buffer.from(segments[at] ?? '', 'base64url');
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      segments[at] = bytes.toString('base64url');
      assert.equal((await send(segments.join('.'))).status, 401);
    });

  it('claims swapped for those of another token', async () => {
    const other = await issuer.sign(accessClaims({ sub: 'admin' }));
    await assertRefused(`${head}.${other.split('.')[1]}.${signature}`, 'token_untrusted');
  });
});

describe('a token of another shape is refused before a key is looked for:', () => {
  for (const [what, token] of [
    ['padding', `${head}=.${body}.${signature}`],
    ['padding in the signature', `${head}.${body}.${signature}==`],
    ['a standard alphabet', `${head}.${body}.+/${signature.slice(2)}`],
    ['a fourth segment', `${good}.${signature}`],
    ['two segments', `${head}.${body}`],
    ['no signature', `${head}.${body}.`],
    ['no header', `.${body}.${signature}`],
    ['dots only', '..'],
    ['a million dots', '.'.repeat(1_000_000)],
    ['a million characters', 'a'.repeat(1_000_000)],
    ['a good token grown over 16 KiB', `${head}.${body}.${signature}${'A'.repeat(16_384)}`],
    ['a header over 2 KiB', `${segment({ alg: 'RS256', kid: 'rsa-1', pad: 'x'.repeat(2000) })}.${body}.${signature}`],
    ['spare bits in the last character', spareBits()],
    ['a header that is a list', `${segment([{ alg: 'RS256' }])}.${body}.${signature}`],
    ['a header that is null', `${segment('null')}.${body}.${signature}`],
    ['claims that are a text', `${head}.${segment('"sub"')}.${signature}`],
    ['claims that are not JSON', `${head}.${segment('{sub:1}')}.${signature}`],
    ['claims that are not UTF-8', `${head}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${signature}`],
    ['claims with a byte order mark', `${head}.${segment(`\ufeff${JSON.stringify(accessClaims())}`)}.${signature}`],
    ['claims a thousand lists deep', `${head}.${segment('['.repeat(1000) + ']'.repeat(1000))}.${signature}`],
    ['JSON serialization', segment({ protected: head, payload: body, signature })],
  ] as const)
    it(what, () => assertRefusedCheaply(token, 'token_malformed'));

  for (const space of [' ', '\t', '\u000b', '\u00a0', '\r\n ', ','])
    it(`${JSON.stringify(space)} inside a segment`, () =>
      assertRefusedCheaply(`${head}.${body.slice(0, 9)}${space}${body.slice(9)}.${signature}`, 'token_malformed'));

  it('JWE for our eyes', async () => {
    const { publicKey } = await generateKeyPair('RSA-OAEP-256');
    const jwe = await new CompactEncrypt(Buffer.from(JSON.stringify(accessClaims())))
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'rsa-1' })
      .encrypt(publicKey);
    await assertRefusedCheaply(jwe, 'token_malformed');
  });

  it('JWE with the public key of the issuer', async () => {
    const pem = await exportSPKI(issuer.rsa.publicKey);
    const sealed = publicEncrypt({ key: pem, padding: constants.RSA_PKCS1_OAEP_PADDING }, Buffer.from('key'));
    const dots = `${segment({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.${sealed.toString('base64url')}.AA.AA.AA`;
    await assertRefusedCheaply(dots, 'token_malformed');
  });
});

/** The same signature, spelt with bits that decoding drops. */
function spareBits(): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(signature.at(-1) ?? '');
  return `${head}.${body}.${signature.slice(0, -1)}${alphabet[last ^ 1]}`;
}

describe('a token that the issuer signed is still refused, before a key is looked for,', () => {
  for (const claim of ['exp', 'iss', 'aud'])
    it(`without ${claim}`, async () =>
      assertRefusedCheaply(await issuer.sign(without(accessClaims(), claim)), 'token_malformed'));

  for (const [why, changes] of [
    ['token_malformed', { nonce: 'n' }],
    ['token_malformed', { nonce: null }],
    ['token_malformed', { at_hash: 'h' }],
    ['token_malformed', { c_hash: 'h' }],
    ['token_malformed', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
    ['token_malformed', { iss: [ISSUER] }],
    ['token_malformed', { aud: [] }],
    ['token_malformed', { aud: {} }],
    ['token_malformed', { exp: String(NOW_S + 60) }],
    ['token_malformed', { exp: (NOW_S + 60) * 1000 }],
    ['token_malformed', { exp: -1 }],
    ['token_malformed', { nbf: 'now' }],
    ['token_malformed', { iat: null }],
    ['token_untrusted', { iss: `${ISSUER}/` }],
    ['token_untrusted', { iss: ISSUER.toUpperCase() }],
    ['token_untrusted', { iss: 'https://evil.test' }],
    ['token_untrusted', { aud: 'web-app' }],
    ['token_expired', { exp: NOW_S - 3600 }],
    ['token_expired', { nbf: NOW_S + 3600 }],
    ['token_expired', { iat: NOW_S + 3600 }],
  ] as const)
    it(`with ${JSON.stringify(changes)}`, async () =>
      assertRefusedCheaply(await signWith({ alg: 'RS256', kid: 'rsa-1' }, accessClaims(changes)), why));
});

it('A token without a subject or an app to stand for it is refused', async () => {
  await assertRefused(await issuer.sign(without(accessClaims(), 'sub')), 'token_malformed');
  await assertRefused(await issuer.sign(without(accessClaims(), 'sub', 'client_id')), 'token_malformed');
});

it('An ID token for the web app is no access token, also when it is for our public URL', async () => {
  const idToken = {
    ...without(accessClaims(), 'scope', 'client_id'),
    aud: ['web-app', 'https://flyte.example.com'],
    azp: 'web-app',
  };
  assert.equal((await send(await issuer.sign({ ...idToken, nonce: 'n' }))).status, 401);
  assert.equal((await send(await issuer.sign({ ...idToken, at_hash: 'h' }))).status, 401);
  assert.equal((await send(await issuer.sign(idToken))).status, 403, 'it has a client and no scope');
});

it('A claim called __proto__ changes nothing', async () => {
  const claims = JSON.stringify(without(accessClaims(), 'exp')).replace('{', '{"__proto__":{"exp":9999999999},');
  const input = `${head}.${segment(claims)}`;
  const sig = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', issuer.rsa.privateKey, Buffer.from(input));
  await assertRefusedCheaply(`${input}.${Buffer.from(sig).toString('base64url')}`, 'token_malformed');
});

it('No part of any of these tokens is in the log', () => {
  const text = JSON.stringify(gate.lines);
  assert.ok(gate.lines.length > 50 && !text.includes(signature.slice(0, 20)) && !text.includes(body.slice(0, 20)));
});
