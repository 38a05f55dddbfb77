import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe, it } from 'node:test';
import { ProxyAgent, setGlobalDispatcher } from 'undici';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { spawnBound } from '../fakes/bound-child.ts';
import { type Answer, ask } from '../flows/ask.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { requireSdk } from '../sdk-environment.ts';
import { sdkCertificate } from './certificate.ts';
import { startConnectProxy } from './connect-proxy.ts';
import { stockFlyte, writeAuthority } from './rig.ts';
import { clientEnv, makeHome } from './sdk-client.ts';

const sdk = requireSdk();
const url = 'https://flyte.test';
const appUrl = 'https://app.flyte.test';

describe('FastAPI with Flyte’s own passthrough middleware, behind the gateway on its own host', {
  skip: sdk.skip,
}, () => {
  let rig: FakeRig;
  let caFile: string;
  before(async () => {
    caFile = await writeAuthority();
    const proxy = await startConnectProxy(() => rig.port);
    const app = await startApp(proxy, caFile);
    const plane = createControlPlane({ port: 0 });
    const upstream = await plane.start();
    endLater(plane.stop);
    const { upstreams, ...stock } = stockFlyte(upstream);
    rig = await startFakeRig({
      publicUrl: url,
      tls: sdkCertificate,
      upstream,
      files: { 'secrets/assertion_key': makeAssertionKey() },
      settings: {
        ...stock,
        upstreams: { ...Object(upstreams), app: { url: app, upstreamAuthorization: 'session-token' } },
        routes: [{ host: 'app.flyte.test', path: '/', upstream: 'app' }],
        'session.store': 'memory',
        'auth.userAuth.cookieSetting.domain': 'flyte.test',
        'auth.apiKeys.enabled': true,
      },
      behaviour: { clients: { 'ci-app': 'the app secret' } },
    });
    setGlobalDispatcher(
      new ProxyAgent({ uri: proxy, proxyTunnel: true, requestTls: { ca: sdkCertificate.authority } }),
    );
  });
  const isMine = async (answer: Answer, subject: string) => {
    assert.equal(answer.status, 200, answer.text);
    const { app, subject: found, told } = answer.json();
    assert.deepEqual([app, found], ['mine', subject]);
    return told;
  };

  it('finds the token of a caller with a bearer in authorization, whichever header it came in, and acts for them', async () => {
    const bearer = `Bearer ${await rig.provider.accessToken()}`;
    for (const name of ['authorization', 'flyte-authorization']) {
      await isMine(await ask(`${appUrl}/me`, { fields: { [name]: bearer } }), 'ada');
      const { text } = await ask(`${appUrl}/projects`, { fields: { [name]: bearer } });
      assert.deepEqual(JSON.parse(text), ['flytesnacks', 'forecasts']);
    }
  });

  it('finds that of a person who signed in in the browser, and never our cookie', async () => {
    const { cookie } = await rig.signIn('/api/v1/projects');
    const told = await isMine(await ask(`${appUrl}/me`, { fields: { cookie } }), 'ada');
    assert.ok(Array.isArray(told) && told.includes('authorization') && !told.includes('cookie'));
  });

  it('finds that of a webhook’s caller with an API key, not the key', async () => {
    const key = Buffer.from('flyte.test:ci-app:the app secret:acme').toString('base64');
    await isMine(await ask(`${appUrl}/me`, { fields: { authorization: `Bearer ${key}` } }), 'ci-app');
  });

  it('keeps its own /me: ours answers on Flyte’s own host', async () => {
    const fields = { authorization: `Bearer ${await rig.provider.accessToken()}` };
    assert.equal((await ask(`${url}/me`, { fields })).json()['app'], undefined);
    assert.equal((await ask(`${appUrl}/me`, { fields })).json()['app'], 'mine');
  });

  it('is reached by nobody without a credential', async () => {
    for (const fields of [{}, { authorization: 'Bearer e30.e30.e30' }])
      assert.equal((await ask(`${appUrl}/healthz`, { fields })).status, 401);
  });
});

/** @returns the URL of the app, which ends with the test file */
async function startApp(proxy: string, caFile: string): Promise<string> {
  const home = await makeHome();
  const program = join(import.meta.dirname, 'passthrough_app.py');
  const env = { ...clientEnv(home), HTTPS_PROXY: proxy, CA_FILE: caFile };
  const child = spawnBound(sdk.path, ['-u', program, 'flyte.test'], { cwd: home, env });
  child.stderr.pipe(process.stderr);
  endLater(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const [port] = await once(createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(60_000) });
  return `http://127.0.0.1:${port}`;
}
