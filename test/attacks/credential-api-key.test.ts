import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { ask } from '../flows/ask.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

const secret = 'S3cr3t-of/the+app==';
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
const keyOf = (client: string, guess = secret, endpoint = 'localhost') => base64(`${endpoint}:${client}:${guess}:acme`);
const settings = { 'auth.apiKeys.enabled': true };
const behaviour = { clients: { 'ci-app': secret, 'other-app': secret } };
/** Callers from wherever they say. */
const proxied = { ...settings, 'server.trustedProxies': ['127.0.0.1'] };

const send = async (rig: FakeRig, key: string, from?: string) => {
  const fields = { authorization: `Bearer ${key}`, ...(from !== undefined && { 'x-forwarded-for': from }) };
  return (await rig.ask('/me', { fields })).status;
};

async function startSilentServer() {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(() => new Promise((resolve) => server.close(() => resolve())));
  const address = server.address();
  return { port: typeof address === 'object' && address ? address.port : 0, connections: () => connections };
}

describe('the endpoint in an API key', () => {
  it('is never dialled, and a key for another host is refused before anybody is asked', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    const server = await startSilentServer();
    const at = `127.0.0.1:${server.port}`;
    for (const endpoint of [at, `http://${at}`, `https://${at}/`]) {
      // The host is ours, whatever port and scheme: the provider is asked, and nobody else.
      assert.equal(await send(rig, keyOf('ci-app', secret, endpoint)), 200);
    }
    const asked = rig.provider.calls.token;
    for (const host of [
      '[::1]',
      '127.0.0.2',
      'evil.test',
      'localhost.evil.test',
      'evil-localhost',
      '127.1',
      '2130706433',
    ])
      for (const endpoint of [host, `http://${host}:${server.port}`, `dns:///${host}`])
        assert.equal(await send(rig, keyOf('ci-app', secret, endpoint)), 401, endpoint);
    assert.deepEqual([rig.provider.calls.token - asked, server.connections()], [0, 0]);
  });
});

const introspection = {
  'auth.introspection.clientId': 'gate',
  'auth.introspection.clientSecretFile': 'secrets/oidc_client_secret',
};

describe('a bearer that is nearly an API key is refused, and nobody is asked:', async () => {
  const rig = await startFakeRig({ settings: { ...settings, ...introspection }, behaviour });
  const good = keyOf('ci-app');
  for (const [what, key, isOpaque] of [
    ['three parts', base64(`localhost:ci-app:${secret}`)],
    ['five parts', base64(`localhost:ci-app:${secret}:acme:more`)],
    ['six parts with a port', base64(`localhost:443:ci-app:${secret}:acme:more`)],
    ['no client', base64(`localhost::${secret}:acme`)],
    ['no secret', base64('localhost:ci-app::acme')],
    ['no endpoint', base64(`:ci-app:${secret}:acme`)],
    ['another scheme', base64(`file:///localhost:ci-app:${secret}:acme`)],
    ['a user name in the endpoint', base64(`http://localhost@evil.test:ci-app:${secret}:acme`)],
    ['a path in the endpoint', base64(`localhost/../x:ci-app:${secret}:acme`)],
    ['a trailing dot', base64(`localhost.:ci-app:${secret}:acme`)],
    ['a space in the client', base64(`localhost:ci app:${secret}:acme`)],
    ['an Ohm sign in the client', base64(`localhost:ci-Ω:${secret}:acme`)],
    ['colons only', base64(':::')],
    ['16 KB of it', base64(`localhost:ci-app:${'s'.repeat(12_000)}:acme`)],
    ['another key within', base64(`localhost:ci-app:${good}:${good}:`)],
    // Of another form altogether: its issuer is asked whether it is a token.
    ['no parts', base64('localhost'), true],
    ['a line break, for another host', base64(`elsewhere:ci-app:${secret}\n`), true],
    ['text of other kinds', base64('a token of its own'), true],
    ['a line break', base64(`localhost:ci-app:${secret}\r\nx: y:acme`)],
    ['a line break at its end, as echo leaves it', base64(`localhost:ci-app:${secret}:acme\n`)],
    ['a line break at its end, by the endpoint’s URL', base64(`https://LOCALHOST/:ci-app:${secret}:acme\n`)],
    ['not UTF-8', base64(Buffer.concat([Buffer.from(`localhost:ci-app:${secret}`), Buffer.from([0xff, 0x3a, 0x61])]))],
    ['more padding', `${good}=`],
    ['less padding', base64(`localhost:ci-app:${secret}:acm`).replace(/==$/, '=')],
    ['spare bits', good.replace(/U=$/, 'V=')],
    ['two alphabets', base64('localhost:ci-app:???>>>:acme').replace('/', '_')],
  ] as const)
    it(what, async () => {
      const before = { ...rig.provider.calls };
      assert.equal(await send(rig, key), 401);
      assert.equal(rig.provider.calls.token, before.token);
      assert.equal(rig.provider.calls.introspect - before.introspect, isOpaque ? 1 : 0);
    });
});

