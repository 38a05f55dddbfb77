import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { listSessions, revokeSessions } from '../../src/sessions-command.ts';
import { freePort } from '../fakes/nginx.ts';
import { type RedisServer, redisProgram, startRedis } from '../fakes/redis-server.ts';
import { ask } from './ask.ts';
import { type Child, startChild } from './child.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const TOKEN = 'k'.repeat(40);

describe('Three workers with sessions in Redis', { skip: redisProgram.skip, timeout: 90_000 }, () => {
  let redis: RedisServer;
  let rig: FakeRig;
  let child: Child;
  before(async () => {
    redis = await startRedis();
    endLater(redis.stop);
    const admin = `127.0.0.1:${await freePort()}`;
    const settings = { 'server.workers': 3, 'server.admin': admin, 'session.store': 'redis', 'redis.url': redis.url };
    rig = await startFakeRig({
      settings,
      files: { 'secrets/admin_token': TOKEN },
      behaviour: { idToken: { sid: 'there' } },
    });
  });

  const listed = async (): Promise<readonly string[]> => {
    const fields = { authorization: `Bearer ${TOKEN}` };
    const { json } = await ask(`${child.admin}/api/sessions?subject=ada`, { fields });
    return (json()['sessions'] as { session: string }[]).map(({ session }) => session);
  };
  // On a new connection each time, and connections go to the workers in turn.
  const me = async (cookie: string) => (await ask(`${rig.url}/me`, { fields: { cookie, connection: 'close' } })).status;
  const everywhere = async (cookie: string, status: number) => {
    // That it takes under a second is proved elsewhere; here other processes may have to share a busy machine.
    const until = performance.now() + 10_000;
    const all = () => Promise.all(Array.from({ length: 6 }, () => me(cookie)));
    let statuses = await all();
    while (statuses.some((one) => one !== status) && performance.now() < until) statuses = await all();
    assert.deepEqual(
      statuses,
      Array.from({ length: 6 }, () => status),
    );
  };
  const handles = () => rig.log.of('login.finished').map(({ session }) => String(session));
  const run = async (command: typeof listSessions | typeof revokeSessions, options: object) => {
    const loaded = await loadConfig(rig.settings.file);
    if (loaded.kind === 'mistakes') throw new Error('the settings were good enough for the rig');
    let printed = '';
    await command(loaded.config, { ...options, print: (text: string) => (printed += text), note: () => undefined });
    return printed;
  };
  /** What the provider says to the gateway; whichever worker hears it. */
  const say = async (claims: Readonly<Record<string, unknown>>) => {
    const now = Math.floor(Date.now() / 1000);
    const token = await rig.provider.sign(
      { iss: rig.issuer, aud: 'web', iat: now, exp: now + 120, jti: randomUUID(), events: { [EVENT]: {} }, ...claims },
      { typ: 'logout+jwt' },
    );
    return () =>
      ask(`${rig.url}/backchannel-logout`, {
        method: 'POST',
        fields: { 'content-type': 'application/x-www-form-urlencoded', connection: 'close' },
        body: new URLSearchParams({ logout_token: token }).toString(),
      });
  };

  it('are one gateway to flytegate sessions: it lists all, and what it ends is over at every worker', async () => {
    const signedIn = [await rig.signIn(), await rig.signIn(), await rig.signIn()];
    const [first = '', second = '', third = ''] = handles();
    await rig.stop();
    child = await startChild(rig.settings.file);
    const ready = async () => Object((await ask(`${child.admin}/readyz`)).json()['workers']).ready;
    while ((await ready()) !== 3);
    assert.deepEqual(new Set(await listed()), new Set([first, second, third]));
    const table = await run(listSessions, {});
    for (const handle of [first, second, third]) assert.ok(table.includes(handle));
    for (const { cookie } of signedIn) await everywhere(cookie, 200);
    assert.equal(await run(revokeSessions, { session: first }), 'revoked\n');
    await everywhere(signedIn[0]?.cookie ?? '', 401);
    await everywhere(signedIn[1]?.cookie ?? '', 200);
    assert.deepEqual(new Set(await listed()), new Set([second, third]), 'and is listed no more');
  });

  it('hear of a sign-out at the provider by whichever of them it is told, by sid and by sub, and list it no more', async () => {
    const signOut = async (claims: Readonly<Record<string, unknown>>) => {
      const { cookie } = await rig.signIn();
      await everywhere(cookie, 200);
      const before = await listed();
      const send = await say(claims);
      assert.equal((await send()).status, 200);
      await everywhere(cookie, 401);
      const until = performance.now() + 10_000;
      while ((await listed()).length > 0 && performance.now() < until);
      assert.deepEqual([before.length > 0, await listed()], [true, []]);
      return send;
    };
    await signOut({ sub: 'ada', sid: 'there' });
    rig.provider.behaviour.idToken = { sid: 'another' };
    await signOut({ sub: 'ada' });
  });
});
