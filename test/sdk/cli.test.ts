import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify, stripVTControlCharacters } from 'node:util';
import { stringify } from 'yaml';
import { requireSdk } from '../sdk-environment.ts';
import { type SdkRig, startSdkRig } from './rig.ts';
import { clientEnv, makeHome } from './sdk-client.ts';

const sdk = requireSdk();
const run = 'from flyte.cli.main import main; main()';

describe('Flyte 2’s command line with its settings file', { skip: sdk.skip }, () => {
  let rig: SdkRig;
  before(async () => {
    rig = await startSdkRig();
  });
  const flyte = async (auth: object, files: Record<string, string>, ...argv: string[]) => {
    const home = await makeHome();
    for (const [name, text] of Object.entries(files)) await writeFile(join(home, name), text, { mode: 0o600 });
    const admin = { endpoint: `dns:///${rig.endpoint}`, caCertFilePath: rig.caFile, ...auth };
    const settings = join(home, 'config.yaml');
    await writeFile(settings, stringify({ admin, task: { project: 'flytesnacks', domain: 'development' } }));
    const args = ['-c', run, '--config', settings, ...argv];
    const { stdout } = await promisify(execFile)(sdk.path, args, { cwd: home, env: clientEnv(home), timeout: 60_000 });
    return stripVTControlCharacters(stdout);
  };

  it('signs in by a client secret in a file, and says who that is', async () => {
    const { id, secret } = rig.provider.clients.service;
    const auth = { authType: 'ClientSecret', clientId: id, clientSecretLocation: 'secret' };
    const said = await flyte(auth, { secret }, 'whoami');
    assert.match(said, /"subject": "flyte-service"/);
  });

  it('signs in by a command, and lists projects', async () => {
    const auth = { authType: 'ExternalCommand', command: ['echo', await rig.appToken()] };
    const said = await flyte(auth, {}, 'get', 'project');
    for (const name of ['flytesnacks', 'forecasts']) assert.match(said, new RegExp(name));
  });
});
