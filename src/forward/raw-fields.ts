/** Header fields as they come from a parser: names and values in turn. */
export type RawFields = readonly (string | Uint8Array)[];

/** A head is at most so long; what lies further apart was not read as one. */
const LONGEST_SPAN = 131_072;

/**
 * Names and values as latin1 strings, byte for byte.
 *
 * A parser that gives them as bytes gives parts of what it read at once: that is made a string once, and cut where the
 * parts are, for half of what it costs to make each of them one.
 */
export function textOf(raw: RawFields): readonly string[] {
  if (isText(raw)) return raw;
  return fromOnePiece(raw) ?? raw.map(asText);
}

function isText(raw: RawFields): raw is readonly string[] {
  return raw.every((part) => typeof part === 'string');
}

function fromOnePiece(raw: RawFields): string[] | undefined {
  const first = raw[0];
  const last = raw[raw.length - 1];
  if (!(first instanceof Uint8Array) || !(last instanceof Uint8Array)) return undefined;
  const { buffer, byteOffset: start } = first;
  const length = last.byteOffset + last.byteLength - start;
  if (last.buffer !== buffer || length < 0 || length > LONGEST_SPAN) return undefined;
  const whole = Buffer.from(buffer, start, length).toString('latin1');
  const strings: string[] = [];
  for (const part of raw) {
    if (!(part instanceof Uint8Array) || part.buffer !== buffer) return undefined;
    const at = part.byteOffset - start;
    if (at < 0 || at + part.byteLength > length) return undefined;
    strings.push(whole.slice(at, at + part.byteLength));
  }
  return strings;
}

function asText(part: string | Uint8Array): string {
  if (typeof part === 'string') return part;
  return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('latin1');
}
