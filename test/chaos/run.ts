import { parseArgs } from 'node:util';
import { deployments, runChaos } from './chaos.ts';
import { describeViolation, type Ledger } from './ledger.ts';

// `npm run chaos -- --minutes N [--seed S]`: everything breaks for N minutes, a quarter of them with each deployment.

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run chaos -- [--minutes 10] [--seed 1]');
  process.exit(2);
}
// What it has started ends with it (`spawnBound`), however it ends.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => {
    console.log(`broken off by ${signal}, seed ${seed}`);
    process.exit(code);
  });

const begunAt = performance.now();
const names = deployments.map(({ store, revocations }) => `store ${store}, revocations ${revocations}`);
console.log(`seed ${seed}, ${minutes} minutes and what it takes to mend: ${names.join('; ')}`);
let violated = 0;
for (const [at, deployment] of deployments.entries()) {
  const forMs = (minutes * 60_000) / deployments.length;
  const say = (line: string) => console.log(`${elapsed()} [${at + 1} of ${deployments.length}] ${line}`);
  say(`begins: ${names[at]}`);
  const ledger = await runChaos({ seed: seed + at, deployment, gateways: 3, forMs, pace: 1, say });
  summarize(names[at] ?? '', ledger);
  violated += ledger.violations.length;
}
console.log(violated > 0 ? `VIOLATED ${violated} times, seed ${seed}` : `everything held, seed ${seed}`);
process.exit(violated > 0 ? 1 : 0);

/** Minutes and seconds since the start. */
function elapsed(): string {
  const seconds = Math.round((performance.now() - begunAt) / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
}

function summarize(name: string, ledger: Ledger): void {
  console.log(`\n== ${name}`);
  for (const [what, count] of [...ledger.counts].sort(([a], [b]) => a.localeCompare(b)))
    console.log(`${String(count).padStart(7)}  ${what}`);
  for (const violation of ledger.violations) console.log(describeViolation(violation));
  if (ledger.violations.length > 0) console.log(`what broke when:\n${ledger.story.join('\n')}`);
  console.log('');
}
