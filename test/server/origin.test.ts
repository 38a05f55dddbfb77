import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createClientOf, createOrigins } from '../../src/server/origin.ts';
import { Fields, type RequestHead } from '../../src/server/request-head.ts';

function headFrom(peer: string, fields: readonly string[] = [], more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    target: '/',
    authority: 'Own.test:8080',
    version: '1.1',
    encrypted: false,
    peer,
    fields: new Fields(fields),
    ...more,
  };
}

describe('who sent a request', () => {
  const forwarded = ['X-Forwarded-For', '1.1.1.1', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'Other.test'];

  it('is the peer, whatever it says, when no proxy is trusted', () => {
    assert.deepEqual(createClientOf([])(headFrom('127.0.0.1', forwarded)), {
      address: '127.0.0.1',
      scheme: 'http',
      host: 'own.test:8080',
      trusted: false,
    });
  });

  it('is the peer, whatever it says, when it is no trusted proxy', () => {
    const clientOf = createClientOf(['10.0.0.0/8', 'fd00::/8']);
    for (const peer of ['11.0.0.1', '::1', 'fe80::1', '', '::ffff:11.0.0.1', '1.1.1.1']) {
      const client = clientOf(headFrom(peer, forwarded, { encrypted: true }));
      assert.equal(client.trusted, false);
      assert.equal(client.host, 'own.test:8080');
      assert.equal(client.scheme, 'https');
      assert.notEqual(client.address, forwarded[1] === peer ? '' : forwarded[1]);
    }
  });

  it('is whom a trusted proxy names, with scheme and host', () => {
    const clientOf = createClientOf(['10.0.0.0/8', 'fd00::/8', '192.0.2.7']);
    for (const peer of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1', '192.0.2.7']) {
      assert.deepEqual(clientOf(headFrom(peer, forwarded)), {
        address: '1.1.1.1',
        scheme: 'https',
        host: 'other.test',
        trusted: true,
      });
    }
  });

  for (const [name, hops, address] of [
    ['what the client wrote itself stands left of the proxy’s word', ['6.6.6.6, 1.1.1.1'], '1.1.1.1'],
    ['a chain of trusted proxies is followed', ['6.6.6.6, 1.1.1.1, 10.0.0.2, 10.0.0.3'], '1.1.1.1'],
    ['over several fields', ['6.6.6.6, 1.1.1.1', '10.0.0.2'], '1.1.1.1'],
    ['a client inside the trusted network is itself', ['10.0.0.9, 10.0.0.2'], '10.0.0.9'],
    ['rubbish ends the chain', ['6.6.6.6, unknown, 10.0.0.2'], '10.0.0.2'],
    ['an empty word ends the chain', ['6.6.6.6,, 10.0.0.2'], '10.0.0.2'],
    ['rubbish alone is nobody', ['unknown'], '10.0.0.1'],
    ['an empty field is nobody', [''], '10.0.0.1'],
    ['ports are cut off', ['1.1.1.1:8080'], '1.1.1.1'],
    ['IPv6 with a port', ['[2001:db8::1]:443'], '2001:db8::1'],
    ['IPv6', ['2001:db8::1'], '2001:db8::1'],
    ['IPv4 in IPv6 is IPv4', ['::ffff:1.1.1.1'], '1.1.1.1'],
    ['an address that is none', ['1.1.1.999'], '10.0.0.1'],
    ['a flood of hops', [`6.6.6.6, ${'10.0.0.2, '.repeat(1000)}10.0.0.3`], '10.0.0.2'],
  ] as const) {
    it(`is worked out from the right: ${name}`, () => {
      const fields = hops.flatMap((hop) => ['x-forwarded-for', hop]);
      assert.equal(createClientOf(['10.0.0.0/8'])(headFrom('10.0.0.1', fields)).address, address);
    });
  }

  for (const [name, fields, scheme, host] of [
    ['empty fields say nothing', ['X-Forwarded-Proto', '', 'X-Forwarded-Host', ''], 'http', 'own.test:8080'],
    ['an unknown scheme says nothing', ['X-Forwarded-Proto', 'ftp'], 'http', 'own.test:8080'],
    [
      'the closest proxy’s word is the last',
      ['X-Forwarded-Proto', 'http, HTTPS', 'X-Forwarded-Host', 'evil.test, good.test'],
      'https',
      'good.test',
    ],
    ['also over several fields', ['X-Forwarded-Proto', 'http', 'x-forwarded-proto', 'https'], 'https', 'own.test:8080'],
    ['a host that is none says nothing', ['X-Forwarded-Host', 'good.test/evil'], 'http', 'own.test:8080'],
    ['a host with userinfo says nothing', ['X-Forwarded-Host', 'good.test@evil.test'], 'http', 'own.test:8080'],
  ] as const) {
    it(`a trusted proxy's scheme and host: ${name}`, () => {
      const client = createClientOf(['10.0.0.1'])(headFrom('10.0.0.1', fields));
      assert.deepEqual([client.scheme, client.host], [scheme, host]);
    });
  }

  it('has no host when it named none', () => {
    assert.equal(createClientOf([])(headFrom('1.1.1.1', [], { authority: undefined })).host, '');
  });

  for (const cidr of ['a.test', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0', '', '::/129', '10.0.0.0/x']) {
    it(`is not told by a list of proxies with "${cidr}" in it`, () => assert.throws(() => createClientOf([cidr])));
  }
});

describe('our own origins', () => {
  const origins = createOrigins([
    'https://flyte.test',
    'http://admin:80',
    'http://admin.flyte.svc:8080',
    'https://[::1]:8443',
    'http://flyte.test',
  ]);

  for (const [host, origin] of [
    ['flyte.test', 'https://flyte.test'],
    ['Flyte.Test', 'https://flyte.test'],
    ['flyte.test:443', 'https://flyte.test'],
    ['flyte.test:80', 'http://flyte.test'],
    ['flyte.test:8443', undefined],
    ['flyte.test.', undefined],
    ['evil.flyte.test', undefined],
    ['flyte.test.evil.test', undefined],
    ['admin', 'http://admin:80'],
    ['admin:80', 'http://admin:80'],
    ['admin:443', undefined],
    ['admin.flyte.svc', undefined],
    ['admin.flyte.svc:8080', 'http://admin.flyte.svc:8080'],
    ['[::1]:8443', 'https://[::1]:8443'],
    ['', undefined],
    ['constructor', undefined],
  ] as const) {
    it(`a Host "${host}" names ${origin ?? 'none'}`, () => assert.equal(origins.originFor(host), origin));
  }

  it('are compared as browsers write them', () => {
    for (const origin of ['https://flyte.test', 'http://flyte.test', 'http://admin', 'https://[::1]:8443'])
      assert.ok(origins.has(origin), origin);
    for (const origin of [
      'https://flyte.test/',
      'https://flyte.test:444',
      'http://evil.test',
      'null',
      '',
      'https://flyte.test.evil.test',
    ]) {
      assert.ok(!origins.has(origin), origin);
    }
  });
});
