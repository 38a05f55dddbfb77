import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createBrowser } from '../fakes/browser.ts';
import type { Asked } from '../fakes/provider.ts';
import { ask } from './ask.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

/** What was found out about a provider is believed for 5 s. */
const laterMs = 6000;
const minuteMs = 60_000;
const settings = { 'auth.appAuth.externalAuthServer.retryDelay': '0s' };
const GIGABYTE = 1 << 30;
/** A megabyte is read; the system's buffers on both sides take some more. */
const TAKEN_BYTES = 1 << 25;

const missing = async (rig: FakeRig) => (await ask(`${rig.admin()}/readyz`)).json()['missing'];
const isUp = async (rig: FakeRig, asked: 'metadata' | 'keys') => {
  const { text } = await ask(`${rig.admin()}/metrics`);
  return text.includes(`flytegate_provider_up{issuer="${rig.issuer}",asked="${asked}"} 1\n`);
};

describe('a provider that goes down', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig({ settings });
  });

  it('is missing in /readyz, which stays 200, and 0 in the metrics, until it is back', async () => {
    assert.deepEqual([await missing(rig), await isUp(rig, 'metadata'), await isUp(rig, 'keys')], [[], true, true]);
    await rig.provider.stop();
    rig.move(laterMs);
    assert.equal((await ask(`${rig.admin()}/readyz`)).status, 200);
    assert.deepEqual(await missing(rig), [`provider ${rig.issuer}`, `keys of ${rig.issuer}`]);
    assert.deepEqual([await isUp(rig, 'metadata'), await isUp(rig, 'keys')], [false, false]);
    await rig.provider.restart();
    rig.move(laterMs);
    assert.deepEqual([await missing(rig), await isUp(rig, 'metadata'), await isUp(rig, 'keys')], [[], true, true]);
  });

  it('makes /login a page that says so instead of a way to a dead address, and no cookie is set', async () => {
    const { cookie } = await rig.signIn();
    await rig.provider.stop();
    rig.move(laterMs);
    const page = await createBrowser().open(`${rig.url}/login`);
    assert.deepEqual([page.url.pathname, page.status, page.headers.get('retry-after')], ['/login', 503, '5']);
    assert.match(page.text, /The identity provider cannot be reached/);
    assert.match(page.text, /Try again/);
    assert.deepEqual(page.headers.getSetCookie(), []);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200, 'who is signed in goes on');
    await rig.provider.restart();
    rig.move(laterMs);
    assert.equal((await rig.signIn()).page.status, 200);
  });

  it('is told with Retry-After wherever nobody could tell', async () => {
    const { cookie } = await rig.signIn();
    await rig.provider.stop();
    rig.move(6 * minuteMs);
    for (const path of ['/me', '/api/v1/projects']) {
      const answer = await rig.ask(path, { fields: { cookie } });
      assert.deepEqual([answer.status, answer.one('retry-after')], [503, '5'], path);
    }
    await rig.provider.restart();
  });
});

describe('a provider whose keys cannot be had', () => {
  it('is told from one that is down, while tokens of known keys go on', async () => {
    const rig = await startFakeRig({ settings });
    const bearer = async () => ({ 'flyte-authorization': `Bearer ${await rig.provider.accessToken()}` });
    assert.equal((await rig.ask('/me', { fields: await bearer() })).status, 200);
    rig.provider.behaviour.answers.jwks = { status: 503 };
    rig.move(laterMs);
    assert.deepEqual(await missing(rig), [`keys of ${rig.issuer}`]);
    assert.deepEqual([await isUp(rig, 'metadata'), await isUp(rig, 'keys')], [true, false]);
    assert.equal((await rig.ask('/me', { fields: await bearer() })).status, 200);
  });
});

describe('a provider that hangs', () => {
  it('keeps neither /readyz nor a browser at /login waiting', async () => {
    const rig = await startFakeRig({ settings });
    await rig.signIn();
    const release = rig.provider.hold('discovery');
    rig.move(laterMs);
    const begun = performance.now();
    assert.deepEqual(await missing(rig), [`provider ${rig.issuer}`]);
    const page = await createBrowser().open(`${rig.url}/login`, { until: (url) => url.pathname === '/authorize' });
    assert.equal(page.status, 302);
    assert.ok(performance.now() - begun < 8000, 'auth.timeout is ten seconds');
    release();
  });
});

describe('an answer of a gigabyte', () => {
  for (const [what, answer] of Object.entries({
    promised: { status: 200, fields: { 'content-length': String(GIGABYTE) }, body: '{' },
    sent: { status: 200, streamedBytes: GIGABYTE },
  }))
    for (const asked of ['discovery', 'jwks', 'token', 'userinfo'] as const satisfies readonly Asked[])
      it(`that is ${what} in place of ${asked} is cut short, and signs nobody out`, async () => {
        const rig = await startFakeRig({ settings: { ...settings, 'auth.timeout': '1s' } });
        const { cookie } = await rig.signIn();
        rig.provider.behaviour.answers[asked] = answer;
        await rig.restart();
        rig.move(4.6 * minuteMs);
        const answered = await rig.ask('/me', { fields: { cookie } });
        assert.equal(answered.status, 200, 'due, and alive');
        const fields = { 'flyte-authorization': `Bearer ${await rig.provider.accessToken()}` };
        const isNeeded = asked === 'discovery' || asked === 'jwks';
        assert.equal((await rig.ask('/me', { fields })).status, isNeeded ? 503 : 200);
        assert.ok(rig.provider.longestStreamed() < TAKEN_BYTES, `${rig.provider.longestStreamed()} bytes were taken`);
      });
});

describe('a token from another time', () => {
  it('is forgiven a minute, and beyond it the log names the clock', async () => {
    const rig = await startFakeRig({ settings });
    const status = async (claims: Record<string, number>) => {
      const token = await rig.provider.accessToken(claims);
      return (await rig.ask('/me', { fields: { 'flyte-authorization': `Bearer ${token}` } })).status;
    };
    const nowS = Math.floor(Date.now() / 1000);
    assert.equal(await status({ iat: nowS + 58, nbf: nowS + 58 }), 200);
    assert.equal(await status({ exp: nowS - 55 }), 200);
    for (const claim of ['iat', 'nbf']) {
      assert.equal(await status({ [claim]: nowS + 90 }), 401);
      const line = rig.log.of('token.rejected').at(-1);
      assert.deepEqual([line?.['because'], /clocks/.test(String(line?.['hint']))], [claim, true]);
    }
  });
});
