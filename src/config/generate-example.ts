import { stringify } from 'yaml';
import type { Entry, Fields, Rows, Section, Setting, Written } from './setting.ts';

/**
 * A settings file with every setting and its doc: what is required stands there with an example, the rest is commented out
 * at its default. It can be loaded as it is.
 */
export function writeExample(schema: Section<Fields>): string {
  const head = [
    '# yaml-language-server: $schema=schema.json',
    `# ${schema.doc}.`,
    '#',
    '# Written by `npm run generate` from src/config/schema.ts. Lines that begin with `# e.g.` have no default.',
    '',
  ];
  const parts = Object.entries(schema.fields).map(([key, entry]) => [...linesOf(key, entry, ''), ''].join('\n'));
  return `${head.join('\n')}\n${parts.join('\n').trimEnd()}\n`;
}

/** The first place where secrets are looked for is worth saying even though it has a default. */
const spelledOut: readonly string[] = ['secretsDir', 'access'];

function linesOf(key: string, entry: Entry, indent: string): readonly string[] {
  switch (entry.kind) {
    case 'setting':
      return settingLines(key, entry, indent);
    case 'section':
      return sectionLines(key, entry, indent);
    case 'rows':
      if (entry.isOptional) return optionalRowLines(key, entry, indent);
      return [`${indent}# ${entry.doc}.`, `${indent}${key}:`, ...asRow(fieldLines(entry.row, `${indent}    `), indent)];
    case 'named':
      return [
        `${indent}# ${entry.doc}.`,
        `${indent}${key}:`,
        `${indent}  ${entry.exampleName}:`,
        ...fieldLines(entry.entry, `${indent}    `),
      ];
  }
}

/** A list that may be left out stands there with its docs, every line of it commented out. */
function optionalRowLines(key: string, list: Rows<Fields>, indent: string): readonly string[] {
  const lines = asRow(fieldLines(list.row, `${indent}    `), indent);
  const asComment = (line: string) => `${indent}# ${line.slice(indent.length)}`;
  return [`${indent}# ${list.doc}.`, `${indent}# e.g. ${key}:`, ...lines.map(asComment)];
}

function sectionLines(key: string, section: Section<Fields>, indent: string): readonly string[] {
  const lines = fieldLines(section, `${indent}  `);
  return [`${indent}# ${section.doc}.`, `${indent}${key}:`, ...lines];
}

function fieldLines(section: Section<Fields>, indent: string): readonly string[] {
  return Object.entries(section.fields).flatMap(([key, entry]) => linesOf(key, entry, indent));
}

function settingLines(key: string, setting: Setting<unknown>, indent: string): readonly string[] {
  // What has no effect here is no example to follow.
  if (setting.type === 'anything') return [];
  const facts = [setting.bounds, setting.unit].filter((part) => part !== '').join(' ');
  const doc = `${indent}# ${setting.doc}${facts ? ` (${facts})` : ''}`;
  const isActive = setting.presence === 'required' || spelledOut.includes(key);
  const mark = isActive ? '' : setting.presence === 'optional' ? '# e.g. ' : '# ';
  return [doc, `${indent}${mark}${key}: ${writeValue(setting.default ?? setting.example ?? '')}`];
}

/** Turns the lines of a section into one item of a list: the dash goes before the first key that isn't commented out. */
function asRow(lines: readonly string[], indent: string): readonly string[] {
  const first = lines.findIndex((line) => !line.trimStart().startsWith('#'));
  return lines.map((line, at) => (at === first ? `${indent}  - ${line.trimStart()}` : line));
}

function writeValue(value: Written): string {
  return stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();
}
