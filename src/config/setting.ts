import type { z } from 'zod';

/** A value as the file spells it. */
export type Written = string | number | boolean | readonly string[];

/** One setting: everything there is to know about it, in one place. The generated pages and the mistakes are written from it. */
export interface Setting<T> {
  readonly kind: 'setting';
  /** One line: what it does. */
  readonly doc: string;
  /** Its kind of value in a word or two: `duration`, `URL` … */
  readonly type: string;
  /** What a right value looks like, to follow "expected". */
  readonly expects: string;
  /** Least and greatest value, or the choices; empty where there are none. */
  readonly bounds: string;
  /** What a bare number counts; empty where values carry their unit. */
  readonly unit: string;
  /** Whether the file has to say it, may say it, or is read as if it had said `default`. */
  readonly presence: 'required' | 'optional' | 'default';
  readonly default?: Written;
  /** For the example file, where there is no default. */
  readonly example?: Written;
  /** What to say of every wrong value; empty where `expects` says it all. */
  readonly why: string;
  /** People may paste a secret here by mistake: what was found is never shown. */
  readonly isPrivate: boolean;
  readonly schema: z.ZodType<T>;
}

/** Settings under one key. */
export interface Section<F extends Fields> {
  readonly kind: 'section';
  readonly doc: string;
  readonly fields: F;
  /** Keys that are known but refused, with what to do instead. */
  readonly refused: Readonly<Record<string, string>>;
}

/** A list of sections. */
export interface Rows<F extends Fields> {
  readonly kind: 'rows';
  readonly doc: string;
  readonly row: Section<F>;
  readonly max: number;
  /** Whether the list may be left out or empty. */
  readonly isOptional: boolean;
}

/** Sections by a name that the operator chooses. */
export interface Named<F extends Fields> {
  readonly kind: 'named';
  readonly doc: string;
  readonly entry: Section<F>;
  readonly max: number;
  /** The name in generated pages. */
  readonly exampleName: string;
}

export type Fields = Readonly<Record<string, Entry>>;
export type Entry = Setting<unknown> | Section<Fields> | Rows<Fields> | Named<Fields>;

/** The values of a file without mistakes. */
export type Settled<E> =
  E extends Setting<infer T>
    ? T
    : E extends Section<infer F>
      ? { readonly [K in keyof F]: Settled<F[K]> }
      : E extends Rows<infer F>
        ? readonly Settled<Section<F>>[]
        : E extends Named<infer F>
          ? Readonly<Record<string, Settled<Section<F>>>>
          : never;

/** The values of a file that may have mistakes: whatever could not be read is undefined. */
export type Draft<E> =
  E extends Setting<infer T>
    ? T | undefined
    : E extends Section<infer F>
      ? { readonly [K in keyof F]: Draft<F[K]> }
      : E extends Rows<infer F>
        ? readonly Draft<Section<F>>[]
        : E extends Named<infer F>
          ? Readonly<Record<string, Draft<Section<F>>>>
          : never;

/** Settings under one key. @param refused known keys of other programs, each with what to do instead */
export function section<F extends Fields>(
  doc: string,
  fields: F,
  refused: Readonly<Record<string, string>> = {},
): Section<F> {
  return { kind: 'section', doc, fields, refused };
}

/** A list of 1 to `max` sections. */
export function rows<F extends Fields>(doc: string, max: number, row: Section<F>): Rows<F> {
  return { kind: 'rows', doc, row, max, isOptional: false };
}

/** The same that may be left out, or empty. */
export function optionalRows<F extends Fields>(doc: string, max: number, row: Section<F>): Rows<F> {
  return { ...rows(doc, max, row), isOptional: true };
}

/** 1 to `max` sections by name. */
export function named<F extends Fields>(
  doc: string,
  limits: { max: number; exampleName: string },
  entry: Section<F>,
): Named<F> {
  return { kind: 'named', doc, entry, ...limits };
}

/** A setting that may be left out or left empty. */
export function optional<T>(setting: Setting<T>): Setting<T | undefined> {
  return { ...setting, presence: 'optional' };
}

/** A setting whose value is never shown in a mistake. */
export function hidden<T>(setting: Setting<T>): Setting<T> {
  return { ...setting, isPrivate: true };
}
