import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { before, describe, it } from 'node:test';
import { redisProgram, startRedis } from '../fakes/redis-server.ts';
import type { Answer } from './ask.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const minuteMs = 60_000;

/** The access tokens of these suites live five minutes, so they are due for renewal after four and a half. */
const dueMs = 4.6 * minuteMs;

for (const store of ['cookie', 'memory', 'redis'] as const) {
  describe(`a session (store: ${store})`, { skip: store === 'redis' && redisProgram.skip }, () => {
    let rig: FakeRig;
    before(async () => {
      rig = await startFakeRig({ settings: { 'session.store': store, ...(await placeOf(store)) } });
    });
    const get = (path: string, cookie: string) => rig.ask(path, { fields: { cookie } });

    for (const path of ['/api/v1/projects', '/me']) {
      it(`is renewed before its access token dies, on a request of ${path}`, async () => {
        let { cookie } = await rig.signIn();
        const asked = rig.provider.calls.token;
        for (let i = 1; i <= 3; i++) {
          rig.move(dueMs);
          const answer = await get(path, cookie);
          assert.equal(answer.status, 200);
          assert.equal(rig.provider.calls.token, asked + i);
          cookie = renewed(answer) ?? cookie;
          if (store === 'cookie') assert.notEqual(renewed(answer), undefined);
          assert.equal((await get(path, cookie)).status, 200);
        }
        assert.equal(rig.provider.calls.token, asked + 3, 'and not before it is due again');
      });
    }

    it('is renewed once for 200 requests at once, whoever hangs up', async () => {
      const { cookie } = await rig.signIn();
      rig.move(dueMs);
      const asked = rig.provider.calls.token;
      const release = rig.provider.hold('token');
      const leaving = connect(rig.port, '127.0.0.1');
      leaving.write(`GET /api/v1/projects HTTP/1.1\r\nHost: localhost:${rig.port}\r\nCookie: ${cookie}\r\n\r\n`);
      await rig.provider.whenAsked('token', asked + 1);
      const answers = Array.from({ length: 200 }, (_, i) => get(i % 2 ? '/me' : '/api/v1/projects', cookie));
      leaving.destroy();
      await once(leaving, 'close');
      release();
      for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
      assert.equal(rig.provider.calls.token, asked + 1);
    });

    it('gives stragglers that still carry the old cookie the new one', async () => {
      const { cookie } = await rig.signIn();
      rig.move(dueMs);
      const first = await get('/me', cookie);
      const asked = rig.provider.calls.token;
      rig.move(minuteMs);
      const straggler = await get('/api/v1/projects', cookie);
      assert.equal(straggler.status, 200);
      assert.equal(rig.provider.calls.token, asked);
      if (store === 'cookie') assert.notEqual(renewed(first), undefined);
      if (store === 'cookie') assert.notEqual(renewed(straggler), undefined);
    });

    it('ends after the idle limit, and not while it is used', async () => {
      let { cookie } = await rig.signIn();
      for (let hours = 0; hours < 12; hours += 4) {
        rig.move(4 * 60 * minuteMs);
        const answer = await get('/me', cookie);
        assert.equal(answer.status, 200);
        cookie = renewed(answer) ?? cookie;
      }
      rig.move(8 * 60 * minuteMs);
      assertSignedOut(await get('/me', cookie));
    });

    it('ends after the absolute limit, however much it is used', async () => {
      let { cookie } = await rig.signIn();
      let hours = 0;
      for (; hours < 24 * 7 + 8; hours += 7) {
        rig.move(7 * 60 * minuteMs);
        const answer = await get('/me', cookie);
        if (answer.status !== 200) break;
        cookie = renewed(answer) ?? cookie;
      }
      assert.ok(hours >= 24 * 7 - 7 && hours <= 24 * 7, `${hours} h`);
      assertSignedOut(await get('/api/v1/projects', cookie));
    });

    it('goes on while the provider is down, then cannot be told, and goes on when it is back', async () => {
      const { cookie } = await rig.signIn();
      await rig.provider.stop();
      rig.move(dueMs);
      assert.equal((await get('/me', cookie)).status, 200);
      rig.move(minuteMs);
      for (const path of ['/me', '/api/v1/projects']) {
        const down = await get(path, cookie);
        assert.equal(down.status, 503);
        assert.deepEqual(down.all('set-cookie'), [], 'nobody is signed out by an outage');
        assert.doesNotMatch(down.text, /unauthor|unauthen/);
      }
      await rig.provider.restart();
      rig.move(minuteMs);
      let back = await get('/me', cookie);
      // Replicas hear of a failure for a second, by Redis's clock.
      while (store === 'redis' && back.status === 503) {
        rig.move(minuteMs / 10);
        back = await get('/me', cookie);
      }
      assert.equal(back.status, 200);
    });

    it('is over when the provider says that its refresh token is worth nothing', async () => {
      const { cookie } = await rig.signIn();
      rig.provider.behaviour.answers.token = { status: 400, body: '{"error":"invalid_grant"}' };
      rig.move(dueMs);
      const answer = await get('/api/v1/projects', cookie);
      delete rig.provider.behaviour.answers.token;
      assertSignedOut(answer);
    });
  });
}

