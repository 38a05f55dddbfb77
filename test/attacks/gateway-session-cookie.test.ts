import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Secret } from '../../src/config/secret.ts';
import { createSeal } from '../../src/session/seal.ts';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

const name = '__Host-flytegate';

describe('a session cookie that is not what the gateway made', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  /** The value of a living session, and of the other sealed things that a browser gets to see. */
  let good: string;
  let idToken: string;
  let state: string;
  let login: string;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({ upstream: upstream.url });
    const { browser } = await rig.signIn();
    good = cookieOf(browser.cookiesFor(`${rig.url}/`), name);
    idToken = cookieOf(browser.cookiesFor(`${rig.url}/logout`), '__Secure-flytegate-idt');
    const answer = await rig.ask('/login', { fields: { 'sec-fetch-mode': 'navigate' } });
    state = new URL(answer.one('location') ?? '').searchParams.get('state') ?? '';
    login = answer.one('set-cookie')?.split(';')[0]?.split('=')[1] ?? '';
  });

  it('(while the good one is good)', async () => {
    assert.equal((await rig.ask('/me', { fields: { cookie: `${name}=${good}` } })).status, 200);
  });

  const attacks: Readonly<Record<string, () => string | Promise<string>>> = {
    'a flipped bit in the header': () => flipped(good, 0),
    'a flipped bit in the nonce': () => flipped(good, 2),
    'a flipped bit in the text': () => flipped(good, 3),
    'a flipped bit in the tag': () => flipped(good, 4),
    'the last character gone': () => good.slice(0, -1),
    'half of it': () => good.slice(0, good.length / 2),
    'one character more': () => `${good}A`,
    padding: () => `${good}=`,
    'quotes around it': () => `"${good}"`,
    'an encrypted key put in': () => good.replace('..', '.AAAA.'),
    'a sixth part': () => `${good}.AAAA`,
    'four parts': () => good.split('.').slice(0, 4).join('.'),
    'nothing in it': () => '',
    'dots only': () => '....',
    'a megabyte of dots, as far as a head can hold': () => '.'.repeat(20_000),
    words: () => 'true',
    JSON: () => '{"sub":"root"}',
    'an unsealed session': () => Buffer.from('{"id":"x","claims":{"sub":"root"}}').toString('base64url'),
    'alg none': () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`,
    'the sealed ID token': () => idToken,
    'the state parameter': () => state,
    'the login cookie': () => login,
    'an access token': () => rig.provider.accessToken(),
    'an ID token': () => rig.provider.sign({ iss: rig.issuer, sub: 'ada', aud: 'web' }),
    'another installation’s key': () => {
      const key = { hash: new Secret(Buffer.alloc(32, 1)), block: new Secret(Buffer.alloc(32, 2)) };
      return createSeal([key]).seal('session', { sid: 'x' });
    },
  };

  for (const [what, make] of Object.entries(attacks)) {
    it(`signs nobody in and is cleared: ${what}`, async () => assertSignedOut(`${name}=${await make()}`));
  }

  it('is refused given twice, whichever stands first', async () => {
    await assertSignedOut(`${name}=${good}; ${name}=${good}`);
    await assertSignedOut(`${name}=bad; a=1; ${name}=${good}`);
  });

  it('is refused 500 times over', () =>
    assertSignedOut(Array.from({ length: 500 }, (_, i) => `${name}=${i}`).join('; ')));

  it('is found among 500 others, and only under its exact name', async () => {
    const others = Array.from({ length: 500 }, (_, i) => `c${i}=${i}`).join('; ');
    assert.equal((await rig.ask('/me', { fields: { cookie: `${others}; ${name}=${good}` } })).status, 200);
    for (const other of [`x${name}`, name.toLowerCase(), `${name}2`, 'flytegate', '__Secure-flytegate']) {
      const answer = await rig.ask('/me', { fields: { cookie: `${other}=${good}` } });
      assert.deepEqual([other, answer.status], [other, 401]);
    }
  });

  it('is worth nothing in place of the other sealed things', async () => {
    const fields = { 'sec-fetch-mode': 'navigate' };
    const asState = await rig.ask(`/callback?code=x&state=${encodeURIComponent(good)}`, { fields });
    assert.equal(asState.status, 401);
    const asBearer = await rig.ask('/me', { fields: { authorization: `Bearer ${good}` } });
    assert.equal(asBearer.status, 401);
  });

  it('never reached the upstream with any of it', () => {
    const paths = upstream.requests.map(({ target }) => target);
    assert.deepEqual(paths, ['/console'], 'only the sign-in itself did');
  });

  async function assertSignedOut(cookie: string): Promise<void> {
    for (const [path, status, mode] of [
      ['/me', 401, 'cors'],
      ['/api', 401, 'cors'],
      ['/page', 302, 'navigate'],
    ] as const) {
      const answer = await rig.ask(path, { fields: { cookie, 'sec-fetch-mode': mode } });
      assert.equal(answer.status, status, path);
      assert.match(answer.one('set-cookie') ?? '', /^__Host-flytegate=; .*Max-Age=0/, path);
    }
  }
});

function cookieOf(cookies: string, wanted: string): string {
  const pair = cookies.split('; ').find((one) => one.startsWith(`${wanted}=`));
  return pair?.slice(wanted.length + 1) ?? assert.fail(`no ${wanted} in ${cookies}`);
}

/** With the lowest bit of the middle byte of one segment changed. */
function flipped(sealed: string, segment: number): string {
  const parts = sealed.split('.');
  const bytes = Buffer.from(parts[segment] ?? '', 'base64url');
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return parts.with(segment, bytes.toString('base64url')).join('.');
}
