import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startFakeRig } from '../flows/rig.ts';
import { requireProgram } from '../programs.ts';

const core = requireProgram('grpc');

describe('gRPC’s C core, which Flyte 1’s SDK is built on', { skip: core.skip }, () => {
  it('finds out where to sign in without a credential, and who it is with one', async () => {
    const rig = await startFakeRig();
    const token = await rig.provider.accessToken();
    const { stdout } = await promisify(execFile)(core.path, ['-c', client, `localhost:${rig.port}`, token], {
      timeout: 30_000,
    });
    const { metadata, config, person, stranger, unknown } = JSON.parse(stdout);
    assert.ok(metadata.includes(rig.issuer));
    assert.ok(config.includes('http://localhost:53593/callback'));
    assert.ok(person.startsWith('\n\u0003ada'), 'field 1 is the subject');
    assert.ok(person.includes('Ada Lovelace'));
    assert.deepEqual([stranger, unknown], ['UNAUTHENTICATED', 'UNIMPLEMENTED']);
  });
});

const client = `
import grpc, json, sys
target, token = sys.argv[1:3]
channel = grpc.insecure_channel(target)
def call(path, metadata=()):
  return channel.unary_unary('/flyteidl.service.' + path)(b'', metadata=metadata, timeout=20).decode('latin1')
def code(path):
  try:
    call(path)
  except grpc.RpcError as error:
    return error.code().name
print(json.dumps({
  'metadata': call('AuthMetadataService/GetOAuth2Metadata'),
  'config': call('AuthMetadataService/GetPublicClientConfig'),
  'person': call('IdentityService/UserInfo', [('flyte-authorization', 'Bearer ' + token)]),
  'stranger': code('IdentityService/UserInfo'),
  'unknown': code('IdentityService/Nothing'),
}))
`;
