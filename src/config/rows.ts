import { z } from 'zod';
import type { Address } from './config.ts';
import type { Setting, Written } from './setting.ts';
import type { Millis } from './units.ts';
import { type Parsed, parseAddress, parseDuration, parseSize } from './values.ts';

interface Row {
  readonly doc: string;
  readonly default?: Written;
  readonly example?: Written;
}

/** A length of time, 0 to the bounds included. All three are written as in the file. */
export function duration(row: { doc: string; default: string; min: string; max: string }): Setting<Millis> {
  const within = between(read(parseDuration(row.min)), read(parseDuration(row.max)));
  const bounds = `${row.min} to ${row.max}`;
  const expects = `a duration from ${bounds}, such as ${row.default}`;
  return setting(row, {
    type: 'duration',
    expects,
    bounds,
    schema: parsing((text) => within(parseDuration(text)), /^(\d+(\.\d+)?(d|h|m|s|ms))+$/),
  });
}

/** An amount of bytes; written as in the file. */
export function size(row: Row & { default?: string; example?: string; min: string; max: string }): Setting<number> {
  const within = between(read(parseSize(row.min)), read(parseSize(row.max)));
  const bounds = `${row.min} to ${row.max}`;
  const expects = `a size from ${bounds}, such as ${row.default ?? row.example}`;
  return setting(row, {
    type: 'size',
    expects,
    bounds,
    schema: parsing((text) => within(parseSize(text)), /^\d+(B|KiB|MiB|GiB)$/),
  });
}

/** A whole number. */
export function count(row: { doc: string; default: number; min: number; max: number; unit: string }): Setting<number> {
  const bounds = `${row.min} to ${row.max}`;
  return {
    ...setting(row, {
      type: 'number',
      expects: `a whole number from ${bounds}`,
      bounds,
      schema: z.int().min(row.min).max(row.max),
    }),
    unit: row.unit,
  };
}

/** A whole number, or one word that stands for a number that the machine knows. */
export function countOr<const W extends string>(row: {
  doc: string;
  default: number;
  min: number;
  max: number;
  word: W;
}): Setting<number | W> {
  const bounds = `${row.min} to ${row.max}, or ${row.word}`;
  const schema = z.union([z.int().min(row.min).max(row.max), z.literal(row.word)]);
  return setting(row, { type: 'number or word', expects: `a whole number from ${bounds}`, bounds, schema });
}

/** true or false, as YAML 1.2 spells them. */
export function flag(row: { doc: string; default: boolean }): Setting<boolean> {
  return setting(row, { type: 'flag', expects: 'true or false', bounds: '', schema: z.boolean() });
}

/** A flag that pasted files carry and that has one acceptable value. */
export function mustBe<const V extends boolean>(row: { doc: string; default: V; why: string }): Setting<V> {
  const expects = String(row.default);
  return { ...setting(row, { type: 'flag', expects, bounds: expects, schema: z.literal(row.default) }), why: row.why };
}

/** One word of several. @param row.why what to say of any other word */
export function choice<const V extends string>(row: {
  doc: string;
  default: NoInfer<V>;
  of: readonly V[];
  why?: string;
}): Setting<V> {
  const words = row.of.join(', ');
  const expects = row.of.length === 1 ? words : `one of ${words}`;
  return { ...setting(row, { type: 'choice', expects, bounds: words, schema: z.enum(row.of) }), why: row.why ?? '' };
}

/** `host:port` to listen on. */
export function address(row: { doc: string; default: string }): Setting<Address> {
  return parsed({ ...row, type: 'address', expects: 'host:port, such as 127.0.0.1:8080', parse: parseAddress });
}

/** Any text that fits on one line. @param row.max characters */
export function line(row: Row & { type?: string; expects: string; max: number; form?: RegExp }): Setting<string> {
  const form = row.form ?? /^[^\p{Cc}]+$/u;
  const schema = z.string().min(1).max(row.max).regex(form);
  return setting(row, { type: row.type ?? 'text', expects: row.expects, bounds: '', schema });
}

/** A text with a form of its own. */
export function parsed<T>(
  row: Row & { type: string; expects: string; parse: (text: string) => Parsed<T> },
): Setting<T> {
  return setting(row, { type: row.type, expects: row.expects, bounds: '', schema: parsing(row.parse) });
}

/** One text, or several in a list: always read as a list. @param row.max how many */
export function oneOrMore<T>(
  row: Row & { type: string; item: string; max: number; parse: (text: string) => Parsed<T> },
): Setting<readonly T[]> {
  const text = z.string().max(2048);
  const schema = z.union([text, z.array(text).min(1).max(row.max)]).transform((written, context) => {
    const isList = Array.isArray(written);
    return (isList ? written : [written]).flatMap((value, at) => {
      const result = row.parse(value);
      if ('value' in result) return [result.value];
      context.addIssue({ code: 'custom', params: { why: result.wrong }, ...(isList && { path: [at] }) });
      return [];
    });
  });
  const expects = `${row.item}, or a list of up to ${row.max} of them`;
  return setting<readonly T[]>(row, { type: row.type, expects, bounds: '', schema });
}

/** A list of texts; without a default, one that has to be there and not empty. @param row.max how many */
export function listOf<T>(
  item: Setting<T>,
  row: { default?: readonly string[]; example?: readonly string[]; max: number },
): Setting<readonly T[]> {
  const { max, ...rest } = row;
  const least = row.default === undefined ? 1 : 0;
  const bounds = least === 0 ? `up to ${max}` : `${least} to ${max}`;
  const schema = z.array(item.schema).min(least).max(max);
  const expects = `a list of ${bounds}, each ${item.expects}`;
  return setting<readonly T[]>({ doc: item.doc, ...rest }, { type: `list of ${item.type}`, expects, bounds, schema });
}

/** A section or value that other programs read and this one has no use for. */
export function ignored(doc: string): Setting<undefined> {
  const schema = z.unknown().transform(() => undefined);
  return {
    ...setting({ doc }, { type: 'anything', expects: 'anything', bounds: '', schema }),
    presence: 'optional',
    isPrivate: true,
  };
}

type Kind<T> = Pick<Setting<T>, 'type' | 'expects' | 'bounds' | 'schema'>;

function setting<T>(row: Row, kind: Kind<T>): Setting<T> {
  const { doc, default: byDefault, example } = row;
  const presence = byDefault === undefined ? 'required' : 'default';
  return {
    kind: 'setting',
    doc,
    unit: '',
    why: '',
    isPrivate: false,
    presence,
    ...kind,
    ...(byDefault !== undefined && { default: byDefault }),
    ...(example !== undefined && { example }),
  };
}

function parsing<T>(parse: (text: string) => Parsed<T>, form?: RegExp): z.ZodType<T> {
  const text = form ? z.string().meta({ pattern: form.source }) : z.string();
  return text.max(2048).transform((value, context) => {
    const result = parse(value);
    if ('value' in result) return result.value;
    context.addIssue({ code: 'custom', params: { why: result.wrong } });
    return z.NEVER;
  });
}

function between(min: number, max: number): (result: Parsed<number>) => Parsed<number> {
  return (result) => ('value' in result && (result.value < min || result.value > max) ? { wrong: '' } : result);
}

function read<T>(result: Parsed<T>): T {
  if ('value' in result) return result.value;
  throw new Error(`a bound of a setting is misspelt: ${result.wrong}`);
}
