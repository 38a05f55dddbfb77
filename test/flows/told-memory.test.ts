import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { startEchoUpstream } from '../fakes/echo-upstream.ts';
import { ask } from './ask.ts';
import { endLater, startFakeRig } from './rig.ts';
import { upstreamsAt } from './told.ts';

describe('decisionCache.maxBytes', () => {
  it('holds with the assertions that are kept for people, as long as they are', async () => {
    const upstream = await startEchoUpstream();
    endLater(upstream.close);
    const names = ['one', 'two', 'three', 'four'];
    const rig = await startFakeRig({
      files: { 'secrets/assertion_key': makeAssertionKey() },
      settings: {
        ...upstreamsAt(upstream.url, { signed: { identityHeaders: ['assertion'] } }),
        'identityHeaders.claims': names,
        'decisionCache.maxBytes': '1MiB',
      },
    });
    const claims = Object.fromEntries(names.map((name) => [name, 'x'.repeat(950)]));
    const tokens = await Promise.all(
      Array.from({ length: 150 }, (_, at) => rig.provider.accessToken({ sub: `person-${at}`, ...claims })),
    );
    const visit = async (token: string) =>
      assert.equal((await rig.ask('/signed', { fields: { authorization: `Bearer ${token}` } })).status, 200);
    const hits = async () => {
      const { text } = await ask(`${rig.admin()}/metrics`);
      return Number(/flytegate_decisions_total\{outcome="hit"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    for (const token of tokens) await visit(token);
    const before = await hits();
    for (const token of tokens.reverse()) await visit(token);
    const remembered = (await hits()) - before;
    // Claims of 4 KB, an assertion of 6 KB, and what is around them.
    assert.ok(remembered >= 80 && remembered <= 105, `${remembered} people are remembered`);
  });
});
