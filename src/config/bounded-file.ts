import { createReadStream } from 'node:fs';

/**
 * Reads a UTF-8 text no larger than a bound. It never throws.
 *
 * @param max bytes
 * @returns the text, or in a few words why there is none (never a part of the file or its path), and whether there is no
 * such file
 */
export async function readBoundedText(
  file: string,
  max: number,
): Promise<{ readonly text: string } | { readonly trouble: string; readonly isMissing: boolean }> {
  try {
    const content = await readUpTo(file, max);
    return content
      ? { text: new TextDecoder('utf-8', { fatal: true }).decode(content) }
      : { trouble: `more than ${max} bytes`, isMissing: false };
  } catch (cause) {
    // Whoever asked tells it: nothing starts with a file that cannot be read.
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    return { trouble: describe(cause), isMissing };
  }
}

async function readUpTo(file: string, max: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  // `end` is inclusive: one byte more than allowed tells that there is more.
  for await (const chunk of createReadStream(file, { end: max })) if (chunk instanceof Buffer) chunks.push(chunk);
  const content = Buffer.concat(chunks);
  return content.length > max ? undefined : content;
}

function describe(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file';
  if (code === 'EACCES') return 'a file that may not be read';
  if (code === 'EISDIR') return 'a folder';
  return code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'bytes that are not UTF-8' : `something unreadable (${code})`;
}
