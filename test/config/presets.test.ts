import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { stringify } from 'yaml';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes, type Mistake, writePath } from '../../src/config/mistake.ts';
import { createRoutes } from '../../src/routing/routes.ts';
import { makeSettingsFolder, type SettingsFolder, secretFiles } from './settings-folder.ts';

/** Flyte 2 is told something signed. */
const files = { ...secretFiles, 'secrets/assertion_key': makeAssertionKey() };

const folders: SettingsFolder[] = [];
after(() => Promise.all(folders.map((folder) => folder.remove())));

const head = `
server: { publicUrl: https://flyte.example.com }
secretsDir: secrets
auth: { userAuth: { openId: { baseUrl: https://idp.example.com, clientId: flyte-web } } }
`;
const flyte2 = `
preset: flyte2
upstreams:
  flyte2: { url: http://flyte:8090 }
  flyte2-console: { url: http://console:80 }
`;
const both = `
preset: [flyte2, flyte1]
upstreams:
  flyte2: { url: http://flyte:8090 }
  flyte2-console: { url: http://console:80 }
  flyte1: { url: http://flyteadmin:80 }
  flyte1-grpc: { url: h2c://flyteadmin:81 }
  flyte1-console: { url: http://flyteconsole:80 }
`;

async function load(settings: string) {
  const folder = await makeSettingsFolder(head + settings, files);
  folders.push(folder);
  return loadConfig(folder.file);
}

async function configOf(settings: string): Promise<Config> {
  const loaded = await load(settings);
  return loaded.kind === 'config' ? loaded.config : assert.fail(describeMistakes('flytegate.yaml', loaded.mistakes));
}

async function mistakesOf(settings: string): Promise<readonly Mistake[]> {
  const loaded = await load(settings);
  return loaded.kind === 'mistakes' ? loaded.mistakes : assert.fail('there were no mistakes');
}

