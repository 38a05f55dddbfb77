import { stringifySetCookie } from 'cookie';

export interface CookieAttributes {
  readonly path: string;
  /** Absent: until the browser closes. */
  readonly maxAgeS?: number;
  readonly domain?: string;
  readonly secure: boolean;
  readonly sameSite: 'lax' | 'strict' | 'none';
}

/**
 * All values that a Cookie field gives to one name, in order: exact bytes, nothing decoded, quotes kept.
 *
 * @param header value of one Cookie field, or of several joined with `; `
 * @param name   exact, case-sensitive
 * @see RFC 6265 §4.2.1
 */
export function readCookies(header: string, name: string): readonly string[] {
  const values: string[] = [];
  // Found by searching, not by splitting: the session cookie alone may be 3 KiB and comes with every request.
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at)) {
    const valueAt = at + name.length + 1;
    const isPair = header[valueAt - 1] === '=' && isPairStart(header, at);
    at = endOfPair(header, at);
    if (isPair) values.push(header.slice(valueAt, at).trimEnd());
  }
  return values;
}

/**
 * The Cookie field without the cookies that are ours; the rest byte for byte. A name counts as ours also with white space
 * around it, or without a value: less careful readers take it for the name.
 *
 * @returns undefined when nothing is left
 */
export function withoutCookies(header: string, isOurs: (name: string) => boolean): string | undefined {
  let kept = '';
  let isChanged = false;
  for (let start = 0; start <= header.length; ) {
    const end = endOfPair(header, start);
    const pair = header.slice(start, end);
    const equals = pair.indexOf('=');
    if (isOurs((equals === -1 ? pair : pair.slice(0, equals)).trim())) isChanged = true;
    else kept += kept === '' ? pair.trimStart() : `;${pair}`;
    start = end + 1;
  }
  if (!isChanged) return header.trim() === '' ? undefined : header;
  return kept.trim() === '' ? undefined : kept;
}

/**
 * A whole Set-Cookie value; always HttpOnly.
 *
 * @param value cookie-octets only (RFC 6265 §4.1.1)
 * @throws {TypeError} for a name, value or attribute that cannot be written
 */
export function serializeCookie(name: string, value: string, attributes: CookieAttributes): string {
  return stringifySetCookie(
    {
      name,
      value,
      path: attributes.path,
      httpOnly: true,
      secure: attributes.secure,
      sameSite: attributes.sameSite,
      ...(attributes.maxAgeS !== undefined && { maxAge: attributes.maxAgeS }),
      ...(attributes.domain !== undefined && { domain: attributes.domain }),
    },
    // Never escaped: a value that needs it would come back as another one.
    { encode: (octets) => octets },
  );
}

function endOfPair(header: string, from: number): number {
  const semicolon = header.indexOf(';', from);
  return semicolon === -1 ? header.length : semicolon;
}

/** Whether a pair begins here: only white space stands between here and the last `;`. */
function isPairStart(header: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && (header[before] === ' ' || header[before] === '\t')) before -= 1;
  return before < 0 || header[before] === ';';
}
