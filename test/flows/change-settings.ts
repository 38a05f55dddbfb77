import { readFile, rename, writeFile } from 'node:fs/promises';
import { type Document, parseDocument } from 'yaml';

/** Changes a settings file in one step, as editors do. */
export async function changeSettings(file: string, change: (document: Document.Parsed) => void): Promise<void> {
  const document = parseDocument(await readFile(file, 'utf8'));
  change(document);
  await writeFile(`${file}.next`, document.toString());
  await rename(`${file}.next`, file);
}
