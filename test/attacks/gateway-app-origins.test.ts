import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type AppStage, startAppStage } from '../flows/app-stage.ts';
import { ask } from '../flows/ask.ts';
import { connectRaw } from '../server/raw-connection.ts';

// Apps share the session, and trust each other no more than they trust anybody: a page of one must not act on another.

type Place = Pick<AppStage, 'port' | 'at'>;

const foreign: Readonly<Record<string, (stage: Place) => string | string[]>> = {
  'another app': ({ at }) => at('other'),
  'an app below it': ({ at }) => at('x.app'),
  'an app of a wildcard': ({ at }) => at('one.apps'),
  'the domain itself': ({ port }) => `http://example.localhost:${port}`,
  'another port': ({ port }) => `http://app.example.localhost:${port + 1}`,
  'no port': () => 'http://app.example.localhost',
  'another scheme': ({ at }) => at('app').replace('http:', 'https:'),
  'a host that begins alike': ({ at }) => `${at('app')}.evil.test`,
  'a host that ends alike': ({ at }) => at('evil-app'),
  'a fully qualified name': ({ at, port }) => at('app').replace(`:${port}`, `.:${port}`),
  'a path behind the origin': ({ at }) => `${at('app')}/`,
  'no origin at all': () => 'null',
  'an empty Origin': () => '',
  'two Origins, one of them its own': ({ at }) => [at('app'), at('other')],
};

describe('a page of another origin that makes a browser act on an app with its cookie', () => {
  let stage: AppStage;
  let cookie: string;
  before(async () => {
    stage = await startAppStage();
    cookie = await signIn(stage);
  });
  const post = async (host: string, fields: Readonly<Record<string, string | string[]>>) => {
    const all = { host: `${host}.example.localhost:${stage.port}`, cookie, ...fields };
    return (await ask(`http://127.0.0.1:${stage.port}/x`, { method: 'POST', fields: all })).status;
  };
  /** The status of a WebSocket handshake with the app. */
  const shakeHands = async (origins: readonly string[]) => {
    const connection = await connectRaw({ host: '127.0.0.1', port: stage.port });
    connection.send(
      `GET /socket HTTP/1.1\r\nHost: app.example.localhost:${stage.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: ${cookie}\r\n` +
        `${origins.map((origin) => `Origin: ${origin}\r\n`).join('')}\r\n`,
    );
    const head = await connection.until('\r\n\r\n');
    connection.socket.destroy();
    return Number(head.split(' ')[1]);
  };

  for (const [what, originOf] of Object.entries(foreign))
    it(`is refused, and the app hears nothing: ${what}`, async () => {
      const before = stage.upstream.requests.length;
      assert.equal(await post('app', { origin: originOf(stage) }), 403);
      assert.equal(await shakeHands([originOf(stage)].flat()), 403);
      assert.equal(stage.upstream.requests.length, before);
    });

  for (const site of ['same-site', 'cross-site'])
    it(`is refused without an Origin, when it is ${site}`, async () => {
      assert.equal(await post('app', { 'sec-fetch-site': site }), 403);
    });

  it('is refused the gateway’s own host and its endpoints: an app’s origin is nobody’s but the app’s', async () => {
    assert.equal(await post('flyte', { origin: stage.at('app') }), 403);
    for (const path of ['/logout', '/sessions', '/me']) {
      const fields = { host: `flyte.example.localhost:${stage.port}`, cookie, origin: stage.at('app') };
      assert.equal((await ask(`http://127.0.0.1:${stage.port}${path}`, { method: 'POST', fields })).status, 403, path);
    }
  });

  it('is refused where no route names the host: whoever has a name pointed here is not at home here', async () => {
    const host = `rebound.test:${stage.port}`;
    const fields = { host, cookie, origin: `http://${host}` };
    assert.equal((await ask(`http://127.0.0.1:${stage.port}/x`, { method: 'POST', fields })).status, 403);
  });

  it('is told from the app’s own pages and the gateway’s', async () => {
    for (const origin of [stage.at('app'), stage.at('flyte')]) {
      assert.equal(await post('app', { origin }), 200);
      assert.equal(await shakeHands([origin]), 101);
    }
  });
});

describe('a page of the app’s own name that came without TLS', () => {
  it('is refused where the public URL is https, also behind a proxy that is not trusted to say so', async () => {
    const stage = await startAppStage({ 'server.publicUrl': 'https://flyte.example.localhost' });
    const cookie = await signIn(stage);
    const post = async (origin: string) => {
      const fields = { host: 'app.example.localhost', cookie, origin };
      return (await ask(`http://127.0.0.1:${stage.port}/x`, { method: 'POST', fields })).status;
    };
    assert.equal(await post('http://app.example.localhost'), 403);
    assert.equal(await post('https://app.example.localhost'), 200);
  });
});

/** @returns the session's cookie */
async function signIn(stage: AppStage): Promise<string> {
  const login = await ask(`http://127.0.0.1:${stage.port}/login`, {
    fields: { host: `127.0.0.1:${stage.rig.port}`, 'sec-fetch-mode': 'navigate' },
  });
  const back = new URL((await ask(login.one('location') ?? '')).one('location') ?? '');
  const done = await ask(`http://127.0.0.1:${stage.port}${back.pathname}${back.search}`, {
    fields: { host: back.host, cookie: login.one('set-cookie')?.split(';')[0] ?? '' },
  });
  return (
    done
      .all('set-cookie')
      .find((line) => line.startsWith('flytegate='))
      ?.split(';')[0] ?? ''
  );
}
