import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import type { Mistake, Path } from './mistake.ts';

/** A YAML text as plain values. Nothing in it was judged yet. */
export interface YamlFile {
  readonly content: unknown;
  /** What kept it from being read; then there is no content. */
  readonly mistakes: readonly Mistake[];
  /** The line a setting stands on, or its nearest parent that is there; undefined in an empty file. */
  readonly lineOf: (path: Path) => number | undefined;
}

/** How often aliases may be expanded in one file. */
const maxAliases = 100;

/**
 * Reads one YAML 1.2 document. Never throws: repeated keys, unknown tags, keys that are no strings, several documents,
 * aliases that multiply and nesting beyond the stack are mistakes.
 */
export function readYaml(text: string): YamlFile {
  try {
    return parseText(text);
  } catch {
    // Only nesting deeper than the stack and aliases over their bound get here: the text says nothing we could use.
    return unreadable([
      { path: [], expected: `YAML without deep nesting and with at most ${maxAliases} uses of aliases` },
    ]);
  }
}

function parseText(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
    stringKeys: true,
  });
  const complaints = [...document.errors, ...document.warnings].slice(0, 20);
  if (complaints.length > 0) {
    return unreadable(
      complaints.map(({ pos, code }) => ({
        path: [],
        line: lines.linePos(pos[0]).line,
        expected: `valid YAML 1.2`,
        hint: describeCode(code),
      })),
    );
  }
  const content: unknown = document.toJS({ maxAliasCount: maxAliases });
  return { content, mistakes: [], lineOf: (path) => lineOf(document.contents, path, lines) };
}

function unreadable(mistakes: readonly Mistake[]): YamlFile {
  return { content: undefined, mistakes, lineOf: () => undefined };
}

/** `DUPLICATE_KEY` → `duplicate key`. The library's own sentences quote the file. */
function describeCode(code: string): string {
  return code === 'DUPLICATE_KEY' ? 'the same key stands there twice' : code.toLowerCase().replaceAll('_', ' ');
}

function lineOf(root: Node | null, path: Path, lines: LineCounter): number | undefined {
  let node: unknown = root;
  let offset = root?.range?.[0];
  for (const step of path) {
    const child = isMap(node) ? node.items.find((pair) => keyOf(pair) === String(step)) : undefined;
    const item = isSeq(node) && typeof step === 'number' ? node.items[step] : undefined;
    if (!child && !item) break;
    const start = startOf(child ? child.key : item);
    if (start !== undefined) offset = start;
    node = child ? child.value : item;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function keyOf(pair: Pair): string | undefined {
  return isScalar(pair.key) ? String(pair.key.value) : undefined;
}

function startOf(node: unknown): number | undefined {
  const isPlaced = isScalar(node) || isMap(node) || isSeq(node);
  return isPlaced ? node.range?.[0] : undefined;
}
