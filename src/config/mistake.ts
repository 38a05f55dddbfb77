/** Where a setting stands: keys, and positions in lists. */
export type Path = readonly (string | number)[];

/** One thing that is wrong with the settings, for the person who wrote them. Never holds a secret. */
export interface Mistake {
  /** Empty for the file as a whole. */
  readonly path: Path;
  readonly line?: number;
  /** What would have been right, to follow "expected". */
  readonly expected: string;
  /** What stood there instead; absent where that could be a secret. */
  readonly found?: string;
  /** What to do. */
  readonly hint?: string;
}

/** One line per mistake, in the order of the file: `file:line: path: expected …; found …. Hint`. */
export function describeMistakes(file: string, mistakes: readonly Mistake[]): string {
  const inOrder = mistakes.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return inOrder.map((mistake) => `${file}${mistake.line ? `:${mistake.line}` : ''}: ${describe(mistake)}\n`).join('');
}

/** The same without the file: `line 12: path: expected …; found …. Hint`. */
export function describeMistake(mistake: Mistake): string {
  return `${mistake.line ? `line ${mistake.line}: ` : ''}${describe(mistake)}`;
}

/** A path as people write it: `routes[2].path`. */
export function writePath(path: Path): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at > 0 ? '.' : ''}${step}`)).join('');
}

/** A value from the file, short enough to show, without credentials in URLs or control bytes. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a section';
  if (typeof value !== 'string') return String(value).slice(0, 60);
  const safe = value.replace(/\/\/[^/]*@/g, '//…@');
  return JSON.stringify(safe.length > 60 ? `${safe.slice(0, 59)}…` : safe);
}

function describe({ path, expected, found, hint }: Mistake): string {
  const where = path.length > 0 ? `${writePath(path)}: ` : '';
  return `${where}expected ${expected}${found === undefined ? '' : `; found ${found}`}${hint ? ` (${hint})` : ''}`;
}
