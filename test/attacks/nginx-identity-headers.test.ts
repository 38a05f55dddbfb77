import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';
import type { EchoUpstream, Received } from '../fakes/echo-upstream.ts';
import type { Nginx } from '../fakes/nginx.ts';
import { startEchoBehindNginx } from '../flows/nginx-front.ts';
import { callOverHttp2 } from '../flows/nginx-grpc-call.ts';
import type { FakeRig } from '../flows/rig.ts';
import { requireProgram } from '../programs.ts';
import { exchangeRaw } from '../server/raw-connection.ts';

const program = requireProgram('nginx');

/** What services believe about who is asking, from where and what for. nginx cannot clear by prefix: these are its names. */
const names = [
  ...['User', 'Email', 'Groups', 'Preferred-Username', 'Access-Token', 'Id-Token', 'Name', 'Roles', 'Subject'].map(
    (name) => `X-Auth-Request-${name}`,
  ),
  'X-Auth-Request-Redirect',
  ...['Subject', 'Id', 'Name', 'Email', 'Groups', 'Roles', 'Claim-Groups', 'Claim-Email', 'Claim-Sub'].map(
    (name) => `X-User-${name}`,
  ),
  'X-Flytegate-Assertion',
  ...['Data', 'Identity', 'Accesstoken'].map((name) => `X-Amzn-Oidc-${name}`),
  ...['User', 'Email', 'Groups', 'Preferred-Username', 'Access-Token'].map((name) => `X-Forwarded-${name}`),
  ...['For', 'Proto', 'Host', 'Port', 'Prefix', 'Server', 'Uri', 'Method'].map((name) => `X-Forwarded-${name}`),
  ...['User', 'Url', 'Uri', 'Method', 'Host'].map((name) => `X-Original-${name}`),
  ...['X-Real-IP', 'Forwarded', 'X-Rewrite-Url', 'X-Remote-User', 'Remote-User', 'X-Webauth-User'],
  'Proxy-Authorization',
];

