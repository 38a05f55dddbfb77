import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, describe, it } from 'node:test';
import { inspect } from 'node:util';
import type { Config } from '../../src/config/config.ts';
import { generate } from '../../src/config/generate.ts';
import { type Loaded, loadConfig } from '../../src/config/load.ts';
import { describeMistakes, type Mistake, writePath } from '../../src/config/mistake.ts';
import { testCertificate } from '../server/test-certificate.ts';
import {
  blockKey,
  hashKey,
  leastSettings,
  makeSettingsFolder,
  type SettingsFolder,
  secretFiles,
} from './settings-folder.ts';

const folders: SettingsFolder[] = [];
after(() => Promise.all(folders.map((folder) => folder.remove())));

async function load(settings: string | Uint8Array, files: Readonly<Record<string, string>> = {}): Promise<Loaded> {
  const folder = await makeSettingsFolder(settings, { ...secretFiles, ...files });
  folders.push(folder);
  return loadConfig(folder.file);
}

async function configOf(settings: string, files: Readonly<Record<string, string>> = {}): Promise<Config> {
  const loaded = await load(settings, files);
  if (loaded.kind === 'config') return loaded.config;
  return assert.fail(describeMistakes('flytegate.yaml', loaded.mistakes));
}

async function mistakesOf(
  settings: string | Uint8Array,
  files: Readonly<Record<string, string>> = {},
): Promise<readonly Mistake[]> {
  const loaded = await load(settings, files);
  return loaded.kind === 'mistakes' ? loaded.mistakes : assert.fail('there were no mistakes');
}

const pastedFromFlyteadmin = `
server:
  publicUrl: https://flyte.example.com
  security:
    useAuth: true
secretsDir: secrets
auth:
  grpcAuthorizationHeader: flyte-authorization
  httpAuthorizationHeader: flyte-authorization
  authorizedUris:
    - "http://flyteadmin:80"
    - "http://flyteadmin.union.svc.cluster.local:80"
  appAuth:
    authServerType: External
    externalAuthServer:
      baseUrl: "https://idp.example.com/oauth2/default"
    thirdPartyConfig:
      flyteClient:
        clientId: "flyte-native"
        redirectUri: "http://localhost:53593/callback"
        scopes:
          - all
  userAuth:
    openId:
      baseUrl: "https://idp.example.com/oauth2/default"
      clientId: "flyte-web"
      scopes:
        - profile
        - openid
        - offline_access
    cookieSetting:
      sameSitePolicy: LaxMode
      domain: ""
    idpQueryParameter: idp
upstreams:
  control-plane: { url: http://127.0.0.1:8090 }
routes:
  - { path: /healthcheck, upstream: control-plane, access: public }
  - { path: /, upstream: control-plane, access: authenticated }
`;

