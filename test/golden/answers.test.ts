import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';
import { callers } from './callers.ts';
import { describeAnswer } from './describe-answer.ts';

// What every kind of caller hears, as it was recorded: `node --import tsx test/golden/answers.test.ts --record` records it
// anew, and the difference in git is what to look at.
const isRecording = process.argv.includes('--record');
const folder = new URL('recorded/', import.meta.url);
const fileOf = (caller: string) => new URL(`${caller}.txt`, folder);

interface Outcome {
  readonly rig: FakeRig;
  readonly fields: (caller: string) => Readonly<Record<string, string>>;
}

describe('what callers hear', () => {
  let outcomes: Readonly<Record<string, Outcome>>;
  let token: string;
  let cookie: string;
  before(async () => {
    // One for each outcome: references, which grow by number, stay of one length.
    const [allowing, refusing, lost] = [await startFakeRig(), await startFakeRig(), await startLost()];
    token = await allowing.provider.accessToken();
    ({ cookie } = await allowing.signIn());
    const narrow = await refusing.provider.accessToken({ scope: 'read' });
    const unproved = await lost.provider.accessToken();
    const bearer = (value: string) => ({ 'flyte-authorization': `Bearer ${value}` });
    outcomes = {
      allow: { rig: allowing, fields: (caller) => (caller === 'navigation' ? { cookie } : bearer(token)) },
      'sign in': { rig: refusing, fields: () => ({}) },
      deny: { rig: refusing, fields: () => bearer(narrow) },
      'could not tell': { rig: lost, fields: () => bearer(unproved) },
    };
  });

  for (const [caller, call] of Object.entries(callers)) {
    it(`${caller}: allow, sign in, deny, could not tell`, async () => {
      const sections: string[] = [];
      for (const [outcome, { rig, fields }] of Object.entries(outcomes)) {
        const answer = await call(`http://127.0.0.1:${rig.port}`, fields(caller));
        const names = { '<port>': String(rig.port), '<upstream>': new URL(rig.upstream).port, '<token>': token };
        sections.push(`=== ${outcome}\n${describeAnswer(answer, names)}\n`);
      }
      const found = sections.join('\n');
      if (isRecording) await writeFile(fileOf(caller), found);
      else assert.equal(found, await readFile(fileOf(caller), 'utf8'));
    });
  }
});

describe('the recorded answers', () => {
  it('are those of every caller, and of no other', async () => {
    const files = await readdir(folder);
    assert.deepEqual(
      files.sort(),
      Object.keys(callers)
        .map((caller) => `${caller}.txt`)
        .sort(),
    );
  });

  for (const caller of Object.keys(callers))
    it(`hold no token, and never tell ${caller} in an outage what makes Flyte's SDK throw its credentials away`, async () => {
      const text = await readFile(fileOf(caller), 'utf8');
      assert.doesNotMatch(text, /eyJ[\w-]{10}/);
      const [, outage = ''] = text.split('=== could not tell\n');
      assert.match(outage, /^(503|200)\n/);
      assert.doesNotMatch(outage, /unauthori[sz]ed|unauthenticated/i);
    });
});

/** Its provider is gone before anything of it was remembered. */
async function startLost(): Promise<FakeRig> {
  const rig = await startFakeRig({ settings: { 'auth.appAuth.externalAuthServer.retryDelay': '0s' } });
  await rig.provider.stop();
  await rig.restart();
  return rig;
}
