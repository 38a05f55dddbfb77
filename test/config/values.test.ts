import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meantWord } from '../../src/config/misspelt.ts';
import { refusalOfNode } from '../../src/config/node-version.ts';
import { isLoopback, parseNativeRedirect, parseOrigin } from '../../src/config/urls.ts';
import { parseAddress, parseDuration, parseHostPattern, parseNetwork, parseSize } from '../../src/config/values.ts';

type Parse = (text: string) => { readonly value: unknown } | { readonly wrong: string };

function reads(name: string, parse: Parse, table: readonly (readonly [string, unknown])[]): void {
  describe(name, () => {
    for (const [text, expected] of table) {
      it(expected === undefined ? `refuses "${text}"` : `reads "${text}" as ${JSON.stringify(expected)}`, () => {
        const result = parse(text);
        assert.deepEqual('value' in result ? result.value : undefined, expected);
      });
    }
  });
}

reads('parseDuration', parseDuration, [
  ['500ms', 500],
  ['90s', 90_000],
  ['15m', 900_000],
  ['8h', 28_800_000],
  ['7d', 604_800_000],
  ['1h30m', 5_400_000],
  ['1h0m0s', 3_600_000],
  ['1.5s', 1500],
  ['0s', 0],
  ['', undefined],
  ['8', undefined],
  ['-8h', undefined],
  ['8 h', undefined],
  ['8H', undefined],
  ['30m1h', undefined],
  ['1h1h', undefined],
  ['1e3s', undefined],
  ['Infinity', undefined],
]);

reads('parseSize', parseSize, [
  ['512B', 512],
  ['32KiB', 32_768],
  ['64MiB', 67_108_864],
  ['1GiB', 1_073_741_824],
  ['64MB', undefined],
  ['64', undefined],
  ['1.5MiB', undefined],
  ['constructor', undefined],
  ['1constructor', undefined],
]);

reads('parseAddress', parseAddress, [
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:9090', { host: '::1', port: 9090 }],
  [':8080', undefined],
  ['8080', undefined],
  ['127.0.0.1:65536', undefined],
  ['127.0.0.256:80', undefined],
  ['::1:9090', undefined],
  ['http://x:80', undefined],
]);

reads('parseNetwork', parseNetwork, [
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['fd00::/8', 'fd00::/8'],
  ['::1', '::1/128'],
  ['0.0.0.0/0', undefined],
  ['::/0', undefined],
  ['10.0.0.0/33', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0/8/8', undefined],
  ['proxy.example.com', undefined],
]);

reads('parseOrigin', parseOrigin, [
  ['https://Flyte.Example.com:443/', 'https://flyte.example.com'],
  ['http://flyteadmin:80', 'http://flyteadmin'],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ['https://flyte.example.com/x', undefined],
  ['https://flyte.example.com?x', undefined],
  ['https://flyte.example.com/?', undefined],
  ['https://flyte.example.com#', undefined],
  ['https://me@flyte.example.com', undefined],
  ['https://@flyte.example.com', undefined],
  ['https:\\\\flyte.example.com', undefined],
  ['https:///flyte.example.com', undefined],
  ['https://fly\tte.example.com', undefined],
  ['https://flyte.example.com:0', undefined],
  ['ftp://flyte.example.com', undefined],
  ['flyte.example.com', undefined],
]);

reads('parseHostPattern', parseHostPattern, [
  ['Flyte.Example.com', 'flyte.example.com'],
  ['*.apps.example.com', '*.apps.example.com'],
  ['[::1]', '[::1]'],
  ['*', undefined],
  ['a.*.example.com', undefined],
  ['*example.com', undefined],
  ['flyte.example.com:8080', undefined],
  ['flyte.example.com.', undefined],
  ['https://flyte.example.com', undefined],
]);

reads('parseNativeRedirect', parseNativeRedirect, [
  ['http://localhost:53593/callback', 'http://localhost:53593/callback'],
  ['https://flyte.example.com/cli', 'https://flyte.example.com/cli'],
  ['com.example.flyte:/callback', 'com.example.flyte:/callback'],
  ['http://flyte.example.com/callback', undefined],
  ['javascript:alert(1)', undefined],
]);

describe('isLoopback', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost', 'a.localhost']) {
    it(`counts ${host} as this machine`, () => assert.ok(isLoopback(host)));
  }
  for (const host of [
    '127.0.0.1.evil.test',
    'localhost.evil.test',
    'notlocalhost',
    '10.0.0.1',
    '0.0.0.0',
    '127.evil.test',
  ]) {
    it(`does not count ${host}`, () => assert.ok(!isLoopback(host)));
  }
});

describe('meantWord', () => {
  for (const [word, expected] of [
    ['publicURL', 'publicUrl'],
    ['pubilcUrl', 'publicUrl'],
    ['listn', 'listen'],
    ['tls2', 'tls'],
    ['something', undefined],
    ['x'.repeat(10_000), undefined],
  ] as const) {
    it(`takes ${word.slice(0, 20)} for ${expected}`, () =>
      assert.equal(meantWord(word, ['publicUrl', 'listen', 'tls']), expected));
  }
});

describe('refusalOfNode', () => {
  for (const version of ['24.18.1', '24.18.2', '24.21.0', '24.100.0']) {
    it(`runs on ${version}`, () => assert.equal(refusalOfNode(version), undefined));
  }
  for (const version of ['24.18.0', '24.9.9', '24.0.0', '22.30.0', '20.20.2', '9.0.0']) {
    it(`refuses ${version} and says why`, () =>
      assert.match(refusalOfNode(version) ?? '', /24\.18\.1.*smuggle.*CVE-2026-58044/));
  }
  it('refuses a line it was never tested with', () => assert.match(refusalOfNode('25.0.0') ?? '', /no later line/));
});