describe('loadConfig, of a file that is right', () => {
  it('fills in every default, safe ones', async () => {
    const { server, auth, session, decisionCache, routes, upstreams } = await configOf(leastSettings);
    const [upstream] = Object.values(upstreams);
    assert.equal(upstream?.maxConnections, 16_384, 'room for at least 8,000 WebSockets');
    assert.deepEqual(server.listen, { host: '127.0.0.1', port: 8080 });
    assert.deepEqual(server.admin, { host: '127.0.0.1', port: 9090 });
    assert.deepEqual(server.trustedProxies, []);
    assert.deepEqual(server.limits, {
      headerCount: 200,
      headerBytes: 32_768,
      firstByteMs: 10_000,
      headersMs: 15_000,
      idleMs: 75_000,
      bodyIdleMs: 60_000,
      connections: 20_000,
      connectionsPerAddress: 20_000,
      streamsPerConnection: 250,
      resetsPerSecond: 33,
      resetBurst: 1000,
      streamWindow: 262_144,
      connectionWindow: 1_048_576,
      pingIntervalMs: 30_000,
      pingTimeoutMs: 15_000,
      tcpKeepAliveMs: 30_000,
      upgradeIdleMs: 0,
    });
    assert.deepEqual(server.security, { useAuth: true, insecureCookieHeader: false });
    assert.equal(server.drainMs, 30_000);
    assert.equal('tls' in server, false);
    assert.deepEqual(auth.authorizedUris, ['https://flyte.example.com']);
    assert.equal(auth.allowHttpIssuer, false);
    assert.equal(auth.trustUnverifiedEmail, false);
    assert.equal(auth.userAuth.redirectUrl, '/console');
    assert.equal(auth.appAuth.externalAuthServer.baseUrl, 'https://idp.example.com/oauth2/default');
    assert.deepEqual(auth.appAuth.thirdPartyConfig.flyteClient, {
      clientId: 'flytectl',
      redirectUri: 'http://localhost:53593/callback',
      scopes: ['all', 'offline'],
    });
    assert.deepEqual(session, { idleMs: 28_800_000, absoluteMs: 604_800_000, store: 'cookie', maxSessions: 100_000 });
    assert.deepEqual(decisionCache, { maxAgeMs: 60_000, maxEntries: 100_000, maxBytes: 67_108_864, outsideMs: 10_000 });
    assert.deepEqual(routes, [{ path: '/', upstream: 'control-plane', access: 'authenticated' }]);
  });

  it("takes flyteadmin's server and auth sections as they are", async () => {
    const { auth } = await configOf(pastedFromFlyteadmin);
    assert.deepEqual(auth.authorizedUris, [
      'https://flyte.example.com',
      'http://flyteadmin',
      'http://flyteadmin.union.svc.cluster.local',
    ]);
    assert.deepEqual(auth.userAuth.openId.scopes, ['profile', 'openid', 'offline_access']);
    assert.deepEqual(auth.userAuth.cookieSetting, { sameSitePolicy: 'LaxMode' });
    assert.equal(auth.userAuth.idpQueryParameter, 'idp');
    assert.equal(auth.appAuth.thirdPartyConfig.flyteClient.clientId, 'flyte-native');
  });

  it("takes flyteadmin's keys that have no effect here, and its three proxies where they agree", async () => {
    const { auth } = await configOf(
      pastedFromFlyteadmin
        .replace('  userAuth:\n', '  disableForHttp: false\n  userAuth:\n    httpProxyURL: http://proxy:3128\n')
        .replace('  appAuth:\n', '  appAuth:\n    selfAuthServer: { staticClients: { flytectl: { id: flytectl } } }\n')
        .replace('      clientId: "flyte-web"', '      clientId: "flyte-web"\n      onlyStartIfOIDCIsAvailable: true'),
    );
    assert.equal(auth.httpProxyURL, 'http://proxy:3128');
  });

  it('loads the example as it is, and says the same with every commented default spelled out', async () => {
    const example = (generate().get('config/flytegate.example.yaml') ?? '').replace('/etc/secrets\n', 'secrets\n');
    const spelledOut = example.replaceAll(/^( *)# ([A-Za-z]+: )/gm, '$1$2').replaceAll(/^( *)e\.g\. .*$/gm, '');
    assert.ok(/^ +headerCount: 200$/m.test(spelledOut) && !/^ +headerCount/m.test(example));
    // Two folders, so that absolute paths would differ: there are none.
    assert.deepEqual(await configOf(spelledOut), await configOf(example));
  });

  it('reads relative paths from the folder of the settings file', async () => {
    const pem = testCertificate.cert;
    const settings = leastSettings.replace('auth:\n', 'auth:\n  caFile: tls/ca.pem\n');
    const { auth } = await configOf(settings, { 'tls/ca.pem': pem });
    assert.match(auth.caFile ?? '', /^\/.*\/tls\/ca\.pem$/);
  });

  it('freezes everything to the bottom', async () => {
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    assert.ok(frozen(await configOf(pastedFromFlyteadmin)));
  });

  for (const [url, expected] of [
    ['http://Upstream.Example.com', { protocol: 'http', host: 'upstream.example.com', port: 80 }],
    ['https://10.0.0.1', { protocol: 'https', host: '10.0.0.1', port: 443 }],
    ['h2c://[::1]:9000/', { protocol: 'h2c', host: '::1', port: 9000 }],
    ['h2://flyte', { protocol: 'h2', host: 'flyte', port: 443 }],
  ] as const) {
    it(`reads the upstream ${url}`, async () => {
      const { upstreams } = await configOf(leastSettings.replace('http://127.0.0.1:8090', url));
      const { protocol, targets } = upstreams['control-plane'] ?? assert.fail();
      const { protocol: scheme, ...target } = expected;
      assert.deepEqual({ protocol, targets }, { protocol: scheme, targets: [target] });
    });
  }

  it('reads several URLs of one upstream, and everything else that can be said of it', async () => {
    const pem = `${testCertificate.cert}\n${testCertificate.key}\n`;
    const written = [
      'url: [h2://a.internal, "h2://[::1]:8443"]',
      'resolveInterval: 5s',
      'idleTimeout: 10s',
      'pingInterval: 1m',
      'pingTimeout: 2s',
      'maxConnections: 10',
      'host: Flyte.internal:80',
      'certFile: c.pem',
      'keyFile: c.pem',
      'serverName: Svc.internal',
    ].join('\n    ');
    const { upstreams } = await configOf(leastSettings.replace('url: http://127.0.0.1:8090', written), {
      'c.pem': pem,
    });
    const { clientCertificate, ...rest } = upstreams['control-plane'] ?? assert.fail();
    assert.deepEqual(rest, {
      name: 'control-plane',
      protocol: 'h2',
      targets: [
        { host: 'a.internal', port: 443 },
        { host: '::1', port: 8443 },
      ],
      resolveIntervalMs: 5000,
      connectTimeoutMs: 5000,
      headersTimeoutMs: 60_000,
      idleTimeoutMs: 10_000,
      pingIntervalMs: 60_000,
      pingTimeoutMs: 2000,
      maxConnections: 10,
      identityHeaders: ['auth-request', 'flyteadmin'],
      upstreamAuthorization: 'verified',
      hostHeader: 'flyte.internal:80',
      serverName: 'svc.internal',
    });
    assert.match(clientCertificate?.certFile ?? '', /^\/.*c\.pem$/);
  });

  for (const [url, host, expected] of [
    ['http://a.internal:8090', 'keep', undefined],
    ['http://a.internal:8090', 'upstream', 'a.internal:8090'],
    ['http://a.internal:80', 'upstream', 'a.internal'],
    ['https://[::1]:443', 'upstream', '[::1]'],
    ['h2c://[::1]:443', 'upstream', '[::1]:443'],
    ['http://a.internal', 'Other.example', 'other.example'],
  ] as const) {
    it(`reads host: ${host} for ${url}`, async () => {
      const settings = leastSettings.replace('url: http://127.0.0.1:8090', `url: "${url}"\n    host: ${host}`);
      const { upstreams } = await configOf(settings);
      assert.equal(upstreams['control-plane']?.hostHeader, expected);
    });
  }

  for (const [metadataUrl, expected] of [
    ['.well-known/openid-configuration', 'https://idp.example.com/oauth2/default/.well-known/openid-configuration'],
    ['/meta', 'https://idp.example.com/meta'],
    ['https://other.example.com/meta', 'https://other.example.com/meta'],
  ] as const) {
    it(`reads the metadata URL ${metadataUrl} below the issuer`, async () => {
      const { auth } = await configOf(
        leastSettings.replace('auth:\n', `auth:\n  appAuth: { externalAuthServer: { metadataUrl: ${metadataUrl} } }\n`),
      );
      assert.equal(auth.appAuth.externalAuthServer.metadataUrl, expected);
    });
  }

  it('keeps the issuer byte for byte, trailing slash and all', async () => {
    const { auth } = await configOf(leastSettings.replace('oauth2/default', 'oauth2/default/'));
    assert.equal(auth.userAuth.openId.baseUrl, 'https://idp.example.com/oauth2/default/');
  });

  it('reads a key left empty as one left out', async () => {
    assert.deepEqual(await configOf(`${leastSettings}session:\nlog:\n  level:\n`), await configOf(leastSettings));
  });
});

/** What is put into the least settings, and the mistakes that come of it: `line path: expected; found (hint)`. */
const broken: readonly (readonly [string, (settings: string) => string, readonly RegExp[]])[] = [
  [
    'nothing',
    () => 'secretsDir: secrets\n',
    [
      /^server\.publicUrl: expected an origin.*found nothing/,
      /openId\.clientId: .*found nothing/,
      /openId\.baseUrl/,
      /^upstreams: /,
      /^routes: /,
    ],
  ],
  [
    'a key of another case',
    (s) => s.replace('publicUrl', 'publicURL'),
    [/^2 server\.publicURL: .*did you mean publicUrl\?/, /^1 server\.publicUrl: .*found nothing/],
  ],
  [
    'a misspelt key',
    (s) => s.replace('upstream: control', 'upsteram: control'),
    [/^14 routes\[0\]\.upsteram: .*did you mean upstream\?/, /routes\[0\]\.upstream: .*found nothing/],
  ],
  ['a key in the wrong place', (s) => `${s}openId: {}\n`, [/^15 openId: .*did you mean auth\.userAuth\.openId\?/]],
  ['a key unlike any other', (s) => `${s}zzz: 1\n`, [/^15 zzz: .*there are server, log, secretsDir/]],
  [
    "flyteadmin's own port",
    (s) => s.replace('server:\n', 'server:\n  httpPort: 8088\n'),
    [/^2 server\.httpPort: .*here it is server\.listen/],
  ],
  [
    'authentication turned off',
    (s) => s.replace('server:\n', 'server:\n  security: { useAuth: false }\n'),
    [/^2 server\.security\.useAuth: expected true; found false \(.*no gateway/],
  ],
  [
    'HTTP left open',
    (s) => s.replace('auth:\n', 'auth:\n  disableForHttp: true\n'),
    [/auth\.disableForHttp: expected false; found true \(.*access: public/],
  ],
  [
    'gRPC left open',
    (s) => s.replace('auth:\n', 'auth:\n  disableForGrpc: true\n'),
    [/auth\.disableForGrpc: expected false/],
  ],
  [
    "flyteadmin's own tokens",
    (s) => s.replace('auth:\n', 'auth:\n  appAuth: { authServerType: Self }\n'),
    [/authServerType: expected External; found "Self" \(.*externalAuthServer/],
  ],
  [
    'a placeholder',
    (s) => s.replace('flyte-web', '<web-app-client-id>'),
    [/clientId: .*found <web-app-client-id>.*placeholder/],
  ],
  [
    'a public URL without TLS',
    (s) => s.replace('https://flyte', 'http://flyte'),
    [/^2 server\.publicUrl: .*loopback.*insecureCookieHeader: true/],
  ],
  [
    'a public URL with a path',
    (s) => s.replace('flyte.example.com', 'flyte.example.com/x'),
    [/publicUrl: .*nothing may follow/],
  ],
  [
    'an issuer without TLS',
    (s) => s.replace('https://idp', 'http://idp'),
    [/openId\.baseUrl: .*allowHttpIssuer: true/],
  ],
  ['an issuer with a query', (s) => s.replace('oauth2/default', 'oauth2?x'), [/openId\.baseUrl: .*query/]],
  [
    'a password in a URL',
    (s) => s.replace('auth:\n', 'auth:\n  httpProxyURL: http://me:hunter2@proxy\n'),
    [/httpProxyURL: .*found "http:\/\/…@proxy"/],
  ],
  [
    'proxies that differ',
    (s) =>
      s.replace('auth:\n  userAuth:\n', 'auth:\n  httpProxyURL: http://a\n  userAuth:\n    httpProxyURL: http://b\n'),
    [/userAuth\.httpProxyURL: .*http:\/\/a/],
  ],
  [
    'scopes without openid',
    (s) => s.replace('clientId', 'scopes: [profile]\n      clientId'),
    [/openId\.scopes: .*openid among/],
  ],
  [
    'a return URL elsewhere',
    (s) => s.replace('userAuth:\n', 'userAuth:\n    redirectUrl: https://evil.test/\n'),
    [/redirectUrl: .*authorizedUris/],
  ],
  [
    'a return path with two slashes',
    (s) => s.replace('userAuth:\n', 'userAuth:\n    redirectUrl: //evil.test\n'),
    [/redirectUrl: .*exactly one/],
  ],
  [
    'SameSite=None without Secure',
    (s) =>
      s
        .replace('server:\n', 'server:\n  security: { insecureCookieHeader: true }\n')
        .replace('userAuth:\n', 'userAuth:\n    cookieSetting: { sameSitePolicy: NoneMode }\n'),
    [/sameSitePolicy: .*found NoneMode/],
  ],
  [
    'a SameSite of another spelling',
    (s) => s.replace('userAuth:\n', 'userAuth:\n    cookieSetting: { sameSitePolicy: laxmode }\n'),
    [/sameSitePolicy: .*did you mean LaxMode\?/],
  ],
  [
    "a cookie domain that isn't the host's",
    (s) => s.replace('userAuth:\n', 'userAuth:\n    cookieSetting: { domain: ample.com }\n'),
    [/cookieSetting\.domain: .*flyte\.example\.com/],
  ],
  [
    'a provider parameter that signing in needs',
    (s) => s.replace('userAuth:\n', 'userAuth:\n    idpQueryParameter: redirect_uri\n'),
    [/idpQueryParameter: .*must not be able/],
  ],
  [
    'a credential header that HTTP needs',
    (s) => s.replace('auth:\n', 'auth:\n  grpcAuthorizationHeader: Cookie\n'),
    [/grpcAuthorizationHeader: .*gives that header a meaning/],
  ],
  [
    'a credential header that is stripped',
    (s) => s.replace('auth:\n', 'auth:\n  httpAuthorizationHeader: x-user-token\n'),
    [/httpAuthorizationHeader: .*removed/],
  ],
  [
    'a prefix that strips a credential',
    (s) => `${s}identityHeaders: { strip: [x-ok-, flyte-] }\n`,
    [/^15 identityHeaders\.strip\[1\]: .*strip flyte-authorization/],
  ],
  ['a prefix that strips Host', (s) => `${s}identityHeaders: { strip: [ho] }\n`, [/strip\[0\]: .*strip host/]],
  ['two claims with one header', (s) => `${s}identityHeaders: { claims: [team_id, Team-Id] }\n`, [/claims\[1\]: /]],
  [
    'an absolute limit under the idle one',
    (s) => `${s}session: { idle: 8h, absolute: 1h }\n`,
    [/^15 session\.absolute: .*session\.idle/],
  ],
  [
    'a window for all streams under that for one',
    (s) => s.replace('server:\n', 'server:\n  limits: { streamWindow: 1MiB, connectionWindow: 512KiB }\n'),
    [/limits\.connectionWindow: expected at least server\.limits\.streamWindow/],
  ],
  [
    'a limit on bodies without unit',
    (s) => `${s}    maxBody: 100\n`,
    [/routes\[0\]\.maxBody: expected a size from 0B to 1024GiB, such as 64MiB/],
  ],
  [
    'a duration without unit',
    (s) => `${s}session: { idle: 8 }\n`,
    [/session\.idle: expected a duration from 1m to 30d, such as 8h; found 8 \(write the unit/],
  ],
  ['a duration out of bounds', (s) => `${s}session: { idle: 59s }\n`, [/session\.idle: .*found "59s"/]],
  ['a size in other units', (s) => `${s}decisionCache: { maxBytes: 64MB }\n`, [/maxBytes: .*KiB, MiB/]],
  [
    'a count out of bounds',
    (s) => s.replace('server:\n', 'server:\n  limits: { headerCount: 5000 }\n'),
    [/headerCount: expected a whole number from 20 to 900; found 5000/],
  ],
  ['a quoted flag', (s) => `${s}log: { requests: "true" }\n`, [/log\.requests: expected true or false; found "true"/]],
  [
    'a list that is none',
    (s) => s.replace('auth:\n', 'auth:\n  authorizedUris: http://a\n'),
    [/authorizedUris: .*\[brackets\]/],
  ],
  [
    'one bad item of a list',
    (s) => s.replace('auth:\n', 'auth:\n  authorizedUris:\n  - http://a\n  - b\n'),
    [/^7 auth\.authorizedUris\[1\]: .*found "b"/],
  ],
  ['a section that is none', (s) => `${s}session: forever\n`, [/^15 session: expected a section/]],
  [
    'an address for everybody, unsaid',
    (s) => s.replace('server:\n', 'server:\n  listen: :8080\n'),
    [/server\.listen: .*0\.0\.0\.0:8080/],
  ],
  [
    'one port for public and admin',
    (s) => s.replace('server:\n', 'server:\n  listen: 0.0.0.0:8080\n  admin: 127.0.0.1:8080\n'),
    [/^3 server\.admin: .*of its own/],
  ],
  [
    'a certificate without key',
    (s) => s.replace('server:\n', 'server:\n  tls: { certFile: tls.crt }\n'),
    [/tls\.keyFile: .*together/, /tls\.certFile: .*no such file: tls\.crt/],
  ],
  [
    'everybody as a trusted proxy',
    (s) => s.replace('server:\n', 'server:\n  trustedProxies: [0.0.0.0/0]\n'),
    [/trustedProxies\[0\]: .*everybody/],
  ],
  ['an upstream with a path', (s) => s.replace('8090', '8090/api'), [/control-plane\.url: .*leave it out/]],
  ['an upstream of another scheme', (s) => s.replace('http://127', 'ftp://127'), [/control-plane\.url: .*h2c/]],
  [
    'a CA for an upstream without TLS',
    (s) => s.replace('url: http', 'caFile: secrets/oidc_client_secret\n    url: http'),
    [/control-plane\.caFile: .*without TLS/, /caFile: expected a PEM file/],
  ],
  [
    'URLs of two schemes',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: [http://a, h2c://b]'),
    [/control-plane\.url\[1\]: expected the scheme of the first one, http; found h2c .*of its own/],
  ],
  [
    'the same URL twice',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: [http://a, http://A:80]'),
    [/control-plane\.url\[1\]: expected each address once/],
  ],
  [
    'a URL that is none in a list',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: [http://a, "http://b/x"]'),
    [/control-plane\.url\[1\]: .*leave it out/],
  ],
  [
    'an upstream without a URL',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: []'),
    [/control-plane\.url: expected a URL .*or a list of up to 64.*an empty list/],
  ],
  [
    'a host of two',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: [http://a, http://b]\n    host: upstream'),
    [/control-plane\.host: .*all of them answer/],
  ],
  [
    'a Host with a scheme',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: http://a\n    host: "http://b"'),
    [/control-plane\.host: .*leave the scheme out/],
  ],
  [
    'a Host with a path',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: http://a\n    host: b/c'),
    [/control-plane\.host: expected keep, upstream, or a host/],
  ],
  [
    'half a client certificate',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: https://a\n    certFile: secrets/oidc_client_secret'),
    [/control-plane\.keyFile: .*together/, /certFile: expected a PEM file/],
  ],
  [
    'TLS settings without TLS',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: h2c://a\n    serverName: b'),
    [/control-plane\.serverName: .*without TLS/],
  ],
  [
    'an address as server name',
    (s) => s.replace('url: http://127.0.0.1:8090', 'url: h2://a\n    serverName: 10.0.0.1'),
    [/control-plane\.serverName: .*cannot be sent/],
  ],
  [
    "an upstream's name with a dot",
    (s) => s.replaceAll('control-plane', 'a.b'),
    [/upstreams\.a\.b: expected a name/, /routes\[0\]\.upstream/],
  ],
  [
    "a route to an upstream that isn't there",
    (s) => s.replace('upstream: control-plane', 'upstream: constructor'),
    [/^14 routes\[0\]\.upstream: .*found "constructor" \(there are control-plane\)/],
  ],
  [
    'two routes for one place',
    (s) => `${s}  - { path: /, upstream: control-plane, access: public }\n`,
    [/^15 routes\[1\]\.path: .*routes\[0\] has it already/],
  ],
  ['a misspelt access', (s) => `${s}    access: pubic\n`, [/routes\[0\]\.access: .*did you mean public\?/]],
  ['no routes', (s) => s.replace(/routes:[\s\S]*/, 'routes: []\n'), [/^12 routes: .*an empty list/]],
  [
    'several mistakes of every kind',
    (s) =>
      `${s.replace('upstream: control-plane', 'upstream: nope').replace('secretsDir: secrets', 'secretsDir: elsewhere')}sesion: {}\n`,
    [/sesion/, /routes\[0\]\.upstream/, /clientSecretName/, /cookieHashKeySecretName/, /cookieBlockKeySecretName/],
  ],
];

describe('loadConfig, of a file with mistakes', () => {
  for (const [what, spoil, expected] of broken) {
    it(`tells exactly what is wrong with ${what}`, async () => {
      const mistakes = await mistakesOf(spoil(leastSettings));
      const lines = mistakes.map((mistake) =>
        `${mistake.line ?? ''} ${describeMistakes('', [mistake]).replace(/^:\d*:? ?/, '')}`.trim(),
      );
      for (const pattern of expected)
        assert.ok(
          lines.some((line) => pattern.test(line) || pattern.test(line.replace(/^\d+ /, ''))),
          `${pattern} in\n${lines.join('\n')}`,
        );
      assert.equal(lines.length, expected.length, lines.join('\n'));
    });
  }

  for (const path of [
    'api',
    '/a//b',
    '/a/../b',
    '/./a',
    '/a?b',
    '/a#b',
    '/a*',
    '/a%2fb',
    '/a;b',
    '/a b',
    '/\\a',
    '/ä',
  ]) {
    it(`refuses the route path ${path}, which no request matches in one way only`, async () => {
      const mistakes = await mistakesOf(leastSettings.replace('path: /', `path: ${JSON.stringify(path)}`));
      assert.deepEqual(
        mistakes.map((mistake) => writePath(mistake.path)),
        ['routes[0].path'],
      );
    });
  }

  for (const [what, text] of [
    ['a key that stands there twice', `${leastSettings}secretsDir: other\n`],
    ['an unknown tag', `${leastSettings}log: !!js/function x\n`],
    ['a second document', `${leastSettings}---\n${leastSettings}`],
    [
      'aliases that multiply',
      `a: &a [x, x]\n${Array.from({ length: 20 }, (_, n) => `${n}: &n${n} [${Array(9).fill(n === 0 ? '*a' : `*n${n - 1}`)}]`).join('\n')}\n`,
    ],
    ['nesting without end', '['.repeat(20_000)],
    ['no YAML', 'server: [\n'],
    ['a list', '- 1\n'],
  ] as const) {
    it(`refuses a file with ${what} before it looks at any setting`, async () => {
      const mistakes = await mistakesOf(text);
      assert.ok(mistakes.length > 0);
      assert.deepEqual(
        mistakes.filter(({ path }) => path.length > 0),
        [],
      );
    });
  }

  it('refuses a file over 4 MiB without reading it to its end', async () => {
    assert.deepEqual(await mistakesOf(`${leastSettings}#${'x'.repeat(4 * 1_048_576)}`), [
      { path: [], expected: 'a settings file, at most 4 MiB', found: 'more than 4194304 bytes' },
    ]);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const [mistake] = await mistakesOf(Buffer.from([0x61, 0x3a, 0x20, 0xff]));
    assert.equal(mistake?.found, 'bytes that are not UTF-8');
  });

  it('tells that there is no file', async () => {
    const loaded = await loadConfig('/nowhere/flytegate.yaml');
    assert.deepEqual(loaded, {
      kind: 'mistakes',
      mistakes: [{ path: [], expected: 'a settings file, at most 4 MiB', found: 'no such file' }],
      files: new Map([['/nowhere/flytegate.yaml', { max: 4_194_304, digest: 'no such file' }]]),
    });
  });

  it('lets danger through where it is spelled out', async () => {
    const settings = leastSettings.replace('https://flyte', 'http://flyte').replace('https://idp', 'http://idp');
    const spelledOut = settings
      .replace('server:\n', 'server:\n  security: { insecureCookieHeader: true }\n')
      .replace('auth:\n', 'auth:\n  allowHttpIssuer: true\n');
    const { server, auth } = await configOf(spelledOut);
    assert.equal(server.security.insecureCookieHeader, true);
    assert.equal(auth.allowHttpIssuer, true);
  });

  for (const host of ['127.0.0.1:8080', 'localhost:8080', 'flyte.localhost', '[::1]:8080']) {
    it(`takes http: on ${host}, which is this machine`, async () => {
      const { server } = await configOf(leastSettings.replace('https://flyte.example.com', `http://${host}`));
      assert.equal(server.publicUrl, `http://${host}`);
    });
  }
});

describe('loadConfig, of secrets', () => {
  const secretsOf = async (files: Readonly<Record<string, string>>, settings = leastSettings) =>
    (await mistakesOf(settings, files)).map((mistake) => describeMistakes('', [mistake]));

  it('reads them without their last line break', async () => {
    const { auth, cookieKeys } = await configOf(leastSettings);
    assert.equal(auth.userAuth.openId.clientSecret?.reveal(), 'correct horse battery staple');
    assert.equal(cookieKeys.length, 1);
    assert.equal(Buffer.from(cookieKeys[0]?.hash.reveal() ?? []).toString('base64'), hashKey);
    assert.equal(Buffer.from(cookieKeys[0]?.block.reveal() ?? []).toString('base64'), blockKey);
  });

  it('pairs rotated keys line by line, in any base64', async () => {
    const newer = Buffer.alloc(64, 'newer ÿþ').toString('base64url');
    const block = Buffer.alloc(16, 'newer ÿþ').toString('base64').replaceAll('=', '');
    const { cookieKeys } = await configOf(leastSettings, {
      'secrets/cookie_hash_key': `${newer}\r\n${hashKey}\r\n`,
      'secrets/cookie_block_key': `${block}\n${blockKey}`,
    });
    assert.deepEqual(
      cookieKeys.map((key) => [key.hash.reveal().length, key.block.reveal().length]),
      [
        [64, 16],
        [32, 32],
      ],
    );
    assert.equal(Buffer.from(cookieKeys[1]?.hash.reveal() ?? []).toString('base64'), hashKey);
  });

  it('reads the client secret from a path, and none for a public client', async () => {
    const byPath = await configOf(leastSettings.replace('clientId', 'clientSecretFile: other/secret\n      clientId'), {
      'other/secret': 'from elsewhere',
    });
    assert.equal(byPath.auth.userAuth.openId.clientSecret?.reveal(), 'from elsewhere');
    const open = await configOf(leastSettings.replace('clientId', 'clientSecretName: ""\n      clientId'));
    assert.equal('clientSecret' in open.auth.userAuth.openId, false);
  });

  for (const [what, files, pattern] of [
    [
      'a short hash key',
      { 'secrets/cookie_hash_key': Buffer.alloc(31, 'ab').toString('base64') },
      /cookieHashKeySecretName: .*32 bytes or more.*on line 1 31 bytes/,
    ],
    [
      'a block key of the wrong length',
      { 'secrets/cookie_block_key': Buffer.alloc(20, 'ab').toString('base64') },
      /cookieBlockKeySecretName: .*16, 24 or 32 bytes.*20 bytes/,
    ],
    ['a key of one byte repeated', { 'secrets/cookie_hash_key': 'A'.repeat(43) }, /one byte repeated/],
    ['a key that is not base64', { 'secrets/cookie_hash_key': 'hunter2!hunter2!' }, /on line 1 something else/],
    [
      'an empty line between keys',
      { 'secrets/cookie_hash_key': `${hashKey}\n\n${hashKey}\n` },
      /on line 2 something else/,
    ],
    ['an empty key file', { 'secrets/cookie_hash_key': '\n' }, /an empty file/],
    [
      'more hash keys than block keys',
      { 'secrets/cookie_hash_key': `${hashKey}\n${hashKey}\n` },
      /cookieBlockKeySecretName: .*1 for 2/,
    ],
    ['an empty client secret', { 'secrets/oidc_client_secret': '\n' }, /clientSecretName: .*an empty file/],
    [
      'client secrets on three lines',
      { 'secrets/oidc_client_secret': 'hunter2\nhunter3\nhunter4\n' },
      /clientSecretName: .*more or empty lines/,
    ],
  ] as const) {
    it(`refuses ${what}, without showing it`, async () => {
      const lines = await secretsOf(files);
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0] ?? '', pattern);
      for (const content of Object.values(files))
        assert.ok(content.trim() === '' || !lines.join('').includes(content.trim().slice(0, 7)));
    });
  }

  it('says how a public client is declared when the secret is missing', async () => {
    const lines = await secretsOf({}, leastSettings.replace('secretsDir: secrets', 'secretsDir: nowhere'));
    assert.match(
      lines.join(''),
      /clientSecretName: .*no such file: oidc_client_secret in nowhere \(.*clientSecretName: ""/,
    );
    assert.match(lines.join(''), /cookie_hash_key in nowhere \(.*keygen/);
  });

  for (const pasted of ['c2VjcmV0LXNlY3JldC1zZWNyZXQ', 'c2VjcmV0+c2VjcmV0/c2VjcmV0==', 'hunter2 with spaces']) {
    it(`never shows a secret pasted where its name belongs: ${pasted.length} characters`, async () => {
      const lines = await secretsOf(
        {},
        leastSettings.replace('clientId', `clientSecretName: ${JSON.stringify(pasted)}\n      clientId`),
      );
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', /clientSecretName/);
      assert.ok(!lines.join('').includes(pasted.slice(0, 7)));
    });
  }

  it('prints none of them by any way of printing a Config', async () => {
    const config = await configOf(leastSettings);
    const printed = [
      JSON.stringify(config),
      inspect(config, { depth: 20, showHidden: true }),
      `${config.auth.userAuth.openId.clientSecret}`,
      `${config.cookieKeys[0]?.hash}`,
    ].join('\n');
    const bytes = [hashKey, blockKey].map((key) => Buffer.from(key, 'base64').toString('latin1'));
    for (const secret of ['battery', hashKey, blockKey, ...bytes]) assert.ok(!printed.includes(secret));
    assert.match(inspect(config.auth.userAuth), /clientSecret: \[secret\]/);
  });
});

describe('generate', () => {
  for (const [path, content] of generate()) {
    it(`leaves ${path} as the schema says (npm run generate)`, async () => {
      assert.equal(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8'), content);
    });
  }
});
