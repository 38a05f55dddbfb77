import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireSdk } from '../sdk-environment.ts';
import { startSdkRig } from './rig.ts';
import { startSdk } from './sdk-client.ts';

const sdk = requireSdk();

describe('Flyte 2’s SDK watching a run', { skip: sdk.skip }, () => {
  it('watches on when the gateway is replaced in between, and takes no end of a stream for the run’s', async () => {
    const rig = await startSdkRig({ tickMs: 500 });
    const { id, secret } = rig.provider.clients.service;
    const settings = {
      ...{ endpoint: rig.endpoint, ca_cert_file_path: rig.caFile, auth_type: 'ClientSecret' },
      ...{ client_id: id, client_credentials_secret: secret },
    };
    const client = await startSdk({ program: 'flyte2_client.py', settings });
    const arrival = rig.arrival('/WatchActionDetails');
    const watched = client.call('watch');
    await arrival;
    await rig.restart();
    const outcome = await watched;
    const phases = 'result' in outcome && Array.isArray(outcome.result) ? outcome.result : [outcome];
    // Of the first stream it saw the beginning or nothing; the second one is whole.
    assert.deepEqual(phases.slice(-3), ['queued', 'running', 'succeeded']);
    assert.ok(phases.length <= 4);
    assert.equal(rig.reached.filter(({ path }) => path.endsWith('/WatchActionDetails')).length, 2);
  });
});
