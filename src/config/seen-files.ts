import { hash } from 'node:crypto';
import { readBoundedText } from './bounded-file.ts';

/** What a file was when it was read. */
export interface Seen {
  /** Bytes that were read of it at most. */
  readonly max: number;
  /** Of its content, or in a few words why there was none. */
  readonly digest: string;
}

/** Files by their absolute paths. */
export type SeenFiles = ReadonlyMap<string, Seen>;

/** Reads a file as `readBoundedText` does and notes what was seen. Never throws. */
export async function readSeen(
  file: string,
  max: number,
  files: Map<string, Seen>,
): Promise<Awaited<ReturnType<typeof readBoundedText>>> {
  const read = await readBoundedText(file, max);
  files.set(file, { max, digest: 'text' in read ? hash('sha256', read.text) : read.trouble });
  return read;
}

/** Reads the same files again. Never throws. */
export async function lookAgain(files: SeenFiles): Promise<SeenFiles> {
  const now = new Map<string, Seen>();
  await Promise.all([...files].map(([file, { max }]) => readSeen(file, max, now)));
  return now;
}

/** Files of `before` that are not what they were; by their paths, in the order in which they were read. */
export function changedFiles(before: SeenFiles, now: SeenFiles): readonly string[] {
  return [...before].flatMap(([file, { digest }]) => (now.get(file)?.digest === digest ? [] : [file]));
}
