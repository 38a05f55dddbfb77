/**
 * Whether a text is one plain e-mail address: `local@domain` and nothing else, so that no two readers see different people
 * in it (`a@evil@corp.com`, quoted local parts, comments, lists, display names, line breaks).
 *
 * @see RFC 5322 §3.4.1 dot-atom, with the letters of RFC 6531; at most 254 characters (RFC 5321 §4.5.3.1.3)
 */
export function isPlainAddress(text: string): boolean {
  return text.length <= 254 && ADDRESS.test(text);
}

const ADDRESS = /^[\p{L}\p{N}\p{M}!#$%&'*+/=?^_`{|}~.-]+@[\p{L}\p{N}\p{M}-]+(?:\.[\p{L}\p{N}\p{M}-]+)*$/u;