describe('an API key in another spelling', () => {
  // Its base64 has both characters by which the alphabets differ, and two of padding.
  const key = base64('localhost:my-app:???>>>:acme');
  const forUrls = key.replaceAll('+', '-').replaceAll('/', '_');
  const spellings = [key, key.replace('==', ''), forUrls, forUrls.replace('==', '')];
  const clients = { 'my-app': '???>>>' };

  it('is one all the same: unpadded, or in the alphabet of URLs', async () => {
    assert.equal(new Set(spellings).size, 4);
    const rig = await startFakeRig({ settings: { ...settings, ...introspection }, behaviour: { clients } });
    for (const spelling of spellings) assert.equal(await send(rig, spelling), 200, spelling);
    assert.equal(rig.provider.calls.introspect, 0);
  });

  it('is shown to nobody where API keys are off', async () => {
    const rig = await startFakeRig({ settings: introspection, behaviour: { clients } });
    const broken = ['localhost:my-app:???>>>:acme\n', 'localhost:my-app:\u0007:acme'].map(base64);
    for (const spelling of [...spellings, ...broken]) assert.equal(await send(rig, spelling), 401, spelling);
    assert.deepEqual([rig.provider.calls.introspect, rig.provider.calls.token], [0, 0]);
  });
});

describe('whoever guesses secrets of API keys', () => {
  it('has so many tries for one client, from however many addresses', async () => {
    const rig = await startFakeRig({ settings: { ...proxied, 'auth.apiKeys.failuresPerClient': 5 }, behaviour });
    for (let i = 0; i < 40; i++) assert.equal(await send(rig, keyOf('ci-app', `guess-${i}`), `10.0.0.${i}`), 401);
    assert.equal(rig.provider.calls.token, 5);
    assert.equal(rig.log.of('api_key.limit_reached').length, 1);
    const { text } = await ask(`${rig.admin()}/metrics`);
    assert.match(text, /flytegate_api_keys_total\{outcome="limited"\} 35/);
    assert.equal(await send(rig, keyOf('other-app'), '10.0.0.1'), 200, 'other clients are not concerned');
    rig.move(60_000);
    assert.equal(await send(rig, keyOf('ci-app'), '10.0.0.99'), 200, 'a minute later it is over');
  });

  for (const [what, address] of [
    ['IPv4', (_i: number) => '10.0.0.1'],
    ['the /64 of IPv6', (i: number) => `2001:db8::${i.toString(16)}:1`],
  ] as const)
    it(`has so many tries from one address, for however many clients: ${what}`, async () => {
      const rig = await startFakeRig({ settings: { ...proxied, 'auth.apiKeys.failuresPerAddress': 5 }, behaviour });
      for (let i = 0; i < 40; i++) assert.equal(await send(rig, keyOf(`app-${i}`, 'guess'), address(i)), 401);
      assert.equal(rig.provider.calls.token, 5);
      assert.equal(await send(rig, keyOf('ci-app'), '10.0.0.2'), 200, 'other addresses are not concerned');
    });

  it('has so many tries in all, from however many addresses for however many clients', async () => {
    const rig = await startFakeRig({ settings: { ...proxied, 'auth.apiKeys.failuresInAll': 7 }, behaviour });
    for (let i = 0; i < 40; i++) assert.equal(await send(rig, keyOf(`app-${i}`, 'guess'), `10.0.0.${i}`), 401);
    assert.equal(rig.provider.calls.token, 7);
  });

  it('has no more of them by asking all at once', async () => {
    const rig = await startFakeRig({ settings: { ...proxied, 'auth.apiKeys.failuresPerClient': 5 }, behaviour });
    const guesses = Array.from({ length: 100 }, (_, i) => send(rig, keyOf('ci-app', `guess-${i}`), `10.0.0.${i}`));
    for (const status of await Promise.all(guesses)) assert.equal(status, 401);
    assert.equal(rig.provider.calls.token, 5);
  });

  it('locks nobody out whose key has worked before, also from the same address and when its token is due', async () => {
    const rig = await startFakeRig({
      settings: { ...proxied, 'auth.apiKeys.failuresPerClient': 3, 'auth.apiKeys.failuresInAll': 3 },
      behaviour,
    });
    assert.equal(await send(rig, keyOf('ci-app'), '10.1.1.1'), 200);
    rig.move(5 * 60_000);
    for (let i = 0; i < 10; i++) await send(rig, keyOf('ci-app', `guess-${i}`), '10.1.1.1');
    const asked = rig.provider.calls.token;
    assert.equal(await send(rig, keyOf('other-app'), '10.1.1.1'), 401, 'the limit is reached');
    assert.equal(await send(rig, keyOf('ci-app'), '10.1.1.1'), 200);
    assert.equal(rig.provider.calls.token, asked + 1);
  });

  it('has one try with a key whose secret was changed, and then those of everybody', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.apiKeys.failuresPerClient': 1 }, behaviour });
    assert.equal(await send(rig, keyOf('ci-app')), 200);
    rig.provider.behaviour.clients = { 'ci-app': 'a new one' };
    assert.equal(await send(rig, keyOf('ci-app')), 200, 'its token lives on');
    for (let i = 1; i <= 4; i++) {
      rig.move(5 * 60_000);
      assert.equal(await send(rig, keyOf('ci-app', 'guess')), 401);
      assert.equal(await send(rig, keyOf('ci-app')), 401);
    }
    assert.equal(rig.provider.calls.token, 6, 'the first exchange, the last of that key, and one guess each time');
  });

  it('costs those nothing who have a good key: as many as there are, at once, from one address', async () => {
    const clients = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`app-${i}`, secret]));
    const rig = await startFakeRig({
      settings: { ...settings, 'auth.apiKeys.failuresPerAddress': 2 },
      behaviour: { clients },
    });
    const statuses = await Promise.all(Object.keys(clients).map((client) => send(rig, keyOf(client))));
    assert.deepEqual(new Set(statuses), new Set([200]));
  });

  it('does not ask twice with the same key', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    for (let i = 0; i < 10; i++) assert.equal(await send(rig, keyOf('ci-app', 'guess')), 401);
    assert.equal(rig.provider.calls.token, 1);
  });
});

