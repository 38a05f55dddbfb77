import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { longestReturnTo, returnTo } from '../../src/oidc/return-to.ts';

const origin = 'https://flyte.example.com';
const origins = [origin, 'https://console.example.com:8443', 'http://127.0.0.1:8080'];
const authorized = (one: string) => origins.includes(one);

describe('where a browser may be sent', () => {
  const allowed: readonly (readonly [string, string])[] = [
    ['/', `${origin}/`],
    ['/console/projects?x=1&next=%2Ffoo#top', `${origin}/console/projects?x=1&next=%2Ffoo#top`],
    ['/a%20b/%E9%A0%85', `${origin}/a%20b/%E9%A0%85`],
    ['/a//b', `${origin}/a//b`],
    ['/files/a%2Fb', `${origin}/files/a%2Fb`],
    ['/console?q=a\'b"c<d>{e}|f', `${origin}/console?q=a'b"c<d>{e}|f`],
    ['/100%', `${origin}/100%`],
    ['/.well-known/x', `${origin}/.well-known/x`],
    ['https://flyte.example.com', `${origin}/`],
    ['https://flyte.example.com?x=1', `${origin}/?x=1`],
    ['HTTPS://FLYTE.example.com:443/A', `${origin}/A`],
    [
      'https://console.example.com:8443/x?y=https://evil.test/',
      'https://console.example.com:8443/x?y=https://evil.test/',
    ],
    ['http://127.0.0.1:8080/x', 'http://127.0.0.1:8080/x'],
  ];
  for (const [value, to] of allowed) {
    it(`allows ${value}`, () => assert.deepEqual(returnTo(value, origin, authorized), { kind: 'allowed', to }));
  }

  it('tells a place that is only too long from one that is refused', () => {
    const fitting = `/${'a'.repeat(longestReturnTo - origin.length - 1)}`;
    assert.equal(returnTo(fitting, origin, authorized).kind, 'allowed');
    assert.equal(returnTo(`${fitting}a`, origin, authorized).kind, 'too-long');
    assert.equal(returnTo(`https://evil.test${fitting}`, origin, authorized).kind, 'refused');
    assert.equal(returnTo(`//evil.test${fitting}`, origin, authorized).kind, 'refused');
    assert.equal(returnTo(`${origin}:443${fitting}`, origin, authorized).kind, 'too-long');
  });

  it('costs no more for a megabyte than for the longest place', () => {
    const cost = (value: string) => {
      const before = process.cpuUsage();
      for (let round = 0; round < 200; round += 1) returnTo(value, origin, authorized);
      return process.cpuUsage(before).user;
    };
    const piece = '%252525';
    const longest = `/${piece.repeat(140)}`;
    cost(longest);
    const [few, many] = [cost(longest), cost(`/${piece.repeat(150_000)}`)];
    // To read it all would cost a thousand times as much.
    assert.ok(many < 20 * few + 50_000, `${few} µs, ${many} µs`);
  });
});
