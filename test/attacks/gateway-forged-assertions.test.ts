import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { SignJWT } from 'jose';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { type EchoUpstream, type Received, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { upstreamsAt } from '../flows/told.ts';
import { exchangeRaw } from '../server/raw-connection.ts';

/** A stranger's own assertion: everything right but the key. */
async function forge(iss: string): Promise<string> {
  const key = createPrivateKey(makeAssertionKey());
  const claims = { iss, aud: 'asserted', sub: 'root', email: 'root@example.com' };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).setIssuedAt().setExpirationTime('5m').sign(key);
}

const names = [
  'X-Flytegate-Assertion',
  'x-flytegate-assertion',
  'X_Flytegate_Assertion',
  'X-Flytegate_Assertion',
  'X.Flytegate.Assertion',
  'X-Flytegate-Anything',
  'X-Amzn-Oidc-Data',
  'X_AMZN_OIDC_DATA',
  'X-Amzn-Oidc-Identity',
  'X-Amzn.Oidc.Identity',
  'X-Amzn-Oidc-Accesstoken',
] as const;

// Whichever modes are on, the other ones' headers are as dangerous: the service behind may read them.
const modes = {
  usual: {},
  balancer: { identityHeaders: ['alb'] },
  asserted: { identityHeaders: ['assertion'] },
  silent: { identityHeaders: [], upstreamAuthorization: 'none' },
  open: {},
} as const;

describe('a caller with an assertion of their own', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let cookie: string;
  let forged: string;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    const { upstreams, routes } = upstreamsAt(upstream.url, modes);
    rig = await startFakeRig({
      files: { 'secrets/assertion_key': makeAssertionKey() },
      settings: {
        upstreams,
        routes: routes.map((one) => ({ ...one, access: one.path === '/open' ? 'public' : 'authenticated' })),
      },
    });
    ({ cookie } = await rig.signIn('/usual'));
    forged = await forge(rig.url);
  });
  const at = () => ({ host: '127.0.0.1', port: rig.port });
  const head = (method: string, name: string, fields: string) =>
    `${method} /${name} HTTP/1.1\r\nHost: localhost:${rig.port}\r\nCookie: ${cookie}\r\nOrigin: ${rig.url}\r\n${fields}\r\n`;
  const isGone = ({ fields, trailers }: Received) =>
    assert.ok(![...fields, ...trailers()].some((part) => part.includes(forged)), 'the forged assertion arrived');

  for (const name of Object.keys(modes)) {
    for (const header of names)
      it(`is not believed at the upstream "${name}": ${header}`, async () => {
        const once = `${header}: ${forged}\r\n`;
        for (const fields of [
          `Connection: close\r\n${once}`,
          `Connection: close\r\n${once}${once}`,
          `Connection: close, ${header}, X-Flytegate-Assertion, X-Amzn-Oidc-Data\r\n${once}`,
        ]) {
          const arriving = upstream.next();
          const answered = exchangeRaw(at(), head('GET', name, fields));
          const arrived = await arriving;
          isGone(arrived);
          assert.deepEqual(ownOf(arrived), expectedAt(name));
          await answered;
        }
      });

    it(`is not believed in trailers at the upstream "${name}"`, async () => {
      const arriving = upstream.next();
      const trailers = names.map((header) => `${header}: ${forged}\r\n`).join('');
      const fields = `Transfer-Encoding: chunked\r\nTrailer: X-Flytegate-Assertion\r\nConnection: close\r\n`;
      await exchangeRaw(at(), `${head('POST', name, fields)}1\r\na\r\n0\r\n${trailers}\r\n`);
      const arrived = await arriving;
      await arrived.body;
      isGone(arrived);
    });

    it(`is not believed over HTTP/2 at the upstream "${name}"`, async () => {
      const session = connectHttp2(`http://127.0.0.1:${rig.port}`);
      const spoofs = Object.fromEntries(names.map((header) => [header.toLowerCase(), forged]));
      const arriving = upstream.next();
      const asked = { ...spoofs, ':path': `/${name}`, ':authority': `localhost:${rig.port}`, cookie };
      const [answer] = await once(session.request(asked), 'response');
      assert.equal(answer[':status'], 200);
      session.destroy();
      const arrived = await arriving;
      isGone(arrived);
      assert.deepEqual(ownOf(arrived), expectedAt(name));
    });
  }
});

/** Names of the headers that only we may set and that arrived. */
function ownOf({ fields }: Received): readonly string[] {
  const arrived = fields.filter((name, i) => i % 2 === 0 && /^x[-_.](amzn|flytegate|user|auth)/i.test(name));
  return arrived.map((name) => name.toLowerCase()).sort();
}

function expectedAt(name: string): readonly string[] {
  switch (name) {
    case 'usual':
      return ['x-auth-request-email', 'x-auth-request-preferred-username', 'x-auth-request-user', 'x-user-subject'];
    case 'balancer':
      return ['x-amzn-oidc-data', 'x-amzn-oidc-identity'];
    case 'asserted':
      return ['x-flytegate-assertion'];
    default:
      return [];
  }
}
