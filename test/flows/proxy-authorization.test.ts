import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { type DemoRig, endLater, startDemoRig } from './rig.ts';

const mine = 'Bearer for-the-proxy-behind';

describe('Proxy-Authorization', () => {
  let rig: DemoRig;
  before(async () => {
    const plane = createControlPlane({ port: 0 });
    const url = await plane.start();
    endLater(plane.stop);
    const h2c = url.replace('http:', 'h2c:');
    rig = await startDemoRig({
      upstream: url,
      settings: {
        upstreams: {
          plain: { url },
          pass: { url, proxyAuthorization: 'pass' },
          'pass-h2': { url: h2c, proxyAuthorization: 'pass' },
        },
        routes: [
          { host: 'localhost', path: '/api/v1/whoami', upstream: 'plain' },
          { host: 'one.test', path: '/', upstream: 'pass' },
          { host: 'two.test', path: '/', upstream: 'pass-h2' },
        ],
      },
    });
  });
  const heard = async (fields: Record<string, string>) => {
    const answer = await rig.ask('/api/v1/whoami', { fields: { 'proxy-authorization': mine, ...fields } });
    return answer.status === 200 ? Object(answer.json()['headers'])['proxy-authorization'] : answer.status;
  };

  it('goes to an upstream that asks for it, as it came, and to no other one', async () => {
    const authorization = `Bearer ${await rig.appToken()}`;
    assert.equal(await heard({ authorization, host: 'one.test' }), mine);
    assert.equal(await heard({ authorization, host: 'two.test' }), mine);
    assert.equal(await heard({ authorization }), undefined);
  });

  it('gets nobody in there, either', async () => {
    const proxy = `Bearer ${await rig.appToken()}`;
    for (const host of ['one.test', 'two.test']) assert.equal(await heard({ host, 'proxy-authorization': proxy }), 401);
  });
});
