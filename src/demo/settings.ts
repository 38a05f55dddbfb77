import { parseDocument } from 'yaml';

/** A place in a settings file, and what is to stand there. */
export type Filling = readonly [path: readonly string[], value: string | number | boolean | readonly string[]];

/**
 * A settings file with some values replaced, all else as it was.
 *
 * @throws when a place does not exist: a template that lost it would otherwise be used with the wrong address
 */
export function fillSettings(template: string, fillings: readonly Filling[]): string {
  const document = parseDocument(template);
  for (const [path, value] of fillings) {
    if (!document.hasIn(path)) throw new Error(`no ${path.join('.')} in the settings template`);
    document.setIn(path, typeof value === 'object' ? document.createNode(value) : value);
  }
  return document.toString({ lineWidth: 0 });
}