describe('a caller behind nginx who says who they are', { skip: program.skip }, () => {
  let rig: FakeRig;
  let front: Nginx;
  let upstream: EchoUpstream;
  let cookie: string;
  before(async () => {
    ({ rig, front, upstream } = await startEchoBehindNginx(program.path));
    ({ cookie } = await rig.signIn());
  });
  const arrivedWith = async (fields: string) => {
    const arrived = upstream.next();
    const { port } = new URL(front.url);
    const head = `GET /api HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n${fields}\r\n\r\n`;
    assert.match(await exchangeRaw({ host: '127.0.0.1', port: Number(port) }, head), /^HTTP\/1\.1 200 /);
    return arrived;
  };

  for (const [spelling, spelt] of [
    ['plain', (name: string) => name],
    ['in lower case', (name: string) => name.toLowerCase()],
    ['with _ for -', (name: string) => name.replaceAll('-', '_')],
    ['with . for -', (name: string) => name.replaceAll('-', '.')],
  ] as const)
    it(`is not believed, ${spelling}`, async () => {
      const forged = names.filter((name) => spelt(name) !== name || spelling === 'plain');
      const lines = forged.map((name) => `${spelt(name)}: root`).join('\r\n');
      const received = await arrivedWith(`Cookie: ${cookie}\r\n${lines}`);
      assertOnlyAda(received);
    });

  it('is not believed twice over', async () => {
    const twice =
      'X-Auth-Request-User: root\r\nX-Auth-Request-User: root\r\nX-User-Subject: root\r\nX-User-Subject: root';
    assertOnlyAda(await arrivedWith(`Cookie: ${cookie}\r\n${twice}`));
  });

  it('is not believed in gRPC', async () => {
    const arrived = upstream.next();
    const forged = Object.fromEntries(names.map((name) => [name.toLowerCase(), 'root']));
    await callOverHttp2(front.grpcUrl, '/flyteidl.service.AdminService/ListProjects', { ...forged, cookie });
    assertOnlyAda(await arrived);
  });

  it('brings no credential to a service, proved or not', async () => {
    const token = `Bearer ${await rig.provider.accessToken()}`;
    const besideCookie = `Cookie: ${cookie}\r\nAuthorization: Basic root\r\nProxy-Authorization: Basic root`;
    for (const fields of [`Authorization: ${token}`, `Flyte-Authorization: ${token}`, besideCookie]) {
      const received = await arrivedWith(fields);
      assertOnlyAda(received);
      assert.equal(valuesOf(received, /authorization$/i).length, 0);
    }
  });

  it('cannot choose the host that flytegate is asked under', async () => {
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const forged = { 'x-forwarded-host': 'evil.example', 'x-forwarded-for': '6.6.6.6', forwarded: 'for=6.6.6.6' };
    const before = upstream.requests.length;
    const path = '/flyteidl2.auth.IdentityService/UserInfo';
    const answer = await callOverHttp2(front.grpcUrl, path, { ...forged, authorization });
    // Under a host that is not its own it would be a service's to answer.
    assert.equal(answer['content-type'], 'application/grpc+proto');
    assert.equal(upstream.requests.length, before);
  });

  const session = () => cookie.split(/; ?/).find((pair) => pair.startsWith('__Host-flytegate=')) ?? '';
  for (const [what, sent, kept] of [
    ['first', 'SESSION; a=b', 'a=b'],
    ['last', 'a=b; SESSION', 'a=b'],
    ['in between, without spaces', 'a=b;SESSION;c=d', 'a=b;c=d'],
    [
      'with those of signing in',
      'a=b; __Host-flytegate-login-aaaaaaaa=x; SESSION; __Secure-flytegate-idt=1; c=d',
      'a=b; c=d',
    ],
    ['after a change of settings', 'flytegate=x; a=b; SESSION; flytegate-login-b=1; c=d; flytegate-idt=1', 'a=b; c=d'],
    [
      'beside look-alikes',
      'xflytegate=1; SESSION; flytegatex=2; a=flytegate=3',
      'xflytegate=1; flytegatex=2; a=flytegate=3',
    ],
    [
      'in more places than a browser puts them',
      'flytegate=1; a=1; SESSION; b=1; flytegate-idt=1; c=1; flytegate-login-x=1',
      undefined,
    ],
    ['alone', 'SESSION', undefined],
  ] as const)
    it(`keeps our cookies from services: ${what}`, async () => {
      const authorization = `Bearer ${await rig.provider.accessToken()}`;
      const received = await arrivedWith(
        `Cookie: ${sent.replace('SESSION', session())}\r\nAuthorization: ${authorization}`,
      );
      assert.deepEqual(valuesOf(received, /^cookie$/i), kept === undefined ? [] : [kept]);
    });

  it('meets the same list of names in both servers of the example', async () => {
    const conf = await readFile(new URL('../../config/nginx/flytegate.conf', import.meta.url), 'utf8');
    const cleared = (kind: string) =>
      [...conf.matchAll(new RegExp(`${kind}_set_header (X-\\S+|Forwarded|Remote-User|\\S*Authorization) ""`, 'g'))]
        .map((match) => match[1])
        .filter((name) => name !== 'X-Auth-Request-Redirect')
        .sort();
    assert.deepEqual(cleared('grpc'), cleared('proxy'));
    assert.ok(cleared('grpc').length > 40);
  });
});

function valuesOf({ fields }: Received, name: RegExp): string[] {
  return fields.filter((_, i) => i % 2 === 1 && name.test(fields[i - 1] ?? ''));
}

/** Nothing forged arrived, and who it is stands there once. */
function assertOnlyAda(received: Received): void {
  assert.deepEqual(
    valuesOf(received, /./).filter((value) => /root|6\.6\.6\.6|evil/.test(value)),
    [],
  );
  assert.deepEqual(valuesOf(received, /^x-auth-request-user$/i), ['ada']);
  assert.deepEqual(valuesOf(received, /^x-user-subject$/i), ['ada']);
}
