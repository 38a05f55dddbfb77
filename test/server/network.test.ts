import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { networkOf } from '../../src/server/network.ts';

describe('the network of an address', () => {
  for (const [address, network] of [
    ['10.0.0.1', '10.0.0.1'],
    ['', ''],
    ['2001:db8:0:1:2:3:4:5', '2001:db8:0:1'],
    ['2001:0DB8:0000:0001::5', '2001:db8:0:1'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['1:2:3::192.0.2.1', '1:2:3:0'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['::192.0.2.1', '0:0:0:0'],
  ] as const)
    it(`${address || 'nobody'} is in ${network || 'nobody’s'}`, () => assert.equal(networkOf(address), network));
});
