/**
 * Decodes one base64url segment as strictly as it can be written (RFC 4648 §5, RFC 7515 §2): no padding, no whitespace, no
 * other alphabet, and no spare bits set in the last character, so that no two strings stand for the same bytes.
 *
 * @returns undefined for anything else, and for an empty segment
 */
export function decodeBase64url(segment: string): Buffer | undefined {
  if (segment === '') return undefined;
  const bytes = Buffer.from(segment, 'base64url');
  return bytes.toString('base64url') === segment ? bytes : undefined;
}
