import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';
import type { EchoUpstream } from '../fakes/echo-upstream.ts';
import type { Nginx } from '../fakes/nginx.ts';
import { requireProgram } from '../programs.ts';
import { ask } from './ask.ts';
import { startEchoBehindNginx } from './nginx-front.ts';
import type { FakeRig } from './rig.ts';

const program = requireProgram('nginx');

describe('the nginx snippet of the README', { skip: program.skip }, () => {
  let rig: FakeRig;
  let front: Nginx;
  let upstream: EchoUpstream;
  let cookie: string;
  before(async () => {
    ({ rig, front, upstream } = await startEchoBehindNginx(program.path, await siteOfReadme()));
    ({ cookie } = await rig.signIn('/login?redirect_url=/api/'));
  });
  /** What the service got for the question. */
  const arrived = async (path: string, fields: Record<string, string>, method = 'GET') => {
    const next = upstream.next();
    const body = method === 'GET' ? {} : { body: '{}' };
    assert.equal((await ask(front.url + path, { method, fields, ...body })).status, 200);
    return next;
  };

  it('lets a person and a service app through, and nobody else', async () => {
    await arrived('/api/v1/projects?a=1', { cookie });
    await arrived('/api/v1/projects', { 'flyte-authorization': `Bearer ${await rig.provider.accessToken()}` });
    const before = upstream.requests.length;
    for (const fields of [{}, { cookie: 'a=1' }, { authorization: 'Bearer bad' }, { host: 'other.example' }])
      assert.equal((await ask(`${front.url}/api/v1/projects`, { fields })).status, 401);
    assert.equal(upstream.requests.length, before);
  });

  it('says who it is by the check alone, and hands nothing on that only the gateway may see', async () => {
    const forged = {
      'x-auth-request-user': 'root',
      'x-user-subject': 'root',
      'x-user-claim-groups': 'root',
      'x-amzn-oidc-anything': 'root',
      forwarded: 'for=root',
      authorization: 'Basic root',
      'content-type': 'application/json',
    };
    const { fields, target, body } = await arrived('/api/v1/projects?a=1', { cookie, ...forged }, 'POST');
    assert.equal(target, '/api/v1/projects?a=1');
    assert.equal((await body).toString(), '{}');
    const { host } = new URL(front.url);
    assert.deepEqual(namesAndValues(fields), [
      'connection: close',
      'content-length: 2',
      'content-type: application/json',
      `host: ${host}`,
      'x-auth-request-user: ada',
    ]);
  });

  it('passes on the path that it matched', async () => {
    const { target } = await arrived('/admin%2f..%2fapi%2f%76%31', { cookie });
    assert.equal(target, '/api/v1');
  });

  it('keeps the pages of other sites out', async () => {
    const { origin } = new URL(front.url);
    await arrived('/api/', { cookie, origin }, 'POST');
    for (const foreign of ['https://evil.example', 'null', `${origin}.evil.example`, `x${origin}`]) {
      const answer = await ask(`${front.url}/api/`, {
        method: 'POST',
        fields: { cookie, origin: foreign },
        body: '{}',
      });
      assert.equal(answer.status, 403, foreign);
    }
  });

  it('hands a renewed session to the browser, whatever the service answers', async () => {
    rig.move(4.6 * 60_000);
    upstream.script({ kind: 'reply', status: 404 });
    const answer = await ask(`${front.url}/api/v1/projects`, { fields: { cookie } });
    upstream.script({ kind: 'echo' });
    assert.equal(answer.status, 404);
    assert.match(answer.one('set-cookie') ?? '', /^__Host-flytegate=eyJ/);
  });
});

/** The snippet as it is, in a server that can sign people in besides; its host is that of the test. */
async function siteOfReadme(): Promise<string> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const snippet = /```nginx\n(.*?)```/s.exec(readme)?.[1];
  if (snippet === undefined) throw new Error('README.md shows no nginx');
  return `
upstream flyte { server 127.0.0.1:8090; }
server {
  listen 8000;
  location ~ ^/(login|callback)$ { proxy_pass http://127.0.0.1:8080; proxy_set_header Host localhost:8000; }
  ${snippet.replaceAll('https://flyte\\.example\\.com', 'http://localhost:8000').replaceAll('flyte.example.com', 'localhost:8000')}
}`;
}

function namesAndValues(fields: readonly string[]): string[] {
  return fields.flatMap((name, i, all) => (i % 2 ? [] : [`${name.toLowerCase()}: ${all[i + 1]}`])).sort();
}
