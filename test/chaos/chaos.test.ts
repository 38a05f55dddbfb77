import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redisProgram } from '../fakes/redis-server.ts';
import { deployments, runChaos } from './chaos.ts';

// The short form of `npm run chaos`: a schedule that is the same each time, with short outages.
describe('everything breaks for a few seconds', {
  skip: redisProgram.skip,
  timeout: 110_000,
  concurrency: true,
}, () => {
  for (const deployment of deployments.slice(0, 2))
    it(`and nobody is let in or out wrongly (store: ${deployment.store})`, async (test) => {
      const options = { seed: 7, deployment, gateways: 2, forMs: 6000, pace: 6 } as const;
      const ledger = await runChaos({ ...options, say: (line) => test.diagnostic(line) });
      assert.deepEqual(ledger.violations, [], ledger.story.join('\n'));
      assert.ok((ledger.counts.get('session 200') ?? 0) > 0, 'there was traffic');
      assert.ok((ledger.counts.get('signed out 401') ?? 0) > 0, 'and somebody signed out');
    });
});
