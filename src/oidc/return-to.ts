/** Where a browser may be sent: a whole URL on an origin that is ours, or not at all. */
export type ReturnTo =
  | { readonly kind: 'allowed'; readonly to: string }
  /** Longer than the state parameter may carry; no more than its beginning was judged, and that is harmless. */
  | { readonly kind: 'too-long' }
  | { readonly kind: 'refused' };

/** Bytes. A `state` parameter that holds more would not fit in nginx's buffer for our answer. */
export const longestReturnTo = 1024;

/**
 * Judges where someone asks to be sent after signing in or out.
 *
 * A value that begins with exactly one `/` is a place on the origin the request came to; anything else must be a URL whose
 * origin is ours. What is judged is the value itself, before any URL parser has tidied it: parsers drop tabs, turn `\`
 * into `/` and read other dots as dots, and browsers do not agree with each other about it. Only behind the first `?` or `#`,
 * where no host can be any more, what browsers send as it is typed (`\`, other scripts) is written as escapes.
 *
 * Costs no more than the longest allowed value does, however long the one that came.
 *
 * @param value  after one percent-decoding (as a query parameter is), otherwise as it came
 * @param origin the authorized URI that the request came to
 * @param isOurs whether people may be sent to an origin, as browsers write it
 */
export function returnTo(value: string, origin: string, isOurs: (origin: string) => boolean): ReturnTo {
  const isTooLong = value.length > longestReturnTo;
  // Judged all the same, so that another host is refused at whatever length.
  const judged = escapeQuery(isTooLong ? value.slice(0, longestReturnTo) : value);
  if (!isPlain(judged)) return { kind: 'refused' };
  const place = judged.startsWith('/') ? { origin, path: judged } : placeOf(judged, isOurs);
  if (!place || !isSafePath(place.path)) return { kind: 'refused' };
  const to = place.origin + place.path;
  return isTooLong || to.length > longestReturnTo ? { kind: 'too-long' } : { kind: 'allowed', to };
}

/**
 * What of the target of a request can be asked for as the place to come back to: all of it, or without its query, where that
 * holds what no place may (`%0a`).
 *
 * @param target its bytes, a character each
 * @returns a path with or without a query; undefined when it is too long, or is no place to come back to
 */
export function placeOfTarget(
  { path, query }: { readonly path: string; readonly query: string },
  origin: string,
): string | undefined {
  for (const place of [path + escapeBytes(query), path]) {
    const judged = returnTo(origin + place, origin, () => true);
    if (judged.kind === 'allowed') return place;
    if (judged.kind === 'too-long') return undefined;
  }
  return undefined;
}

/** The same of a target that somebody else tells of; one that is no place is given back as it is, to be refused. */
export function placeToldOf(target: string, origin: string): string {
  const mark = target.indexOf('?');
  const [path, query] = mark === -1 ? [target, ''] : [target.slice(0, mark), target.slice(mark)];
  return (path.startsWith('/') && placeOfTarget({ path, query }, origin)) || target;
}

function escapeBytes(query: string): string {
  return query.replace(/[\\\x80-\xff]/g, (byte) => escaped(Buffer.from(byte, 'latin1')));
}

function escapeQuery(value: string): string {
  const mark = value.search(/[?#]/);
  if (mark === -1) return value;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII, all of it
  const rest = value.slice(mark).replace(/[ \\]|[^\x00-\x7f]+/g, (text) => escaped(Buffer.from(text)));
  return value.slice(0, mark) + rest;
}

function escaped(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** Printable ASCII without space and `\`, and no encoded CR, LF or NUL: nothing that two readers take for different things. */
function isPlain(value: string): boolean {
  return /^[\x21-\x5b\x5d-\x7e]+$/.test(value) && !/%(?:25)*0[0ad]/i.test(value);
}

const absolute = /^(https?:\/\/(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?)([/?#].*)?$/i;

function placeOf(value: string, isOurs: (origin: string) => boolean): { origin: string; path: string } | undefined {
  const [, written, rest = '/'] = absolute.exec(value) ?? [];
  const origin = written === undefined ? undefined : URL.parse(written)?.origin;
  if (origin === undefined || !isOurs(origin)) return undefined;
  return { origin, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/**
 * Begins with one slash, and keeps to this origin however often somebody on the way decodes it. Dot segments are refused
 * with the rest: `/..//evil.test` is one slash away from another host.
 */
function isSafePath(path: string): boolean {
  let decoded = path.replace(/[?#].*$/, '');
  for (let round = 0; round < 4; round += 1) {
    if (decoded.startsWith('//') || /[^\x20-\x5b\x5d-\x7e]/.test(decoded)) return false;
    if (/\/\.\.?(?:[/;]|$)/.test(decoded)) return false;
    const next = decodeAscii(decoded);
    if (next === decoded) return true;
    decoded = next;
  }
  // Encoded more often than any honest address is.
  return false;
}

/** Decodes what stands for ASCII; other bytes, and a `%` that begins no escape, stay as they are. */
function decodeAscii(text: string): string {
  return text.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
