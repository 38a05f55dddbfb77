import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOriginRefused } from '../../src/access/origin-check.ts';
import { Fields } from '../../src/server/request-head.ts';

const ours = new Set(['https://flyte.example.com', 'https://console.example.com']);
const refuses = (
  method: string,
  raw: readonly string[],
  more: { credential?: 'session' | 'bearer' | 'none'; ws?: true } = {},
) =>
  isOriginRefused(
    { method, isWebSocket: more.ws === true, fields: new Fields(raw) },
    more.credential ?? 'session',
    (origin) => ours.has(origin),
  );
const evil = ['Origin', 'https://evil.test'];

describe('a request with only a cookie', () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'get', ''])
    it(`is refused from a foreign page when its method is ${method || 'empty'}`, () =>
      assert.equal(refuses(method, evil), true));

  for (const method of ['GET', 'HEAD', 'OPTIONS'])
    it(`may be a ${method} from anywhere`, () => assert.equal(refuses(method, evil), false));

  it('is refused from a foreign page when it opens a WebSocket', () => {
    assert.equal(refuses('GET', evil, { ws: true }), true);
    assert.equal(refuses('GET', ['Sec-Fetch-Site', 'cross-site'], { ws: true }), true);
    assert.equal(refuses('GET', ['Origin', 'https://flyte.example.com'], { ws: true }), false);
  });

  for (const origin of ours)
    it(`may come from ${origin}`, () => assert.equal(refuses('POST', ['origin', origin]), false));

  for (const origin of [
    'null',
    '',
    'https://flyte.example.com.evil.test',
    'https://evil.test#https://flyte.example.com',
    'http://flyte.example.com',
    'https://flyte.example.com:8443',
    'https://flyte.example.com, https://evil.test',
  ])
    it(`may not come from ${JSON.stringify(origin)}`, () => assert.equal(refuses('POST', ['Origin', origin]), true));

  it('may not name two origins, though both are ours', () => {
    assert.equal(
      refuses(
        'POST',
        [...ours].flatMap((origin) => ['Origin', origin]),
      ),
      true,
    );
  });

  for (const site of ['same-origin', 'none'])
    it(`may be ${site} without an origin`, () => assert.equal(refuses('POST', ['Sec-Fetch-Site', site]), false));

  for (const site of ['cross-site', 'same-site', 'Same-Origin', ''])
    it(`may not be "${site}" without an origin`, () => assert.equal(refuses('POST', ['Sec-Fetch-Site', site]), true));

  it('goes by its origin when it says both', () => {
    assert.equal(refuses('POST', [...evil, 'Sec-Fetch-Site', 'same-origin']), true);
  });

  it('may say neither, as callers other than browsers do', () => assert.equal(refuses('POST', []), false));
});

it('A bearer token, and nothing at all, may come from any page', () => {
  assert.equal(refuses('POST', evil, { credential: 'bearer' }), false);
  assert.equal(refuses('POST', evil, { credential: 'none' }), false);
});
