import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

// A timer of Node.js holds 24 days; a longer one fires at once and says so on standard error. Callers of Flyte's own services,
// strangers among them, chose how long such timers were to run.

describe('a deadline that no timer can hold', () => {
  let rig: FakeRig;
  const warnings: string[] = [];
  const note = (warning: Error) => warnings.push(warning.name);
  before(async () => {
    process.on('warning', note);
    rig = await startFakeRig();
  });
  after(() => process.off('warning', note));

  for (const [name, type, body, times] of [
    ['connect-timeout-ms', 'application/json', '{}', ['9999999999', '2147483648']],
    ['grpc-timeout', 'application/grpc-web+proto', Buffer.alloc(5), ['99999999H', '99999999S']],
  ] as const)
    it(`ends no call and writes no warning: ${name}`, async () => {
      for (const time of times) {
        const fields = { 'content-type': type, 'connect-protocol-version': '1', [name]: time };
        const path = '/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata';
        const answer = await rig.ask(path, { method: 'POST', fields, body });
        assert.equal(answer.status, 200);
        assert.match(answer.text, /127\.0\.0\.1/);
      }
      assert.deepEqual(warnings, []);
    });
});
