import type { Mistake } from './mistake.ts';
import type { SettingsDraft } from './schema.ts';

/** What is wrong between the settings of each upstream. */
export function* checkUpstreams(draft: SettingsDraft): Iterable<Mistake> {
  const { upstreams } = draft;
  for (const [name, upstream] of Object.entries(upstreams)) {
    yield* checkUrls(name, upstream);
    yield* checkTls(name, upstream);
    yield* checkAuthorization(name, upstream, draft);
  }
}

function* checkAuthorization(
  name: string,
  { upstreamAuthorization: way }: UpstreamDraft,
  { session, serviceApp }: SettingsDraft,
): Iterable<Mistake> {
  const path = ['upstreams', name, 'upstreamAuthorization'];
  if (way === 'session-token' && session.store === 'cookie') {
    const hint = 'a cookie has no room for access tokens: set session.store: memory or redis';
    yield { path, expected: 'verified, none or service-app with session.store: cookie', found: way, hint };
  }
  if (way === 'service-app' && serviceApp.clientId === undefined) {
    const hint = `upstreams.${name} is sent the token of this app`;
    yield { path: ['serviceApp', 'clientId'], expected: 'a client id', found: 'nothing', hint };
  }
}

type UpstreamDraft = SettingsDraft['upstreams'][string];

function* checkUrls(name: string, { url, host }: UpstreamDraft): Iterable<Mistake> {
  const [first] = url ?? [];
  const seen = new Set<string>();
  for (const [at, { protocol, host: where, port }] of (url ?? []).entries()) {
    const path = ['upstreams', name, 'url', at];
    if (protocol !== first?.protocol) {
      const hint = 'make it an upstream of its own';
      yield { path, expected: `the scheme of the first one, ${first?.protocol}`, found: protocol, hint };
    }
    const place = `${where} ${port}`;
    if (seen.has(place)) yield { path, expected: 'each address once', found: `${where}, port ${port}, again` };
    seen.add(place);
  }
  if (host === 'upstream' && seen.size > 1) {
    const hint = 'write the one that all of them answer to';
    yield {
      path: ['upstreams', name, 'host'],
      expected: 'keep, or a host, where url names several',
      found: host,
      hint,
    };
  }
}

function* checkTls(name: string, upstream: UpstreamDraft): Iterable<Mistake> {
  const { certFile, keyFile } = upstream;
  const protocol = upstream.url?.[0]?.protocol;
  if (protocol === 'http' || protocol === 'h2c') {
    for (const key of ['caFile', 'certFile', 'keyFile', 'serverName'] as const) {
      if (upstream[key] === undefined) continue;
      const hint = 'write https or h2 in its url';
      yield { path: ['upstreams', name, key], expected: `no ${key} for an upstream without TLS`, hint };
    }
  } else if (Boolean(certFile) !== Boolean(keyFile)) {
    const path = ['upstreams', name, certFile ? 'keyFile' : 'certFile'];
    yield { path, expected: 'certFile and keyFile together, or neither', found: 'nothing' };
  }
}
