import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Coordination } from '../../src/oidc/coordination.ts';
import type { Session } from '../../src/session/session.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { createRig, createVisitor, type Rig, sessionOf, signIn } from '../oidc/rig.ts';

/** What stands behind the replicas of one test. */
export interface Replication {
  readonly coordinations: readonly Coordination[];
  close(): void;
}

/**
 * What renewing a session promises, however many processes do it.
 *
 * @param make one coordination for each process; what they share begins empty
 */
export function describeRenewal(name: string, make: () => Promise<Replication>, skip: string | false = false): void {
  describe(`renewal in ${name}`, { skip, timeout: 60_000 }, () => {
    let provider: FakeProvider;
    let replication: Replication;
    let replicas: Rig[];
    let session: Session;
    before(async () => {
      provider = await startProvider({ now: () => first().now() });
    });
    after(() => provider.stop());
    const first = () => replicas[0] ?? assert.fail();
    const last = () => replicas.at(-1) ?? assert.fail();
    beforeEach(async () => {
      for (const asked of ['token', 'userinfo'] as const) delete provider.behaviour.answers[asked];
      replication = await make();
      replicas = replication.coordinations.map((coordination) => createRig(provider.issuer, { coordination }));
      const visitor = createVisitor();
      await signIn(first(), visitor);
      session = await sessionOf(first(), visitor);
      move(290_000);
    });
    afterEach(async () => {
      for (const { close } of replicas) await close();
      replication.close();
    });
    const move = (ms: number) => {
      for (const { advance } of replicas) advance(ms);
    };
    const everywhere = (count: number, of = session) =>
      Array.from({ length: count }, (_, at) => (replicas[at % replicas.length] ?? assert.fail()).renewer.renew(of));
    const renewed = async (renewing: ReturnType<Rig['renewer']['renew']>): Promise<Session> => {
      const renewal = await renewing;
      return renewal.kind === 'renewed' ? renewal.session : assert.fail(`it was ${renewal.kind}`);
    };

    it('makes one token call for a thousand requests at once and for stragglers, however slow the provider', async () => {
      const asked = provider.calls.token;
      const release = provider.hold('token');
      const early = everywhere(500);
      await provider.whenAsked('token', asked + 1);
      const late = everywhere(500);
      release();
      const sessions = await Promise.all([...early, ...late].map(renewed));
      const stragglers = await Promise.all(everywhere(100).map(renewed));
      assert.equal(new Set([...sessions, ...stragglers].map(({ refreshToken }) => refreshToken)).size, 1);
      assert.equal(provider.calls.token, asked + 1);
    });

    it('goes on from replica to replica, and never spends a token twice', async () => {
      const asked = provider.calls.token;
      let newest = session;
      for (let turn = 1; turn <= 6; turn++) {
        const replica = replicas[turn % replicas.length] ?? assert.fail();
        newest = await renewed(replica.renewer.renew(newest));
        assert.equal(provider.calls.token, asked + turn);
        move(290_000);
      }
      const spent = provider.tokenRequests.slice(-6).map((asking) => asking.get('refresh_token'));
      assert.equal(new Set(spent).size, 6);
    });

    it('goes on with one refresh token for good where the provider gives no other', async () => {
      const tokens = { access_token: 'a', token_type: 'Bearer', expires_in: 300 };
      provider.behaviour.answers.token = { status: 200, body: JSON.stringify(tokens) };
      const asked = provider.calls.token;
      let newest = session;
      for (let turn = 1; turn <= 6; turn++) {
        const replica = replicas[turn % replicas.length] ?? assert.fail();
        const next = await renewed(replica.renewer.renew(newest));
        assert.ok(next.accessExpiresAt >= newest.accessExpiresAt + 280_000, `turn ${turn}`);
        for (const one of await Promise.all(everywhere(6, newest)))
          assert.equal(one.kind === 'renewed' && one.session.accessExpiresAt, next.accessExpiresAt, 'for stragglers');
        newest = next;
        assert.equal(provider.calls.token, asked + turn);
        move(290_000);
      }
    });

    it('renews sessions beside one another', async () => {
      const visitor = createVisitor();
      await signIn(first(), visitor);
      const other = await sessionOf(first(), visitor);
      const [one, two] = await Promise.all([last().renewer.renew(session), last().renewer.renew(other)].map(renewed));
      assert.notEqual(one?.refreshToken, two?.refreshToken);
    });

    it('is refused everywhere when the provider said invalid_grant once', async () => {
      provider.behaviour.answers.token = { status: 400, body: '{"error":"invalid_grant"}' };
      const asked = provider.calls.token;
      for (const renewal of await Promise.all(everywhere(30))) assert.deepEqual(renewal, { kind: 'refused' });
      assert.equal(provider.calls.token, asked + 1);
    });

    it('fails without ending anything while the provider is down, and is made up for afterwards', async () => {
      provider.behaviour.answers.token = { status: 503 };
      const asked = provider.calls.token;
      for (const renewal of await Promise.all(everywhere(30))) assert.equal(renewal.kind, 'failed');
      assert.ok(provider.calls.token <= asked + replicas.length);
      delete provider.behaviour.answers.token;
      move(6000);
      // What failed elsewhere stands for a second.
      let renewal = await last().renewer.renew(session);
      while (renewal.kind === 'failed') {
        move(6000);
        renewal = await last().renewer.renew(session);
      }
      assert.equal(renewal.kind, 'renewed');
    });

    it('hands no session to another that carries the same refresh token', async () => {
      await renewed(first().renewer.renew(session));
      const thief = { ...session, id: 'another-id-of-22-chars' };
      for (const renewal of await Promise.all(everywhere(replicas.length, thief)))
        assert.deepEqual(renewal, { kind: 'refused' });
    });

    it('tells sign-out the newest refresh token, wherever that came to be', async () => {
      const second = await renewed(first().renewer.renew(session));
      assert.equal((await last().renewer.latest(session)).refreshToken, second.refreshToken);
      const unknown = { ...session, refreshToken: 'unknown' };
      assert.deepEqual(await last().renewer.latest(unknown), unknown);
    });

    it('is waited for when the process ends', async () => {
      const asked = provider.calls.token;
      const release = provider.hold('token');
      void first().renewer.renew(session);
      await provider.whenAsked('token', asked + 1);
      let isSettled = false;
      const settled = first()
        .renewer.settled()
        .then(() => {
          isSettled = true;
        });
      await new Promise(setImmediate);
      assert.equal(isSettled, false);
      release();
      await settled;
      assert.notEqual((await first().renewer.latest(session)).refreshToken, session.refreshToken);
    });
  });
}
