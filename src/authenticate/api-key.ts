import { Secret } from '../config/secret.ts';

/** What Flyte's API keys hold. */
export interface ApiKey {
  /** The control plane that the key is for: a host in lower case, without scheme or port. It is never dialled. */
  readonly host: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** Empty when there is none. */
  readonly org: string;
}

/** What a bearer token is by its form alone. `malformed-key`: meant as an API key, so that a secret may be in it. */
export type BearerForm =
  | { readonly kind: 'jwt' }
  | { readonly kind: 'api-key'; readonly key: ApiKey }
  | { readonly kind: 'malformed-key' }
  | { readonly kind: 'opaque' };

/** Characters of an API key or an opaque token at most. */
const MAX_LENGTH = 4096;

/** A header of JOSE at the beginning, or as many segments as a JWS or JWE has (RFC 7515 §7.1, RFC 7516 §7.1). */
const JOSE = /^(?:eyJ|[^.]*\.[^.]*\.[^.]*(?:\.[^.]*\.[^.]*)?$)/;

/**
 * Tells API keys, JWTs and opaque tokens apart without any proof.
 *
 * An API key is base64 of UTF-8 text without control characters, in which there are colons. Random bytes that happen to be
 * such text do not come up. In either alphabet, padded or not; any other spelling of such text is a malformed key, so that
 * one key has four spellings at most. So is whatever begins with a host of ours and a colon: a line break at the end of a
 * secret makes it no issuer's business.
 *
 * @param isOurHost of a host in lower case, without port
 */
export function readBearerForm(token: string, isOurHost: (host: string) => boolean = () => false): BearerForm {
  // What is too long is refused as a JWT is: by its length.
  if (token.length > MAX_LENGTH || JOSE.test(token)) return { kind: 'jwt' };
  if (!BASE64.test(token)) return { kind: 'opaque' };
  const bytes = Buffer.from(token, 'base64');
  const text = readText(bytes);
  if (text === undefined || !/:.*:/.test(text)) {
    const host = ENDPOINT.exec(bytes.toString('latin1'))?.[1]?.toLowerCase();
    return host !== undefined && isOurHost(host) ? { kind: 'malformed-key' } : { kind: 'opaque' };
  }
  const key = isWellSpelt(token, bytes) ? parseKey(text) : undefined;
  return key ? { kind: 'api-key', key } : { kind: 'malformed-key' };
}

/** Base64 of `endpoint:client_id:client_secret:org`. @throws {TypeError} for parts that would not be read back alike */
export function writeApiKey(parts: { endpoint: string; clientId: string; clientSecret: Secret; org: string }): string {
  const { endpoint, clientId, clientSecret, org } = parts;
  const token = Buffer.from([endpoint, clientId, clientSecret.reveal(), org].join(':')).toString('base64');
  const read = readBearerForm(token);
  const isAlike =
    read.kind === 'api-key' &&
    read.key.clientId === clientId &&
    read.key.clientSecret.reveal() === clientSecret.reveal() &&
    read.key.org === org;
  if (!isAlike) throw new TypeError('an API key has no place for colons, control characters or empty parts');
  return token;
}

/** Both alphabets, even mixed, and any padding: more than anybody should write. */
const BASE64 = /^[\w+/-]+=*$/;

function readText(bytes: Uint8Array): string | undefined {
  try {
    const text = strictUtf8.decode(bytes);
    return /\p{Cc}/u.test(text) ? undefined : text;
  } catch {
    // Safe: what is not UTF-8 is no API key.
    return undefined;
  }
}

/** One alphabet, all padding or none, and no spare bits (RFC 4648 §3.2, §3.5 and §5). */
function isWellSpelt(token: string, bytes: Buffer): boolean {
  const [padded, forUrls] = [bytes.toString('base64'), bytes.toString('base64url')];
  return [padded, padded.replace(/=+$/, ''), forUrls, forUrls.padEnd(padded.length, '=')].includes(token);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The endpoint as Flyte's clients write it: a host alone, or with `dns:///`, `https://` or `http://` before it. */
const ENDPOINT = /^(?:(?:https?:\/\/|dns:\/\/\/))?(\[[\da-f:.]{2,45}\]|[a-z\d](?:[a-z\d._-]{0,251}[a-z\d])?)\/?:/i;
const PORT = /^\d{1,5}\/?$/;

/**
 * Flyte's SDK splits at the first three colons, and so cannot read an endpoint with a scheme or port itself. Here the scheme
 * is taken off first; a fifth part is a port when it stands second and is a number, else the key is malformed.
 */
function parseKey(text: string): ApiKey | undefined {
  const endpoint = ENDPOINT.exec(text);
  if (!endpoint?.[1]) return undefined;
  const parts = text.slice(endpoint[0].length).split(':');
  if (parts.length === 4 && PORT.test(parts[0] ?? '')) parts.shift();
  const [clientId = '', secret = '', org = ''] = parts;
  if (parts.length !== 3 || !/^[\x21-\x7e]{1,256}$/.test(clientId) || secret === '') return undefined;
  return { host: endpoint[1].toLowerCase(), clientId, clientSecret: new Secret(secret), org };
}
