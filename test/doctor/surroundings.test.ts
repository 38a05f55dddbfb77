import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createHttp2, createSecureServer } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp } from 'node:net';
import { before, describe, it } from 'node:test';
import { judgeCertificate } from '../../src/doctor/judge-certificate.ts';
import { judgeSecretFile } from '../../src/doctor/secret-files.ts';
import { startProvider } from '../fakes/provider.ts';
import { namedCertificate, testCertificate } from '../server/test-certificate.ts';
import { endLater, look, serve } from './stage.ts';

let issuer: string;
before(async () => {
  const provider = await startProvider();
  endLater(provider.stop);
  issuer = provider.issuer;
});

const nothing = (_request: unknown, response: ServerResponse) => void response.writeHead(404).end();
const upstreamAt = (url: string, more = {}) => ({ 'upstreams.control-plane': { url, ...more } });

describe('doctor, of a service behind,', () => {
  const http1 = () => serve(createServer(nothing));
  const h2c = () => serve(createHttp2((_request, response) => void response.writeHead(404).end()));
  const tls = (certificate = testCertificate) => serve(createHttps(certificate, nothing));
  const ca = { 'ca.crt': testCertificate.cert };

  it('finds that it is reached and speaks what its URL says', async () => {
    assert.match(
      (await look({ issuer, settings: upstreamAt(`http://${await http1()}`) })).of('upstream'),
      /^ok .*no HTTP\/2: gRPC/,
    );
    assert.match(
      (await look({ issuer, settings: upstreamAt(`h2c://${await h2c()}`) })).of('upstream'),
      /^ok .*HTTP\/2\n/,
    );
    const secure = upstreamAt(`https://${await tls()}`, { caFile: 'ca.crt' });
    assert.match((await look({ issuer, settings: secure, files: ca })).of('upstream'), /^ok .*HTTP\/1\.1/);
    const both = await serve(createSecureServer({ ...testCertificate, allowHTTP1: true }));
    const h2 = upstreamAt(`h2://${both}`, { caFile: 'ca.crt' });
    assert.match((await look({ issuer, settings: h2, files: ca })).of('upstream'), /^ok .*HTTP\/2\n/);
  });

  it('finds each address of a list that is not reached', async () => {
    const settings = upstreamAt('', { url: [`http://${await http1()}`, 'http://127.0.0.1:1'] });
    assert.match(
      (await look({ issuer, settings })).of('upstream'),
      /^ok .*\nproblem .*127\.0\.0\.1:1 cannot be reached: ECONNREFUSED/,
    );
  });

  const wrong: Readonly<Record<string, readonly [() => Promise<Record<string, unknown>>, RegExp]>> = {
    'HTTP/1.1 where h2c is declared': [
      async () => upstreamAt(`h2c://${await http1()}`),
      /^problem .*speaks HTTP\/1\.1 only → write http:\/\//,
    ],
    'h2c where http is declared': [
      async () => upstreamAt(`http://${await h2c()}`),
      /^problem .*speaks HTTP\/2 only → write h2c:\/\//,
    ],
    'no TLS where https is declared': [
      async () => upstreamAt(`https://${await http1()}`),
      /^problem .*by TLS: \w+ → it does not speak TLS there/,
    ],
    'TLS where http is declared': [
      async () => upstreamAt(`http://${await tls()}`),
      /^problem .*(speaks no HTTP|HTTP\/1\.1)/,
    ],
    'a certificate of an unknown CA': [
      async () => upstreamAt(`https://${await tls()}`),
      /^problem .*DEPTH_ZERO_SELF_SIGNED_CERT → nobody here knows who issued its certificate/,
    ],
    'a certificate of another name': [
      async () => upstreamAt(`https://${await tls(namedCertificate)}`, { caFile: 'named.crt' }),
      /^problem .*ERR_TLS_CERT_ALTNAME_INVALID → its certificate is for other names/,
    ],
    'a name that nobody knows': [
      async () => upstreamAt('http://nowhere.invalid:80'),
      /^problem .*no such name is known here/,
    ],
    'something that takes connections and never says a word': [
      async () => ({ ...upstreamAt(`http://${await serve(createTcp(() => undefined))}`), 'auth.timeout': '200ms' }),
      /^problem .*speaks no HTTP/,
    ],
    'something that is no HTTP at all': [
      async () => upstreamAt(`http://${await serve(createTcp((socket) => void socket.end('SSH-2.0-x\r\n')))}`),
      /^problem .*speaks no HTTP/,
    ],
  };
  for (const [what, [settings, says]] of Object.entries(wrong))
    it(`finds ${what}`, async () => {
      const found = await look({ issuer, settings: await settings(), files: { 'named.crt': namedCertificate.cert } });
      assert.match(found.of('upstream'), says);
    });
});

