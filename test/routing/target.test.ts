import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTarget } from '../../src/routing/target.ts';

describe('a request target', () => {
  for (const [path, query] of [
    ['/', ''],
    ['/', '?'],
    ['/a', ''],
    ['/a/', ''],
    ['/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata', ''],
    ['/api/v1/projects/p-1/domains/d_2', '?limit=1&token=%2F%2e%2E//../\\&x=#'.replace('#', '')],
    ['/.well-known/openid-configuration', ''],
    ['/..a/...', ''],
    ["/~:@!$&'()*+,=-._", '?a?b?c'],
    ['/a;b=c/d', ''],
    ['/v1/%E7%8E%8B', ''],
    ['/v1/%20%3F%23%3a', ''],
    ['/v1/100%25', ''],
    ['/v1/100%2525x'.replace('2525', '25%25'), ''],
    ['/v1/a%25b', ''],
    ['/v1/|{}"^`<>', ''],
    ['/a', '?\xe4'],
    [`/${'a/b'.repeat(5000)}`, ''],
  ] as const) {
    it(`is taken as it is: ${(path + query).slice(0, 60)}`, () => {
      assert.deepEqual(parseTarget(path + query), { kind: 'target', path, query });
    });
  }

  for (const raw of [
    '',
    '*',
    'a',
    '?',
    '?/a',
    'http://a.test/',
    'HTTP://A.test/a',
    'https://a.test',
    'a.test:443',
    '//',
    '//b.test/x',
    '///b.test',
    '/a//b',
    '/a//',
    '/\\b.test',
    '\\\\b.test',
    '/a\\..\\b',
    '/a#b',
    '/a?b#c',
    '/#',
    '/a b',
    '/ ',
    '/a\tb',
    '/a\r\nx: y',
    '/a\0',
    '/a\x7f',
    '/\xe4',
    '/\u738b',
    '/a?b c',
    '/a?b\0',
    '/a?b\nc',
    '/a?b\x7f',
    '/.',
    '/./',
    '/..',
    '/../',
    '/a/.',
    '/a/./b',
    '/a/..',
    '/a/../b',
    '/a/..?b',
    '/%2e',
    '/%2E%2e/',
    '/.%2e/a',
    '/%2e./a',
    '/a/%2e%2E',
    '/..;/a',
    '/.;x=y/a',
    '/%2e%2e;/a',
    '/..%3ba/b',
    '/..;',
    '/a%2fb',
    '/a%2Fb',
    '/%2f',
    '/a%5cb',
    '/a%5C..%5Cb',
    '/a%00',
    '/a%00.png',
    '/a%0ab',
    '/a%0d%0aSet-Cookie:x',
    '/a%09',
    '/a%1f',
    '/a%7f',
    '/a%C2%85',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a%%32e',
    '/a%u002f',
    '/a%-1',
    '/a%c0%ae%c0%ae/b',
    '/a%c0%af',
    '/a%e0%80%af',
    '/a%ed%a0%80',
    '/a%ff',
    '/a%E4',
    '/a%252fb',
    '/a%252Fb',
    '/%252e%252e/a',
    '/a%255cb',
    '/a%2500',
    '/a%250d%250a',
    '/a%25252f',
  ]) {
    it(`is refused when two readers could see two things: ${JSON.stringify(raw)}`, () => {
      assert.equal(parseTarget(raw).kind, 'refused');
    });
  }

  it('is refused for every control character, in path and query, plain and encoded in the path', () => {
    for (let code = 0; code < 0x80; code++) {
      if (code > 0x20 && code !== 0x7f) continue;
      const char = String.fromCharCode(code);
      assert.equal(parseTarget(`/a${char}b`).kind, 'refused', `path ${code}`);
      assert.equal(parseTarget(`/a?${char}b`).kind, 'refused', `query ${code}`);
      if (char !== ' ')
        assert.equal(parseTarget(`/a%${code.toString(16).padStart(2, '0')}b`).kind, 'refused', `escape ${code}`);
    }
  });

  it('is what a strict reader and a lenient one agree on, whatever it is made of', () => {
    const pieces = ['/', '.', '..', '%2e', '%2E', '%2f', ';', 'a', '\\', '%25', '%5c', '?', '%'];
    const targets = pieces.flatMap((a) =>
      pieces.flatMap((b) => pieces.flatMap((c) => pieces.map((d) => `/${a}${b}${c}${d}`))),
    );
    for (const raw of targets) {
      const target = parseTarget(raw);
      if (target.kind === 'refused') continue;
      assert.equal(target.path + target.query, raw);
      const lenient = new URL(`http://a.test${raw}`);
      assert.equal(lenient.pathname, target.path, raw);
      assert.equal(new URL(`http://a.test${decodeURIComponent(target.path).replaceAll('?', '')}`).host, 'a.test', raw);
      assert.ok(!/(?:^|\/)\.{1,2}(?:\/|$)/.test(decodeURIComponent(target.path)), raw);
    }
  });

  it('costs no more than its length', () => {
    for (const piece of ['/', '/a', '/.a', '%41', '/..a', ';', "-'"]) {
      const raw = `/${piece.repeat(200_000)}`;
      const before = process.cpuUsage();
      parseTarget(`${raw}\x01`);
      parseTarget(raw);
      const { user } = process.cpuUsage(before);
      assert.ok(user < 500_000, `${piece}: ${user} µs`);
    }
  });
});
