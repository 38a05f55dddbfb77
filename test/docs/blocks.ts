import { readFile } from 'node:fs/promises';

/** A fenced block of a page, without its fences. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

/** Every fenced block of a page, in order. @param path from the root of the repository */
export async function blocksOf(path: string): Promise<readonly Block[]> {
  const page = await readPage(path);
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({ language, text }));
}

export function readPage(path: string): Promise<string> {
  return readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
}
