import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { fingerprint } from '../../src/config/fingerprint.ts';
import { loadConfig } from '../../src/config/load.ts';
import { decodeConfig, encodeConfig } from '../../src/workers/wire-config.ts';
import { leastSettings, makeSettingsFolder } from '../config/settings-folder.ts';

const undo: (() => Promise<void>)[] = [];
after(async () => {
  for (const one of undo) await one();
});

describe('Settings on their way to a worker', () => {
  it('arrive as they were, secrets included, which print themselves no more than before', async () => {
    const folder = await makeSettingsFolder(leastSettings);
    undo.push(folder.remove);
    const loaded = await loadConfig(folder.file);
    assert.ok(loaded.kind === 'config');
    const arrived = decodeConfig(encodeConfig(loaded.config));
    assert.equal(fingerprint(arrived), fingerprint(loaded.config));
    assert.deepEqual(arrived.cookieKeys[0]?.hash.reveal(), loaded.config.cookieKeys[0]?.hash.reveal());
    assert.ok(!inspect(arrived, { depth: 9 }).includes('correct horse'));
    assert.ok(Object.isFrozen(arrived) && Object.isFrozen(arrived.server.limits) && Object.isFrozen(arrived.routes));
  });
});