describe('doctor, at the public URL,', () => {
  const challenge = { 'www-authenticate': 'Bearer realm="flyte"' };
  const client = JSON.stringify({ clientId: 'flytectl' });
  const front = async (discovery: { status: number; body?: string; fields?: Record<string, string> }) => {
    const at = await serve((request, response) => {
      if (request.url === '/me') return void response.writeHead(401, challenge).end();
      response
        .writeHead(discovery.status, { 'content-type': 'application/json', ...discovery.fields })
        .end(discovery.body);
    });
    return look({ issuer, settings: { 'server.publicUrl': `http://${at}` } });
  };
  const me = async (status: number, fields: Record<string, string> = {}) => {
    const at = await serve((_request, response) => void response.writeHead(status, fields).end());
    return (await look({ issuer, settings: { 'server.publicUrl': `http://${at}` } })).of('public-url');
  };

  it('finds the gateway, and that the SDK finds out where to sign in', async () => {
    const found = await front({ status: 200, body: client });
    assert.match(found.of('public-url'), /^ok .*\n$/);
    assert.match(found.of('sdk-discovery'), /^ok .*Flyte 1.*\nok .*Flyte 2.*\n$/);
  });

  it('finds that it redirects to another origin: the redirect loop', async () => {
    const location = 'https://console.example.com/me';
    assert.match(
      await me(301, { location }),
      /^problem .*redirects to https:\/\/console\.example\.com: .*→ write server\.publicUrl: https:\/\/console\.example\.com/,
    );
  });

  it('finds a check in front of the gateway’s own URLs', async () => {
    assert.match(await me(302, { location: '/login' }), /^problem .*without a check in front/);
  });

  it('finds that somebody else answers there', async () => {
    assert.match(await me(200), /^problem .*is not this gateway/);
    assert.match(await me(502), /^could not tell /);
  });

  it('could not tell while nothing runs there', async () => {
    const found = await look({ issuer, settings: { 'server.publicUrl': 'http://127.0.0.1:1' } });
    assert.match(found.of('public-url'), /^could not tell .*ECONNREFUSED/);
    assert.match(found.of('sdk-discovery'), /^could not tell /);
  });

  it('finds what keeps the SDK from finding out: a check, a redirect, another service, HTML', async () => {
    assert.match(
      (await front({ status: 401 })).of('sdk-discovery'),
      /^problem .*wants a credential \(status 401\).*auth-url/,
    );
    assert.match(
      (await front({ status: 302, fields: { location: '/login' } })).of('sdk-discovery'),
      /^problem .*wants a credential/,
    );
    assert.match(
      (await front({ status: 200, body: '{"clientId":"other"}' })).of('sdk-discovery'),
      /^problem .*somebody else answers/,
    );
    const html = { status: 200, body: '<p>', fields: { 'content-type': 'text/html' } };
    assert.match((await front(html)).of('sdk-discovery'), /^warning .*lead its path to the gateway/);
  });
});

describe('doctor, of the certificate that browsers see,', () => {
  const files = { 'tls.crt': testCertificate.cert, 'tls.key': testCertificate.key, 'other.key': namedCertificate.key };
  const settings = (publicUrl: string, keyFile = 'tls.key') => ({
    'server.publicUrl': publicUrl,
    'server.tls': { certFile: 'tls.crt', keyFile },
  });

  it('finds its names and key right, or not', async () => {
    const found = (...with_: Parameters<typeof settings>) => look({ issuer, settings: settings(...with_), files });
    const of = async (publicUrl: string) => (await found(publicUrl)).of('certificate');
    assert.match(await of('https://127.0.0.1:8443'), /^ok .*names 127\.0\.0\.1 and is valid for \d+ days/);
    assert.match(
      await of('https://flyte.example.com'),
      /^problem .*is for IP Address:127\.0\.0\.1, not for flyte\.example\.com/,
    );
    assert.match((await found('https://127.0.0.1:8443', 'other.key')).of('settings'), /^problem .*keyFile/);
  });

  it('looks at the one in front, where TLS ends there', async () => {
    const at = await serve(createHttps(testCertificate, nothing));
    const found = await look({ issuer, settings: { 'server.publicUrl': `https://${at}` } });
    assert.match(found.of('certificate'), /^ok .*names 127\.0\.0\.1/);
    assert.match(found.of('public-url'), /^could not tell .*SELF_SIGNED.*→ nobody here knows who issued/);
  });

  it('finds one that has run out, is not valid yet, or soon runs out', () => {
    const at = {
      check: 'certificate',
      where: 'it',
      host: 'a.example',
      now: Date.parse('2026-06-15T00:00:00Z'),
    } as const;
    const made = (validFrom: string, validTo: string) =>
      judgeCertificate(
        { validFrom, validTo, subjectAltName: 'DNS:a.example', checkHost: () => 'a.example', checkIP: () => undefined },
        at,
      );
    assert.match(made('2026-01-01T00:00:00Z', '2026-06-14T00:00:00Z').says, /ran out/);
    assert.match(made('2026-07-01T00:00:00Z', '2026-09-14T00:00:00Z').says, /not valid before/);
    assert.equal(made('2026-01-01T00:00:00Z', '2026-06-20T00:00:00Z').verdict, 'warning');
    assert.equal(made('2026-01-01T00:00:00Z', '2026-12-20T00:00:00Z').verdict, 'ok');
  });
});

