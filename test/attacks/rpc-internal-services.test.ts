import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

// A stock Flyte 2 serves what its own parts tell each other (states of runs, cached results) on the port that clients come
// to, and authorises nobody there. With a route for the whole package, whoever signed in could write into anybody's runs.

const internal = [
  '/flyteidl2.workflow.InternalRunService/RecordAction',
  '/flyteidl2.workflow.InternalRunService/UpdateActionStatus',
  '/flyteidl2.workflow.EventsProxyService/Record',
  '/flyteidl2.cacheservice.CacheService/Put',
  '/flyteidl2.cacheservice.v2.CacheService/Put',
] as const;

describe('services by which the parts of Flyte 2 talk to each other', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let authorization: string;
  const start = (settings: Record<string, unknown> = {}) =>
    startFakeRig({
      files: { 'secrets/assertion_key': makeAssertionKey() },
      settings: { preset: 'flyte2', upstreams: { flyte2: { url: upstream.url } }, routes: null, ...settings },
    });
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await start();
    authorization = `Bearer ${await rig.provider.accessToken()}`;
  });

  for (const path of internal)
    it(`are reached by nobody: ${path}`, async () => {
      const spellings = [path, path.replace('I', '%49').replace('C', '%43').replace('E', '%45'), `${path};a=b`];
      for (const spelling of spellings)
        for (const fields of [{ authorization }, {}]) {
          const type = { 'content-type': 'application/proto', 'connect-protocol-version': '1' };
          const answer = await rig.ask(spelling, { method: 'POST', fields: { ...type, ...fields }, body: '' });
          assert.ok([400, 404].includes(answer.status), `${answer.status} ${spelling}`);
        }
      assert.equal(upstream.requests.length, 0);
    });

  it('are an operator’s to open, by a route of their own', async () => {
    const path = '/flyteidl2.workflow.EventsProxyService';
    const open = await start({ routes: [{ path, upstream: 'flyte2' }] });
    const fields = { authorization: `Bearer ${await open.provider.accessToken()}` };
    assert.equal((await open.ask(`${path}/Record`, { fields })).status, 200);
  });

  it('keep nobody from the services that clients call', async () => {
    for (const path of ['/flyteidl2.workflow.RunService/CreateRun', '/flyteidl2.task.TaskService/GetTaskDetails'])
      assert.equal((await rig.ask(path, { fields: { authorization } })).status, 200);
  });
});
