import { isIP } from 'node:net';
import type { Address } from './config.ts';
import type { Millis } from './units.ts';

/** What a text turned out to be; `wrong` adds to what was expected and may be empty. */
export type Parsed<T> = { readonly value: T } | { readonly wrong: string };

const unitMs = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const durationForm =
  /^(?:(\d{1,9}(?:\.\d{1,3})?)d)?(?:(\d{1,9}(?:\.\d{1,3})?)h)?(?:(\d{1,9}(?:\.\d{1,3})?)m)?(?:(\d{1,9}(?:\.\d{1,3})?)s)?(?:(\d{1,12})ms)?$/;

/** A length of time: `8h`, `90s`, `500ms`, `7d`, or several of them from the largest, as Go prints them (`1h30m0s`). */
export function parseDuration(text: string): Parsed<Millis> {
  const found = durationForm.exec(text);
  if (text === '' || !found) return { wrong: /^\d+$/.test(text) ? `write the unit: ${text}s, ${text}m …` : '' };
  const factors = Object.values(unitMs);
  const total = found.slice(1).reduce((sum, part, at) => sum + (part ? Number(part) * (factors[at] ?? 0) : 0), 0);
  return { value: Math.round(total) };
}

const unitBytes: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** An amount of bytes: `512B`, `32KiB`, `64MiB`, `1GiB`. */
export function parseSize(text: string): Parsed<number> {
  const [, digits = '', unit = ''] = /^(\d{1,12})([A-Za-z]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(unitBytes, unit) ? unitBytes[unit] : undefined;
  if (digits === '' || factor === undefined) return { wrong: 'units are B, KiB, MiB and GiB' };
  return { value: Number(digits) * factor };
}

/** `host:port` to listen on; IPv6 in brackets. */
export function parseAddress(text: string): Parsed<Address> {
  const [, v6, name, digits = ''] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port > 65_535) return { wrong: '' };
  if (v6 !== undefined) return isIP(v6) === 6 ? { value: { host: v6, port } } : { wrong: 'not an IPv6 address' };
  if (!name) return { wrong: `to listen on every interface say so: 0.0.0.0:${port} or [::]:${port}` };
  const isName = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name) && !/^[\d.]+$/.test(name);
  if (isIP(name) !== 4 && !isName) return { wrong: '' };
  return { value: { host: name.toLowerCase(), port } };
}

/** A network of proxies, `10.0.0.0/8`, or one address; always read as a CIDR. The whole Internet is refused. */
export function parseNetwork(text: string): Parsed<string> {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || rest.length > 0) return { wrong: '' };
  const bits = family === 4 ? 32 : 128;
  if (prefix === undefined) return { value: `${address}/${bits}` };
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return { wrong: '' };
  if (Number(prefix) === 0)
    return { wrong: 'that is everybody: whoever is believed chooses the address and scheme we see' };
  return { value: `${address}/${Number(prefix)}` };
}

const tokenForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const reservedHeaders = [
  ...[
    'accept',
    'accept-encoding',
    'connection',
    'content-encoding',
    'content-length',
    'content-type',
    'cookie',
    'date',
  ],
  ...['expect', 'forwarded', 'grpc-timeout', 'host', 'http2-settings', 'keep-alive', 'location', 'origin', 'priority'],
  ...[
    'proxy-authenticate',
    'proxy-authorization',
    'proxy-connection',
    'range',
    'referer',
    'set-cookie',
    'te',
    'trailer',
  ],
  ...['transfer-encoding', 'upgrade', 'user-agent', 'via', 'www-authenticate', 'x-request-id'],
];
const strippedPrefixes = ['x-auth-request-', 'x-amzn-oidc-', 'x-user-', 'x-forwarded-', 'x-original-', 'sec-'];

/** The name of a header that may carry a bearer token (RFC 9110 §5.1), in lower case. */
export function parseCredentialHeader(text: string): Parsed<string> {
  const name = text.toLowerCase();
  if (!tokenForm.test(text)) return { wrong: '' };
  if (reservedHeaders.includes(name)) return { wrong: 'HTTP itself gives that header a meaning' };
  if (strippedPrefixes.some((prefix) => name.startsWith(prefix)))
    return { wrong: 'headers that begin so are removed from every request' };
  return { value: name };
}

/** The beginning of header names to strip, in lower case; nothing that HTTP or signing in needs begins so. */
export function parseHeaderPrefix(text: string): Parsed<string> {
  const prefix = text.toLowerCase().replaceAll('_', '-');
  if (!tokenForm.test(text)) return { wrong: '' };
  const harmed = [...reservedHeaders, 'authorization'].find((name) => name.startsWith(prefix));
  return harmed ? { wrong: `that would strip ${harmed}` } : { value: prefix };
}

/** A word that can stand in a header name: a claim to show, for one (RFC 9110 §5.6.2). */
export function parseToken(text: string): Parsed<string> {
  return tokenForm.test(text) ? { value: text } : { wrong: '' };
}

/** A host to route by: exact, or `*.` and a domain; lower case, without a port. */
export function parseHostPattern(text: string): Parsed<string> {
  const host = text.toLowerCase();
  if (/:\d+$/.test(host) && !host.startsWith('[')) return { wrong: 'leave the port out' };
  if (/^\[[0-9a-f:.]+\]$/.test(host)) return isIP(host.slice(1, -1)) === 6 ? { value: host } : { wrong: '' };
  const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?';
  return new RegExp(`^(\\*\\.)?${label}(\\.${label})*$`).test(host) && host.length < 254
    ? { value: host }
    : { wrong: '' };
}

/** A path prefix that can be read in one way only, as routed requests are. */
export function parseRoutePath(text: string): Parsed<string> {
  if (!text.startsWith('/')) return { wrong: 'it begins with /' };
  if (/[?#]/.test(text)) return { wrong: 'query and fragment are not matched' };
  if (/[\\\s*]|[^\x21-\x7e]/.test(text))
    return { wrong: 'a prefix is plain text: no patterns, spaces or bytes beyond ASCII' };
  if (/[%;]/.test(text))
    return { wrong: 'a path that changes its route when unescaped is on no route: write it without % and ;' };
  if (/\/\/|\/\.{1,2}(\/|$)/.test(text)) return { wrong: 'empty and dot segments never arrive here' };
  return { value: text };
}
