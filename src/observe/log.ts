import { type DestinationStream, type Logger, pino } from 'pino';
import { createLinesOut, type LinesOut } from './lines-out.ts';

/** Facts beside an event name; never a token, cookie, code or whole URL. */
export type Facts = Readonly<Record<string, unknown>>;

/** Rooms say what happened by name; this room decides how it is written. */
export interface Log {
  debug(event: string, facts?: Facts): void;
  info(event: string, facts?: Facts): void;
  warn(event: string, facts?: Facts): void;
  error(event: string, facts?: Facts): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogOutput {
  readonly log: Log;
  /** The least level that is written from now on. */
  setLevel(level: LogLevel): void;
  /** Writes out what is buffered, at once. */
  flush(): void;
}

/**
 * JSON lines, gathered up to 64 kB or one second; warnings and errors go out at once. No line is waited for.
 *
 * @param needs.level  the least level that is written
 * @param needs.stream where to, instead of standard output
 * @param needs.worker which of several processes that write there: stands in each line
 */
export function createLog(needs: { level: LogLevel; stream?: DestinationStream; worker?: number }): LogOutput {
  const { worker } = needs;
  const out = needs.stream ? undefined : createStandardOutput(worker !== undefined);
  const logger = pino(
    {
      level: needs.level,
      base: worker === undefined ? null : { worker },
      timestamp: createTimestamp(),
      formatters: { level: (label) => ({ level: label }) },
      serializers: { cause: describeCause },
    },
    needs.stream ?? out,
  );
  return {
    log: writeThrough(logger, () => out?.hurry()),
    setLevel: (level) => {
      logger.level = level;
    },
    flush: () => out?.flushSync(),
  };
}

/** Whatever ends the process, the last lines say why. */
function createStandardOutput(isShared: boolean): LinesOut {
  const out = createLinesOut(1, isShared);
  process.once('exit', () => out.flushSync());
  return out;
}

/** The moment as pino wants it; written out once for all lines of one millisecond. */
function createTimestamp(): () => string {
  let at = Number.NaN;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== at) {
      at = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

function writeThrough(logger: Logger, hurry: () => void): Log {
  return {
    debug: (event, facts) => {
      // A line that nobody writes should cost next to nothing.
      if (logger.isLevelEnabled('debug')) logger.debug({ event, ...facts });
    },
    info: (event, facts) => logger.info({ event, ...facts }),
    warn: (event, facts) => {
      logger.warn({ event, ...facts });
      hurry();
    },
    error: (event, facts) => {
      logger.error({ event, ...facts });
      hurry();
    },
  };
}

/** An error as a chain of short sentences: names, codes and messages of the error and its causes, no stack. */
function describeCause(cause: unknown): string {
  const parts: string[] = [];
  let at: unknown = cause;
  while (at instanceof Error && parts.length < 5) {
    const code = 'code' in at && typeof at.code === 'string' ? `${at.code}: ` : '';
    parts.push(`${code}${at.message}`.slice(0, 300));
    at = at.cause;
  }
  return parts.length > 0 ? parts.join(' ← ') : String(cause).slice(0, 300);
}