describe('the secret of an API key', () => {
  it('stands in no log line, no metric and no request to a service, whatever becomes of it', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.apiKeys.failuresPerClient': 1 }, behaviour });
    const key = keyOf('ci-app');
    const whoami = async (token: string, path = '/api/v1/whoami') => {
      for (const name of ['authorization', 'flyte-authorization'])
        seen.push((await rig.ask(path, { fields: { [name]: `Bearer ${token}` } })).text);
    };
    const seen: string[] = [];
    await whoami(key);
    await whoami(keyOf('ci-app', 'wrong-secret'));
    await whoami(keyOf('ci-app', 'another-secret'));
    await whoami(keyOf(secret, 'ci-app'));
    await whoami(keyOf('ci-app', secret, 'evil.test'));
    rig.provider.behaviour.answers.token = {
      status: 400,
      body: `{"error":"${secret}","error_description":"${secret}"}`,
    };
    await whoami(keyOf('other-app'));
    rig.provider.behaviour.answers.token = { status: 500, body: secret };
    await whoami(keyOf('other-app', secret, 'dns:///localhost'));
    rig.provider.behaviour.answers.token = { status: 200, body: `{"access_token":"${secret}","token_type":"bearer"}` };
    rig.move(2000);
    await whoami(keyOf('other-app', secret, 'https://localhost'));
    const metrics = (await ask(`${rig.admin()}/metrics`)).text;
    await rig.stop();
    const parts = [secret, key, base64(secret), 'wrong-secret', 'another-secret', key.slice(20, 50), 'eyJ'];
    for (const text of [rig.log.text(), metrics, ...seen])
      for (const part of parts)
        assert.ok(
          !text.includes(part),
          text.split('\n').find((line) => line.includes(part)),
        );
  });

  it('nor does the token: an upstream that asks for nothing is told who it is, and no more', async () => {
    const rig = await startFakeRig({ settings, behaviour });
    const answer = await rig.ask('/api/v1/whoami', { fields: { authorization: `Bearer ${keyOf('ci-app')}` } });
    assert.equal(answer.status, 200);
    assert.equal(Object(answer.json()['headers']).authorization, undefined);
  });
});
