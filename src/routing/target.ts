/** A request target that can be read in one way only, or the refusal. `path` is byte for byte what will be forwarded. */
export type Target =
  | { readonly kind: 'target'; readonly path: string /** With the `?`; empty without one. */; readonly query: string }
  | { readonly kind: 'refused'; readonly why: string };

/**
 * Judges an untrusted request target. Nothing is normalised: a target that two readers could read differently is
 * refused. Only origin-form is taken (RFC 9112 §3.2.1): absolute-form, authority-form and `*` are refused, also for our
 * own host.
 *
 * Percent-encoding: escapes must be well-formed and spell UTF-8; an encoded slash, backslash or control character is
 * refused. `%25` is an ordinary character of names, except where a second decoding would uncover a slash, a backslash,
 * a dot, a NUL, CR or LF, or yet another escape.
 *
 * Takes time linear in the target's length.
 */
export function parseTarget(raw: string): Target {
  const mark = raw.indexOf('?');
  const path = mark === -1 ? raw : raw.slice(0, mark);
  const query = mark === -1 ? '' : raw.slice(mark);
  const why = plainPath.test(path) && path !== '' ? undefined : faultOfPath(path);
  if (why !== undefined) return { kind: 'refused', why };
  if (query !== '' && unsafeInQuery.test(query)) return { kind: 'refused', why: 'control character or # in the query' };
  return { kind: 'target', path, query };
}

// What nearly every request looks like: no escapes, no empty segments, none that begin with a dot.
const plainPath = /^(?:\/[\w~:@!$&'()*+,=-][\w.~:@!$&'()*+,=-]*)*\/?$/;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const unsafeInQuery = /[\x00-\x20\x7f#]/;

/** Why a path could be read in two ways; undefined when it cannot. */
function faultOfPath(path: string): string | undefined {
  if (!path.startsWith('/')) return 'not beginning with a slash';
  if (unsafeInPath.test(path)) return 'control character, non-ASCII byte, backslash or # in the path';
  // Servers that merge slashes see another path than those that don't, and `//host` reads as a host.
  if (path.includes('//')) return 'empty path segment';
  return faultOfEscapes(path) ?? (dotSegment.test(path) ? 'dot segment' : undefined);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const unsafeInPath = /[\x00-\x20\x7f-\uffff\\#]/;

// With parameters, too: some servers cut `;…` off a segment before they resolve dots.
const dotSegment = /\/(?:\.|%2e){1,2}(?:[/;]|%3b|$)/i;

const encodedSeparator = /%(?:2f|5c)/i;

const encodedTwice = /%25(?:2[5ef]|5c|00|0[ad])/i;

// Also the C1 controls, which are two bytes in UTF-8.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const control = /[\x00-\x1f\x7f-\x9f]/;

function faultOfEscapes(path: string): string | undefined {
  if (!path.includes('%')) return undefined;
  if (encodedSeparator.test(path)) return 'encoded slash or backslash';
  if (encodedTwice.test(path)) return 'twice encoded separator, dot or control character';
  try {
    return control.test(decodeURIComponent(path)) ? 'encoded control character' : undefined;
  } catch {
    // The only way to throw is what we look for: an escape that is malformed or spells no UTF-8 (overlong forms too).
    return 'malformed escape';
  }
}
