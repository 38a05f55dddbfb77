import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Paths of the programs that are used where they are installed. */
export interface Tools {
  readonly wrk: string | undefined;
  readonly h2load: string | undefined;
  readonly nginx: string | undefined;
  readonly oauth2Proxy: string | undefined;
}

/** The path of a program; undefined when it is not installed. */
export function findTool(name: string): string | undefined {
  // System programs like nginx are often out of an ordinary user's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run: either way not found.
    return false;
  }
}
