import { type DestinationStream, destination, type Logger, pino } from 'pino';

/** Facts beside an event name; never a token, cookie, code or whole URL. */
export type Facts = Readonly<Record<string, unknown>>;

/** Rooms say what happened by name; this room decides how it is written. */
export interface Log {
  debug(event: string, facts?: Facts): void;
  info(event: string, facts?: Facts): void;
  warn(event: string, facts?: Facts): void;
  error(event: string, facts?: Facts): void;
}

export interface LogOutput {
  readonly log: Log;
  /** Writes out what is buffered, at once. */
  flush(): void;
}

/**
 * JSON lines, buffered up to 16 kB or one second; warnings and errors flush at once.
 *
 * @param needs.level  the least level that is written
 * @param needs.stream where to, instead of standard output
 */
export function createLog(needs: {
  level: 'debug' | 'info' | 'warn' | 'error';
  stream?: DestinationStream;
}): LogOutput {
  const sink = needs.stream ?? destination({ dest: 1, sync: false, minLength: 16_000, periodicFlush: 1000 });
  const flush = () => {
    if ('flushSync' in sink && typeof sink.flushSync === 'function') sink.flushSync();
  };
  const logger = pino(
    {
      level: needs.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { cause: describeCause },
    },
    sink,
  );
  return { log: writeThrough(logger, flush), flush };
}

function writeThrough(logger: Logger, flush: () => void): Log {
  return {
    debug: (event, facts) => logger.debug({ event, ...facts }),
    info: (event, facts) => logger.info({ event, ...facts }),
    warn: (event, facts) => {
      logger.warn({ event, ...facts });
      flush();
    },
    error: (event, facts) => {
      logger.error({ event, ...facts });
      flush();
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
