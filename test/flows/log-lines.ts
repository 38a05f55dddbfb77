import { createLog, type LogOutput } from '../../src/observe/log.ts';

export type Line = Readonly<Record<string, unknown>>;

/** What a gateway writes to its log, kept as text and as facts. */
export interface LogLines {
  readonly output: LogOutput;
  readonly lines: readonly Line[];
  text(): string;
  /** Lines of one event. */
  of(event: string): readonly Line[];
  /** Resolves with the first line, written already or later, that the test says yes to. */
  until(isIt: (line: Line) => boolean): Promise<Line>;
}

/** The real log at level debug, into memory instead of standard output. */
export function createLogLines(): LogLines {
  const lines: Line[] = [];
  const texts: string[] = [];
  const waiting = new Set<(line: Line) => void>();
  const write = (text: string) => {
    const line: unknown = JSON.parse(text);
    if (typeof line !== 'object' || line === null) throw new Error('a log line that is no object');
    texts.push(text);
    lines.push({ ...line });
    for (const look of waiting) look({ ...line });
  };
  return {
    output: createLog({ level: 'debug', stream: { write } }),
    lines,
    text: () => texts.join(''),
    of: (event) => lines.filter((line) => line['event'] === event),
    until: (isIt) => {
      const known = lines.find(isIt);
      if (known) return Promise.resolve(known);
      return new Promise((resolve) => {
        const look = (line: Line) => {
          if (!isIt(line)) return;
          waiting.delete(look);
          resolve(line);
        };
        waiting.add(look);
      });
    },
  };
}
