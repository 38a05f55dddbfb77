import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RouteSetting } from '../../src/config/config.ts';
import { createRoutes } from '../../src/routing/routes.ts';

/** A route that is named by its upstream: `host path`. */
function route(path: string, host?: string): RouteSetting {
  return {
    path,
    upstream: `${host ?? ''} ${path}`.trim(),
    access: 'authenticated',
    ...(host !== undefined && { host }),
  };
}

describe('a route whose path ends in a dot', () => {
  const find = createRoutes([
    route('/'),
    route('/a.'),
    route('/a.b.'),
    route('/a.b.One'),
    route('/x/y.'),
    route('/z.', 'z.test'),
  ]);

  for (const [path, expected] of [
    ['/a.Service/Method', '/a.'],
    ['/a.', '/a.'],
    ['/a./x', '/a.'],
    ['/a.b.Two/Method', '/a.b.'],
    ['/a.b.One/Method', '/a.b.One'],
    ['/a.b.OneMore/Method', '/a.b.'],
    ['/a', '/'],
    ['/a/b', '/'],
    ['/ab.Service/Method', '/'],
    ['/q/a.Service', '/'],
    ['/x/y.z/w', '/x/y.'],
    ['/x/y', '/'],
    ['/z.Service', '/'],
  ] as const)
    it(`${path} goes to ${expected}`, () => assert.equal(find('x.test', path)?.upstream, expected));

  it('is no way around another route for who decodes', () => {
    assert.equal(find('x.test', '/%61.Service/Method'), undefined);
    assert.equal(find('x.test', '/a%2eService/Method'), undefined);
    assert.equal(find('z.test', '/z.Service')?.upstream, 'z.test /z.');
  });
});

describe('a route', () => {
  const find = createRoutes([
    route('/'),
    route('/a'),
    route('/a/b'),
    route('/slash/'),
    route('/both'),
    route('/both/'),
    route('/', '*.apps.test'),
    route('/deep', '*.apps.test'),
    route('/', '*.eu.apps.test'),
    route('/', 'one.apps.test'),
    route('/only', 'narrow.test'),
    route('/', '::1'.replace('::1', '[::1]')),
  ]);

  for (const [host, path, expected] of [
    ['x.test', '/', '/'],
    ['x.test', '/zzz', '/'],
    ['x.test', '/a', '/a'],
    ['x.test', '/a/', '/a'],
    ['x.test', '/a/c', '/a'],
    ['x.test', '/ab', '/'],
    ['x.test', '/A', '/'],
    ['x.test', '/a/b', '/a/b'],
    ['x.test', '/a/b/', '/a/b'],
    ['x.test', '/a/b/c/d', '/a/b'],
    ['x.test', '/a/bc', '/a'],
    ['x.test', '/slash', '/'],
    ['x.test', '/slash/', '/slash/'],
    ['x.test', '/slash/x', '/slash/'],
    ['x.test', '/both', '/both'],
    ['x.test', '/both/', '/both/'],
    ['x.test', '/both/x', '/both/'],
    ['two.apps.test', '/a', '*.apps.test /'],
    ['TWO.Apps.Test:8443', '/a', '*.apps.test /'],
    ['two.apps.test.', '/deep/x', '*.apps.test /deep'],
    ['two.more.apps.test', '/', '*.apps.test /'],
    ['two.eu.apps.test', '/deep', '*.eu.apps.test /'],
    ['one.apps.test', '/deep', 'one.apps.test /'],
    ['apps.test', '/', '/'],
    ['xapps.test', '/', '/'],
    ['narrow.test', '/only/x', 'narrow.test /only'],
    ['narrow.test', '/a', '/a'],
    ['[::1]:80', '/', '[::1] /'],
    ['[::1]', '/', '[::1] /'],
    ['', '/a', '/a'],
    ['*.apps.test', '/a', '*.apps.test /'],
  ] as const) {
    it(`for ${host || 'no host'} ${path} is "${expected}"`, () => {
      assert.equal(find(host, path)?.upstream, expected);
    });
  }

  it('is none when nothing matches', () => {
    const narrow = createRoutes([route('/a'), route('/', 'b.test')]);
    assert.equal(narrow('x.test', '/b'), undefined);
    assert.equal(narrow('x.test', '/'), undefined);
    assert.equal(createRoutes([])('x.test', '/'), undefined);
  });

  it('is not chosen by names that objects inherit', () => {
    const only = createRoutes([route('/a')]);
    for (const name of ['__proto__', 'constructor', 'toString']) assert.equal(only(name, `/${name}`), undefined);
  });

  describe('that a lenient upstream would read as another', () => {
    const guarded = createRoutes([route('/'), route('/admin'), route('/open')]);
    for (const path of [
      '/%61dmin',
      '/admi%6E/x',
      '/admin;x=y',
      '/admin;/x',
      '/%61dmin;x',
      '/admin%3bx',
      '/op%65n',
      '/open;',
      '/admin%3f',
      '/admin%3Fx=/open',
      '/admin%23',
      '/open%3fa/b',
      '/open%23/admin',
      '/op%65n%3f',
      '/admin;a%3f',
      '/admin;%23',
      '/admin%3f;a',
    ]) {
      it(`is none: ${path}`, () => assert.equal(guarded('a.test', path), undefined));
    }
    for (const [path, expected] of [
      ['/admin/%61', '/admin'],
      ['/admin/a;b', '/admin'],
      ['/x%20y', '/'],
      ['/%25', '/'],
      ['/x;y', '/'],
      ['/why%3F', '/'],
      ['/c%23/x', '/'],
      ['/%3f', '/'],
      ['/admin/c%23', '/admin'],
      ['/open/why%3f/admin', '/open'],
    ] as const) {
      it(`is itself when all readings agree: ${path}`, () => assert.equal(guarded('a.test', path)?.upstream, expected));
    }
  });

  it('is found among 10,000 as fast as among ten, and at the end of a path of 8,000 segments', () => {
    const many = (count: number) =>
      createRoutes(Array.from({ length: count }, (_, i) => route(`/team/${i}/x`, i % 2 ? undefined : `h${i}.test`)));
    const cost = (count: number) => {
      const search = many(count);
      for (let i = 0; i < 20_000; i++) search('h4.test', '/team/4/x/y');
      const before = process.cpuUsage();
      for (let i = 0; i < 20_000; i++) search('h4.test', '/team/4/x/y');
      return process.cpuUsage(before).user;
    };
    const [few, all] = [cost(10), cost(10_000)];
    // A search that looked at every route would be hundreds of times slower.
    assert.ok(all < 20 * few + 20_000, `${few} µs, ${all} µs`);
    const before = process.cpuUsage();
    many(10)(`${'a.'.repeat(120)}test`, '/a'.repeat(8000));
    assert.ok(process.cpuUsage(before).user < 200_000);
  });
});
