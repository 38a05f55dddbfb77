/** Fields that Node's HTTP/2 refuses to write more than once in one message. */
const SINGLE = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
]);

/**
 * The first of each field that HTTP/2 can say only once, and all others: whoever sends one twice has said it, and the
 * message is not worth losing over it.
 *
 * @param flat names in lower case
 */
export function withoutRepeats<Flat extends readonly string[]>(flat: Flat): Flat | string[] {
  const seen: string[] = [];
  let kept: string[] | undefined;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? '';
    if (SINGLE.has(name)) {
      if (seen.includes(name)) {
        kept ??= flat.slice(0, i);
        continue;
      }
      seen.push(name);
    }
    kept?.push(name, flat[i + 1] ?? '');
  }
  return kept ?? flat;
}
