import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createIdentityHeaders } from '../../src/access/identity-headers.ts';
import { createTell } from '../../src/access/tell.ts';
import type { Upstream } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import type { ForwardPlan } from '../../src/forward/plan.ts';
import { createHandle } from '../../src/handle.ts';
import type { Exchange } from '../../src/server/exchange.ts';
import { Fields } from '../../src/server/request-head.ts';
import { app } from '../access/fixtures.ts';
import { createRecordedLog } from '../authenticate/fixtures.ts';
import { usualTimes } from '../forward/front.ts';
import { createTestMetrics } from '../oidc/rig.ts';

const ways = ['verified', 'none', 'session-token', 'service-app'] as const;

/** What goes up for a bearer that was exchanged for another token, as an API key is. */
async function planFor(way: (typeof ways)[number]): Promise<ForwardPlan> {
  const { log } = createRecordedLog();
  const upstream: Upstream = {
    ...{ name: 'up', protocol: 'http', targets: [], connectTimeoutMs: 1, headersTimeoutMs: 1 },
    ...usualTimes,
    identityHeaders: [],
    upstreamAuthorization: way,
  };
  let plan: ForwardPlan | undefined;
  const handle = createHandle({
    clientOf: () => ({ address: '192.0.2.1', scheme: 'https', host: 'flyte.example.com', trusted: false }),
    apps: { has: () => false, originFor: () => undefined },
    origins: { has: () => true, originFor: () => undefined },
    findEndpoint: () => undefined,
    findRoute: () => ({ path: '/', upstream: 'up', access: 'authenticated' }),
    credentialNames: { flyteHeaders: ['flyte-authorization'], sessionCookie: 'session' },
    decisions: {
      decide: () => ({ kind: 'allow', identity: app(), until: 0, accessToken: new Secret('exchanged') }),
    },
    tell: createTell({
      upstreams: { up: upstream },
      identityHeaders: createIdentityHeaders({ claims: [], log }),
      assert: async () => assert.fail('nothing is to be signed'),
      serviceToken: () => 'ours',
      onKept: () => assert.fail('nothing is signed'),
      now: () => 0,
    }),
    forward: async (_exchange, made) => {
      plan = made;
      return { kind: 'abandoned' };
    },
    setSession: () => assert.fail('there is no session'),
    publicUrl: 'https://flyte.example.com',
    turnAway: () => assert.fail('nobody is turned away'),
    metrics: createTestMetrics(),
    endsBearersAtExpiry: false,
    requestLog: undefined,
  });
  await handle(exchange());
  return plan ?? assert.fail('nothing was forwarded');
}

function exchange(): Exchange {
  const raw = ['Host', 'flyte.example.com', 'Authorization', 'Bearer the-key', 'Flyte-Authorization', 'Bearer the-key'];
  const head = { method: 'GET', target: '/', authority: 'flyte.example.com', version: '1.1', encrypted: true } as const;
  return {
    head: { ...head, peer: '192.0.2.1', fields: new Fields(raw) },
    // Nothing here reads the wire: the forwarder is replaced.
    wire: { kind: 'http2' } as Exchange['wire'],
    connection: {},
    id: 'r1',
    startedAt: 0,
    isGone: false,
    send: () => assert.fail('nothing is answered'),
  };
}

describe('a credential that was exchanged for a token', () => {
  for (const [way, authorization] of [
    ['verified', undefined],
    ['none', undefined],
    ['session-token', 'exchanged'],
    ['service-app', 'ours'],
  ] as const)
    it(`never goes up itself, with upstreamAuthorization: ${way}`, async () => {
      const plan = await planFor(way);
      assert.deepEqual([plan.bearer, plan.authorization], [undefined, authorization]);
      assert.ok(!JSON.stringify(plan).includes('the-key'));
    });
});
