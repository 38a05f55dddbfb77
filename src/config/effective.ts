import { schema } from './schema.ts';
import type { Entry, Fields, Section } from './setting.ts';

/** Settings under the file's own keys. */
export type Effective = Readonly<Record<string, unknown>>;

/**
 * Every setting in force, as a file would spell it: what is written and the defaults. Left out is what is not set, and what
 * names secrets.
 *
 * @param content without mistakes, presets expanded
 */
export function effectiveSettings(content: unknown): Effective {
  return ofSection(schema, content);
}

function ofSection(section: Section<Fields>, content: unknown): Effective {
  const entries = Object.entries(section.fields).map(([key, entry]) => [key, ofEntry(entry, fieldOf(content, key))]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function ofEntry(entry: Entry, content: unknown): unknown {
  switch (entry.kind) {
    case 'setting':
      if (entry.isPrivate || (entry.presence === 'optional' && content === '')) return undefined;
      return content ?? entry.default;
    case 'section': {
      const settings = ofSection(entry, content);
      return Object.keys(settings).length > 0 ? settings : undefined;
    }
    case 'rows':
      return Array.isArray(content) ? content.map((row) => ofSection(entry.row, row)) : [];
    case 'named':
      return Object.fromEntries(
        Object.entries(isRecord(content) ? content : {}).map(([name, value]) => [name, ofSection(entry.entry, value)]),
      );
  }
}

function fieldOf(content: unknown, key: string): unknown {
  return isRecord(content) && Object.hasOwn(content, key) ? content[key] : undefined;
}

function isRecord(value: unknown): value is Effective {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
