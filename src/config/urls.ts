import { isIP } from 'node:net';
import type { Address, Upstream } from './config.ts';
import type { Parsed } from './values.ts';

/** Whether a host is this machine only: 127.0.0.0/8, ::1, localhost and names under it (RFC 6761 §6.3). */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  return (
    (isIP(bare) === 4 && bare.startsWith('127.')) ||
    bare === '::1' ||
    bare === 'localhost' ||
    bare.endsWith('.localhost')
  );
}

/** A URL by which an origin is known: nothing after the host and port. Default ports are left out, case is lowered. */
export function parseOrigin(text: string): Parsed<string> {
  const read = readHttpUrl(text.replace(/\/$/, ''));
  if ('wrong' in read) return read;
  if (read.value.pathname !== '/' || /[?#]/.test(text)) return { wrong: 'nothing may follow the host and port' };
  return { value: read.value.origin };
}

/** A URL to dial or to compare exactly: kept byte for byte, trailing slash and all. */
export function parseExactUrl(text: string): Parsed<string> {
  const read = readHttpUrl(text);
  if ('wrong' in read) return read;
  return /[?#]/.test(text) ? { wrong: 'query and fragment have no place here' } : { value: text };
}

/** A metadata document: a URL, or a path that is read as standing below the issuer. */
export function parseMetadataUrl(text: string): Parsed<string> {
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return parseExactUrl(text);
  const isPath = /^\/?[A-Za-z0-9._~%-]+(\/[A-Za-z0-9._~%-]+)*\/?$/.test(text) && !/(^|\/)\.{1,2}(\/|$)/.test(text);
  return isPath ? { value: text } : { wrong: '' };
}

/** A place to return to after signing in: a path of this host, or a URL (whose origin is compared elsewhere). */
export function parseReturnTo(text: string): Parsed<string> {
  if (!text.startsWith('/')) {
    const read = readHttpUrl(text);
    return 'wrong' in read ? read : { value: text };
  }
  const isPlain = /^\/(?!\/)[\x21-\x7e]*$/.test(text) && !text.includes('\\') && !/^\/%(0|2f|5c)/i.test(text);
  return isPlain ? { value: text } : { wrong: 'a path begins with exactly one /' };
}

/** Where Flyte's command line listens for its own sign-in: loopback, https, or a scheme of its own (RFC 8252 §7). */
export function parseNativeRedirect(text: string): Parsed<string> {
  if (!URL.canParse(text) || /[\s\\#]/.test(text)) return { wrong: '' };
  const { protocol, hostname } = new URL(text);
  if (protocol === 'http:' && !isLoopback(hostname))
    return { wrong: 'without TLS only a loopback address can receive a code' };
  if (['javascript:', 'data:', 'file:', 'blob:', 'vbscript:'].includes(protocol)) return { wrong: '' };
  return { value: text };
}

const upstreamSchemes = { http: 'http', https: 'https', h2c: 'http', h2: 'https' } as const;

/** An upstream's address: scheme http, https, h2c or h2, host, port. */
export function parseUpstreamUrl(text: string): Parsed<Pick<Upstream, 'protocol'> & Address> {
  const [, scheme = '', rest = ''] = /^([a-z0-9]+):\/\/(.*)$/.exec(text) ?? [];
  if (scheme !== 'http' && scheme !== 'https' && scheme !== 'h2c' && scheme !== 'h2')
    return { wrong: 'schemes are http, https, h2c and h2' };
  const read = parseOrigin(`${upstreamSchemes[scheme]}://${rest}`);
  if ('wrong' in read)
    return read.wrong === 'nothing may follow the host and port'
      ? { wrong: 'paths are passed on as they come: leave it out' }
      : read;
  const { hostname, port } = new URL(read.value);
  const defaultPort = upstreamSchemes[scheme] === 'http' ? 80 : 443;
  return {
    value: { protocol: scheme, host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? defaultPort : Number(port) },
  };
}

/** What an upstream hears as Host: `keep`, `upstream`, or a host with or without a port, in lower case (RFC 9110 §7.2). */
export function parseHostHeader(text: string): Parsed<string> {
  if (text === 'keep' || text === 'upstream') return { value: text };
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { wrong: 'leave the scheme out' };
  const host = text.toLowerCase();
  // http: leaves port 80 out, https: leaves 443 out: what neither changes is a host and nothing besides.
  const isHost = ['http', 'https'].some((scheme) => {
    const read = readHttpUrl(`${scheme}://${host}`);
    return 'value' in read && read.value.origin === `${scheme}://${host}`;
  });
  return isHost ? { value: host } : { wrong: '' };
}

/** A name to verify a certificate by and to send as SNI, which addresses cannot be (RFC 6066 §3). */
export function parseServerName(text: string): Parsed<string> {
  const name = text.toLowerCase();
  if (isIP(name.replace(/^\[|\]$/g, '')) !== 0) return { wrong: 'an address cannot be sent as server name' };
  const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?';
  return new RegExp(`^${label}(\\.${label})*$`).test(name) && name.length < 254 ? { value: name } : { wrong: '' };
}

function readHttpUrl(text: string): Parsed<URL> {
  if (!/^https?:\/\/[^/]/i.test(text)) return { wrong: 'it begins with https:// (or http://)' };
  // The URL parser forgives all of these by silently dropping or rewriting them.
  if (/[\s\\]|[^\x21-\x7e]/.test(text) || !URL.canParse(text)) return { wrong: '' };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#]*@/i.test(text))
    return { wrong: 'a URL is no place for a user name or password' };
  if (url.port === '0') return { wrong: 'port 0 cannot be dialled' };
  return { value: url };
}
