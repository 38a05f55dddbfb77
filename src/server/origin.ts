import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { isAuthority } from './authority.ts';
import type { Fields, RequestHead } from './request-head.ts';

/** Who sent a request, from where, and which host it is for: as far as that can be believed. */
export interface Client {
  readonly address: string;
  readonly scheme: 'http' | 'https';
  /** The Host that the client asked for, in lower case, with its port if it named one; empty when it named none. */
  readonly host: string;
  /** Whether the peer is a trusted proxy. */
  readonly trusted: boolean;
  /** What a trusted proxy calls the request (`X-Request-ID`), if that can stand in a log. */
  readonly requestId?: string;
}

/** The gateway's own origins. */
export interface Origins {
  /** The authorized URI that a Host names; the default port of its scheme may be there or not. */
  originFor(host: string): string | undefined;
  /** @param origin as in an Origin field */
  has(origin: string): boolean;
}

/**
 * Believes X-Forwarded-For, -Proto and -Host only from trusted peers: the address is the first one from the right that
 * no trusted proxy has, scheme and host are the last that were given, by the proxy that stands closest. Likewise
 * X-Request-ID, when there is one and it has the form of one.
 *
 * @param trustedProxies CIDRs or single addresses
 * @throws {TypeError} for one that is neither
 */
export function createClientOf(trustedProxies: readonly string[]): (head: RequestHead) => Client {
  const isTrusted = createIsTrusted(trustedProxies);
  return (head) => {
    // What the system says of an IPv4 peer needs no reading.
    const peer = head.peer.includes(':') ? (plainAddress(head.peer) ?? head.peer) : head.peer;
    const scheme = head.encrypted ? 'https' : 'http';
    const host = (head.authority ?? '').toLowerCase();
    if (!isTrusted(peer)) return { address: peer, scheme, host, trusted: false };
    const requestId = requestIdOf(head.fields);
    return {
      ...(requestId !== undefined && { requestId }),
      address: forwardedAddress(head.fields, peer, isTrusted),
      scheme: lastOf(head.fields, 'x-forwarded-proto', isScheme) ?? scheme,
      host: lastOf(head.fields, 'x-forwarded-host', isAuthorityWord) ?? host,
      trusted: true,
    };
  };
}

/** @param authorizedUris origins; the first of two that share a host decides */
export function createOrigins(authorizedUris: readonly string[]): Origins {
  const byHost = new Map<string, string>();
  const origins = new Set<string>();
  for (const uri of authorizedUris) {
    const { origin, host, hostname, port, protocol } = new URL(uri);
    origins.add(origin);
    const names = port === '' ? [host, `${hostname}:${protocol === 'https:' ? 443 : 80}`] : [host];
    for (const name of names) if (!byHost.has(name)) byHost.set(name, uri);
  }
  return { originFor: (host) => byHost.get(host.toLowerCase()), has: (origin) => origins.has(origin) };
}

function createIsTrusted(trustedProxies: readonly string[]): (address: string) => boolean {
  if (trustedProxies.length === 0) return () => false;
  const blocks = new BlockList();
  for (const entry of trustedProxies) {
    const [network = '', prefix, ...rest] = entry.split('/');
    const family = isIPv6(network) ? 'ipv6' : 'ipv4';
    const bits = prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix);
    if (isIP(network) === 0 || rest.length > 0 || prefix === '') throw new TypeError(`${entry} is not a CIDR`);
    blocks.addSubnet(network, bits, family);
  }
  return (address) => isIP(address) !== 0 && blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Hops beyond so many are not followed. */
const maxHops = 32;

function forwardedAddress(fields: Fields, peer: string, isTrusted: (address: string) => boolean): string {
  const hops = fields.all('x-forwarded-for').join(',').split(',').slice(-maxHops);
  let client = peer;
  for (const hop of hops.reverse()) {
    const address = plainAddress(hop.trim());
    // Whoever wrote this, the proxies that we know end here.
    if (address === undefined) return client;
    client = address;
    if (!isTrusted(address)) return client;
  }
  return client;
}

/** An IP address without port, brackets, zone and IPv6 wrapping of an IPv4 one; undefined when it is none. */
function plainAddress(hop: string): string | undefined {
  if (isIPv4(hop)) return hop;
  const bare = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(hop)?.[1] ?? hop;
  const address = (/^::ffff:([\d.]+)$/i.exec(bare)?.[1] ?? bare).replace(/%.*$/s, '');
  return isIP(address) === 0 ? undefined : address;
}

function requestIdOf(fields: Fields): string | undefined {
  const [id, ...others] = fields.all('x-request-id');
  return id !== undefined && others.length === 0 && requestId.test(id) ? id : undefined;
}

const requestId = /^[A-Za-z0-9._:+/=-]{1,128}$/;

/** The last word of a list field that says something. */
function lastOf<Word extends string>(
  fields: Fields,
  name: string,
  isWord: (word: string) => word is Word,
): Word | undefined {
  const words = fields.all(name).join(',').toLowerCase().split(',');
  const last = words.findLast((word) => word.trim() !== '')?.trim();
  return last !== undefined && isWord(last) ? last : undefined;
}

function isScheme(word: string): word is 'http' | 'https' {
  return word === 'http' || word === 'https';
}

function isAuthorityWord(word: string): word is string {
  return isAuthority(word);
}
