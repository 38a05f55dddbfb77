import { parseArgs } from 'node:util';
import { deployments, runChaos } from './chaos.ts';
import type { Ledger } from './ledger.ts';

// `npm run chaos -- --minutes N [--seed S]`: everything breaks for N minutes, a quarter of them with each deployment.

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run chaos -- [--minutes 10] [--seed 1]');
  process.exit(2);
}
console.log(`seed ${seed}, ${minutes} minutes`);
let isViolated = false;
for (const [at, deployment] of deployments.entries()) {
  const forMs = (minutes * 60_000) / deployments.length;
  const name = `${deployment.store}, revocations ${deployment.revocations}`;
  const ledger = await runChaos({ seed: seed + at, deployment, gateways: 3, forMs, pace: 1, say: console.log });
  summarize(name, ledger);
  isViolated ||= ledger.violations.length > 0;
}
console.log(isViolated ? `VIOLATED, seed ${seed}` : `everything held, seed ${seed}`);
process.exit(isViolated ? 1 : 0);

function summarize(name: string, ledger: Ledger): void {
  console.log(`\n== ${name}`);
  for (const [what, count] of [...ledger.counts].sort(([a], [b]) => a.localeCompare(b)))
    console.log(`${count}\t${what}`);
  for (const { invariant, atMs, facts, broken } of ledger.violations)
    console.log(
      `VIOLATED at ${(atMs / 1000).toFixed(1)} s: ${invariant} ${JSON.stringify(facts)} while ${broken.join(', ') || 'all was well'}`,
    );
  if (ledger.violations.length > 0) console.log(`what broke when:\n${ledger.story.join('\n')}`);
}
