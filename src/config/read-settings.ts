import { meantWord } from './misspelt.ts';
import { type Mistake, type Path, show, writePath } from './mistake.ts';
import { type SettingsDraft, schema, upstreamName } from './schema.ts';
import type { Entry, Fields, Named, Rows, Section, Setting } from './setting.ts';

/**
 * Reads the content of a settings file by the schema: every setting on its own, so that one mistake hides no other.
 * What was wrong is undefined in the draft. Left out and left empty (`key:`) mean the same.
 */
export function readSettings(content: unknown): { draft: SettingsDraft; mistakes: readonly Mistake[] } {
  const mistakes: Mistake[] = [];
  const read = readSection(schema, content, [], mistakes);
  // The reader walks the schema that the type is made from.
  return { draft: read as SettingsDraft, mistakes };
}

function readEntry(entry: Entry, raw: unknown, path: Path, mistakes: Mistake[]): unknown {
  switch (entry.kind) {
    case 'setting':
      return readSetting(entry, raw, path, mistakes);
    case 'section':
      return readSection(entry, raw, path, mistakes);
    case 'rows':
      return readRows(entry, raw, path, mistakes);
    case 'named':
      return readNamed(entry, raw, path, mistakes);
  }
}

function readSetting(setting: Setting<unknown>, raw: unknown, path: Path, mistakes: Mistake[]): unknown {
  const isSilent = raw === undefined || raw === null;
  if (setting.presence === 'optional' && (isSilent || raw === '')) return undefined;
  if (isSilent && setting.presence === 'required') {
    mistakes.push({ path, expected: setting.expects, found: 'nothing', hint: 'it has no default' });
    return undefined;
  }
  const placeholder = findPlaceholder(raw);
  if (placeholder) {
    const found = setting.isPrivate ? {} : { found: placeholder };
    mistakes.push({
      path,
      expected: setting.expects,
      ...found,
      hint: 'put your own value in place of the placeholder',
    });
    return undefined;
  }
  const result = setting.schema.safeParse(isSilent ? setting.default : raw);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const steps = issue.path.filter((step) => typeof step !== 'symbol');
    const wrong = steps.reduce<unknown>((value, step) => (Array.isArray(value) ? value[Number(step)] : value), raw);
    const hint = (issue.code === 'custom' ? whyOf(issue.params) : '') || setting.why || hintFor(raw, setting);
    const found = setting.isPrivate ? {} : { found: show(wrong) };
    mistakes.push({ path: [...path, ...steps], expected: setting.expects, ...found, ...(hint && { hint }) });
  }
  return undefined;
}

function readSection(section: Section<Fields>, raw: unknown, path: Path, mistakes: Mistake[]): Record<string, unknown> {
  const isThere = isRecord(raw);
  if (!isThere && raw !== undefined && raw !== null) {
    mistakes.push({
      path,
      expected: `a section with ${Object.keys(section.fields).slice(0, 4).join(', ')} …`,
      found: show(raw),
    });
    return readFields(section, {}, path, []);
  }
  for (const key of Object.keys(isThere ? raw : {})) {
    if (!Object.hasOwn(section.fields, key)) mistakes.push(unknownKey(section, key, path));
  }
  return readFields(section, isThere ? raw : {}, path, mistakes);
}

function readFields(
  section: Section<Fields>,
  raw: Record<string, unknown>,
  path: Path,
  mistakes: Mistake[],
): Record<string, unknown> {
  const entries = Object.entries(section.fields).map(([key, entry]) => {
    const value = Object.hasOwn(raw, key) ? raw[key] : undefined;
    return [key, readEntry(entry, value, [...path, key], mistakes)] as const;
  });
  return Object.fromEntries(entries);
}