describe('a session in the memory of the gateway', () => {
  it('has a short cookie, and is gone with the process', async () => {
    const rig = await startFakeRig({ settings: { 'session.store': 'memory' } });
    const { cookie } = await rig.signIn();
    const session = cookie.split('; ').find((one) => one.startsWith('__Host-flytegate=')) ?? '';
    assert.ok(session.length < 300, `${session.length} characters`);
    await rig.restart();
    const answer = await rig.ask('/me', { fields: { cookie } });
    assertSignedOut(answer);
  });

  it('takes people whose claims fit in no cookie', async () => {
    const rig = await startFakeRig({ settings: { 'session.store': 'memory' } });
    rig.provider.behaviour.person = { sub: 'ada', groups: Array.from({ length: 400 }, (_, i) => `group number ${i}`) };
    const { page, cookie } = await rig.signIn();
    assert.equal(page.status, 200);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
  });
});

describe('a session in a cookie', () => {
  it('goes on after a restart', async () => {
    const rig = await startFakeRig();
    const { cookie } = await rig.signIn();
    await rig.restart();
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
  });

  it('is renewed once, whichever form of it the requests carry', async () => {
    const rig = await startFakeRig({ behaviour: { accessTokenTtlS: 7200 } });
    const { cookie: first } = await rig.signIn();
    rig.move(50 * minuteMs);
    const second = renewed(await rig.ask('/me', { fields: { cookie: first } })) ?? '';
    assert.notEqual(second, '', 'sealed anew, as a tenth of the idle limit has passed');
    rig.move(69.5 * minuteMs);
    const asked = rig.provider.calls.token;
    const release = rig.provider.hold('token');
    const forms = Array.from({ length: 40 }, (_, i) => rig.ask('/me', { fields: { cookie: i % 2 ? first : second } }));
    await rig.provider.whenAsked('token', asked + 1);
    release();
    for (const answer of await Promise.all(forms)) assert.equal(answer.status, 200);
    assert.equal(rig.provider.calls.token, asked + 1);
  });

  it('is refused with the claim to blame when it does not fit', async () => {
    const rig = await startFakeRig();
    rig.provider.behaviour.person = { sub: 'ada', groups: Array.from({ length: 400 }, (_, i) => `group number ${i}`) };
    const { page } = await rig.signIn();
    assert.equal(page.status, 403);
    const line = await rig.log.until((one) => one['event'] === 'login.failed');
    assert.match(String(line['about']), /groups/);
  });
});

/** The session cookie that an answer sets. */
function renewed(answer: Answer): string | undefined {
  return answer
    .all('set-cookie')
    .find((one) => one.startsWith('__Host-flytegate='))
    ?.split(';')[0];
}

function assertSignedOut(answer: Answer): void {
  assert.equal(answer.status, 401);
  assert.match(answer.all('set-cookie').join(), /__Host-flytegate=;.*Max-Age=0/, 'and the browser forgets it');
}

/** The settings of a store that lives elsewhere. */
async function placeOf(store: 'cookie' | 'memory' | 'redis'): Promise<Record<string, unknown>> {
  if (store !== 'redis') return {};
  const redis = await startRedis();
  endLater(redis.stop);
  return { 'redis.url': redis.url };
}