describe('doctor, of settings and secrets,', () => {
  it('tells each mistake under its check, and nothing else', async () => {
    const settings = {
      'server.publicUrl': 'http://flyte.example.com',
      'auth.userAuth.cookieSetting.domain': 'other.example',
      'auth.userAuth.openId.clientSecretFile': 'not-there',
    };
    const found = await look({ issuer, settings });
    assert.match(found.of('public-url'), /^problem .*line 2, server\.publicUrl.*insecureCookieHeader/);
    assert.match(found.of('cookies'), /^problem .*a domain that flyte\.example\.com is in/);
    assert.match(found.of('secret-files'), /^problem .*no such file/);
    assert.equal(found.findings.length, 3);
  });

  it('finds cookies that browsers drop at an authorized URI, or send without TLS', async () => {
    const uris = { 'auth.authorizedUris': ['http://flyteadmin:80', 'http://flyte.example.com'] };
    const found = await look({ issuer, settings: uris });
    assert.match(
      found.of('cookies'),
      /^warning .*drop the cookie at http:\/\/flyteadmin, http:\/\/flyte\.example\.com: .*circles/,
    );
    assert.match(found.of('public-url'), /^warning .*by another scheme/);
    const insecure = await look({ issuer, settings: { 'server.security.insecureCookieHeader': true } });
    assert.match(insecure.of('cookies'), /^warning .*without Secure/);
    const domain = {
      'auth.userAuth.cookieSetting.domain': 'flyte.example.com',
      'auth.authorizedUris': ['https://x.example.com'],
    };
    assert.match((await look({ issuer, settings: domain })).of('cookies'), /^warning .*https:\/\/x\.example\.com/);
    assert.match((await look({ issuer })).of('cookies'), /^ok .*Secure, for this host only, DefaultMode/);
  });

  it('finds services on hosts of their own that the session cookie does not reach', async () => {
    const route = (host: string, access = 'authenticated') => ({ host, path: '/', upstream: 'control-plane', access });
    const ours = { path: '/', upstream: 'control-plane' };
    const of = async (routes: readonly unknown[], more = {}) =>
      (await look({ issuer, settings: { routes, ...more } })).of('app-hosts');
    const some = [route('app.example.com'), route('*.apps.example.com'), route('docs.example.com', 'public'), ours];
    assert.match(
      await of(some),
      /^warning .*does not reach app\.example\.com, \*\.apps\.example\.com: .*cookieSetting/,
    );
    const domain = { 'auth.userAuth.cookieSetting.domain': 'example.com' };
    assert.match(await of(some, domain), /^ok .*for example\.com reaches app\.example\.com, \*\.apps/);
    assert.match(await of([...some, route('app.example.net')], domain), /^warning .*reach app\.example\.net: /);
    assert.match(await of([route('flyte.example.com'), route('docs.example.com', 'public'), ours]), /^ok .*none/);
  });

  it('finds a secret that everybody on the machine can read', async () => {
    const files = { 'open/secret': 'hush hush' };
    const settings = { 'auth.userAuth.openId.clientSecretFile': 'open/secret' };
    const found = await look({ issuer, settings, files });
    assert.match(found.of('secret-files'), /^warning .*\(mode 644\).*defaultMode/);
    assert.ok(!found.text.includes('hush'));
    assert.match((await look({ issuer })).of('secret-files'), /^ok .*3 files/);
  });

  it('says of a secret that is not there what to look at', () => {
    const place = {
      kind: 'client-secret',
      setting: 'serviceApp',
      file: '/etc/secrets/client_secret',
      mode: undefined,
    } as const;
    const found = judgeSecretFile({ ...place, content: { trouble: 'no such file' } });
    assert.match(`${found?.says} ${found?.remedy}`, /client_secret \(serviceApp\): no such file .*kubectl get secret/);
  });
});