function readRows(list: Rows<Fields>, raw: unknown, path: Path, mistakes: Mistake[]): readonly unknown[] {
  if (list.isOptional && (raw === undefined || raw === null)) return [];
  const isTooShort = Array.isArray(raw) && raw.length === 0 && !list.isOptional;
  if (!Array.isArray(raw) || isTooShort || raw.length > list.max) {
    mistakes.push({
      path,
      expected: `a list of ${list.isOptional ? 0 : 1} to ${list.max}, each with ${Object.keys(list.row.fields).join(', ')}`,
      found: show(raw),
    });
    return [];
  }
  return raw.map((item: unknown, at) => readItem(list.row, item, [...path, at], mistakes));
}

function readNamed(group: Named<Fields>, raw: unknown, path: Path, mistakes: Mistake[]): Record<string, unknown> {
  const names = isRecord(raw) ? Object.keys(raw) : [];
  if (!isRecord(raw) || names.length === 0 || names.length > group.max) {
    mistakes.push({
      path,
      expected: `a section of 1 to ${group.max} names, each with ${Object.keys(group.entry.fields).join(', ')}`,
      found: show(raw),
    });
    return {};
  }
  for (const name of names.filter((name) => !upstreamName.test(name))) {
    mistakes.push({ path: [...path, name.slice(0, 64)], expected: 'a name of letters, digits, - and _, at most 63' });
  }
  return Object.fromEntries(
    names.map((name) => [name, readItem(group.entry, raw[name], [...path, name.slice(0, 64)], mistakes)]),
  );
}

/** An empty item is as wrong as a text: somebody meant to say something. */
function readItem(section: Section<Fields>, raw: unknown, path: Path, mistakes: Mistake[]): Record<string, unknown> {
  return readSection(section, raw ?? {}, path, mistakes);
}

function unknownKey(section: Section<Fields>, key: string, path: Path): Mistake {
  const at = [...path, key.slice(0, 64)];
  const expected = 'a setting that exists';
  const refused = Object.hasOwn(section.refused, key) ? section.refused[key] : undefined;
  if (refused) return { path: at, expected: 'the setting to be left out', hint: refused };
  const meant = meantWord(key, Object.keys(section.fields));
  if (meant) return { path: at, expected, hint: `did you mean ${meant}?` };
  const elsewhere = placesOf(key, schema, []);
  if (elsewhere.length === 1) return { path: at, expected, hint: `did you mean ${elsewhere[0]}?` };
  return { path: at, expected, hint: `there are ${Object.keys(section.fields).join(', ')}` };
}

/** Where in the whole schema a key has its place. */
function placesOf(key: string, section: Section<Fields>, path: Path): readonly string[] {
  return Object.entries(section.fields).flatMap(([name, entry]) => {
    const here = name === key ? [writePath([...path, name])] : [];
    return entry.kind === 'section' ? [...here, ...placesOf(key, entry, [...path, name])] : here;
  });
}

function findPlaceholder(raw: unknown): string | undefined {
  const texts = Array.isArray(raw)
    ? raw.filter((item) => typeof item === 'string')
    : typeof raw === 'string'
      ? [raw]
      : [];
  for (const text of texts) {
    const found = /<[A-Za-z][A-Za-z0-9 _-]{0,60}>/.exec(text);
    if (found) return found[0];
  }
  return undefined;
}

function hintFor(raw: unknown, setting: Setting<unknown>): string {
  if (typeof raw === 'number' && (setting.type === 'duration' || setting.type === 'size'))
    return 'write the unit with the number';
  if (typeof raw === 'string' && setting.type === 'flag')
    return 'yes, no, on, off and quoted words are texts in YAML 1.2';
  if (typeof raw === 'string' && setting.type === 'choice') {
    const meant = meantWord(raw, setting.bounds.split(', '));
    return meant ? `did you mean ${meant}?` : '';
  }
  if (typeof raw === 'string' && setting.type.startsWith('list')) return 'a list of one is written in [brackets]';
  return '';
}

/** What a row's own parser had to say. */
function whyOf(params: Record<string, unknown> | undefined): string {
  const { why } = params ?? {};
  return typeof why === 'string' ? why : '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