describe('presets', () => {
  it('make five lines of a stock Flyte 2', async () => {
    const { routes, auth } = await configOf(flyte2);
    assert.equal(auth.userAuth.redirectUrl, '/v2');
    assert.deepEqual(routes, [
      { path: '/flyteidl2.', upstream: 'flyte2', access: 'authenticated' },
      { path: '/flyteidl2.workflow.InternalRunService', upstream: 'flyte2', access: 'nobody' },
      { path: '/flyteidl2.workflow.EventsProxyService', upstream: 'flyte2', access: 'nobody' },
      { path: '/flyteidl2.cacheservice.', upstream: 'flyte2', access: 'nobody' },
      { path: '/healthz', upstream: 'flyte2', access: 'public' },
      { path: '/readyz', upstream: 'flyte2', access: 'public' },
      { path: '/v2', upstream: 'flyte2-console', access: 'authenticated' },
    ]);
  });

  it('share one host', async () => {
    const find = createRoutes((await configOf(both)).routes);
    for (const [path, upstream, access] of [
      ['/flyteidl2.workflow.RunService/CreateRun', 'flyte2', 'authenticated'],
      ['/flyteidl2.not.yet.Known/Method', 'flyte2', 'authenticated'],
      ['/v2/projects', 'flyte2-console', 'authenticated'],
      ['/healthz', 'flyte2', 'public'],
      ['/flyteidl.service.AdminService/GetVersion', 'flyte1-grpc', 'authenticated'],
      ['/grpc.health.v1.Health/Check', 'flyte1-grpc', 'authenticated'],
      ['/api/v1/projects', 'flyte1', 'authenticated'],
      ['/console', 'flyte1-console', 'authenticated'],
      ['/healthcheck', 'flyte1', 'public'],
    ] as const) {
      const route = find('flyte.example.com', path);
      assert.deepEqual([route?.upstream, route?.access], [upstream, access], path);
    }
    for (const path of ['/', '/metrics', '/flyteidl2', '/flyteidl/x', '/debug/pprof'])
      assert.equal(find('flyte.example.com', path), undefined, path);
  });

  it('leave consoles out that are not there', async () => {
    const { routes, auth } = await configOf('preset: flyte2\nupstreams: { flyte2: { url: http://flyte:8090 } }');
    assert.deepEqual(
      routes.flatMap(({ path, access }) => (access === 'nobody' ? [] : [path])),
      ['/flyteidl2.', '/healthz', '/readyz'],
    );
    assert.equal(auth.userAuth.redirectUrl, '/console');
  });

  it('go after what the file says itself', async () => {
    const { routes } = await configOf(
      `${flyte2}routes:\n  - { path: /healthz, upstream: flyte2 }\n  - { path: /flyteidl2.app.AppService, upstream: flyte2-console }\n  - { host: a.test, path: /v2, upstream: flyte2 }`,
    );
    const find = createRoutes(routes);
    assert.equal(find('flyte.example.com', '/healthz')?.access, 'authenticated');
    assert.equal(find('flyte.example.com', '/flyteidl2.app.AppService/List')?.upstream, 'flyte2-console');
    assert.equal(find('a.test', '/v2')?.upstream, 'flyte2');
    assert.equal(find('flyte.example.com', '/v2')?.upstream, 'flyte2-console');
    assert.equal(routes.length, 9);
  });

  it('leave a start page alone that is set', async () => {
    const auth =
      'auth: { userAuth: { redirectUrl: /mine, openId: { baseUrl: https://idp.example.com, clientId: flyte-web } } }';
    const folder = await makeSettingsFolder(head.replace(/auth:.*/, auth) + flyte2, files);
    folders.push(folder);
    const loaded = await loadConfig(folder.file);
    assert.equal(loaded.kind === 'config' && loaded.config.auth.userAuth.redirectUrl, '/mine');
  });

  it('tell each upstream they miss once, with what a stock installation has', async () => {
    const mistakes = await mistakesOf('preset: [flyte1, flyte2]\nupstreams: { other: { url: http://x:1 } }');
    assert.deepEqual(
      mistakes.map(({ path, hint }) => [writePath(path), hint]),
      [
        ['upstreams.flyte1', 'flyte1: { url: http://flyteadmin:80 } in a stock installation'],
        ['upstreams.flyte1-grpc', 'flyte1-grpc: { url: h2c://flyteadmin:81 } in a stock installation'],
        ['upstreams.flyte2', 'flyte2: { url: http://flyte-binary-http:8090 } in a stock installation'],
      ],
    );
  });

  for (const [what, written] of Object.entries({
    'an unknown one': 'preset: flyte3',
    'a number': 'preset: 2',
    'a section': 'preset: { flyte2: true }',
    'an inherited name': 'preset: constructor',
    'three of them': 'preset: [flyte1, flyte2, flyte1]',
  })) {
    it(`refuse ${what}`, async () => {
      const upstreams = 'upstreams: { flyte2: { url: http://flyte:8090 } }\nroutes: [{ path: /, upstream: flyte2 }]';
      const paths = (await mistakesOf(`${written}\n${upstreams}`)).map(({ path }) => path[0]);
      assert.ok(paths.includes('preset'), String(paths));
    });
  }

  for (const [what, written] of Object.entries({
    upstreams: 'preset: flyte2\nupstreams: [1]',
    'an upstream': 'preset: flyte2\nupstreams: { flyte2: 7 }',
    routes: `${flyte2}routes: 7`,
  })) {
    it(`do not stumble over ${what} of another shape`, async () => {
      const loaded = await load(written);
      assert.equal(loaded.kind, 'mistakes');
    });
  }
});

describe('the effective settings', () => {
  it('say everything in force, defaults and presets included, and load to the same', async () => {
    const loaded = await load(both);
    if (loaded.kind !== 'config') return assert.fail();
    const { effective, config } = loaded;
    const folder = await makeSettingsFolder(stringify(effective), files);
    folders.push(folder);
    const again = await loadConfig(folder.file);
    if (again.kind !== 'config') return assert.fail(describeMistakes('effective', again.mistakes));
    assert.deepEqual(again.config.routes, config.routes);
    assert.deepEqual(again.config.upstreams, config.upstreams);
    assert.deepEqual(again.config.server, config.server);
    assert.deepEqual(JSON.stringify(again.config.auth), JSON.stringify(config.auth));
    assert.deepEqual(again.effective, effective);
  });

  it('name no secret, nor where one is', async () => {
    const loaded = await load(`${flyte2}`);
    if (loaded.kind !== 'config') return assert.fail();
    const text = stringify(loaded.effective);
    assert.doesNotMatch(text, /battery|[sS]ecretName|ClientSecretFile|cookie_hash|oidc_client_secret/);
    assert.match(text, /drain: 30s/);
  });
});
