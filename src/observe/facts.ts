import { hash } from 'node:crypto';

/** Tells people apart in log lines without naming them: 12 hexadecimal characters. */
export function personDigest(issuer: string, subject: string): string {
  return hash('sha256', `${issuer}\n${subject}`, 'hex').slice(0, 12);
}

/** Characters of a path in a log line at most. */
const longestPath = 300;

/** A request's path for a log line: bounded, and without the tokens that some clients put into paths. */
export function pathFact(path: string): string {
  const shown = path.includes('eyJ') ? path.replace(/eyJ[\w-]{8,}(?:\.[\w-]*)*/g, '[token]') : path;
  return shown.length > longestPath ? `${shown.slice(0, longestPath)}…` : shown;
}

/** What is needed to find a mistake of ours: the error and where it came from, at most 2,000 characters of it. */
export function bugFacts(cause: unknown): { readonly cause: unknown; readonly stack?: string } {
  return cause instanceof Error && cause.stack ? { cause, stack: cause.stack.slice(0, 2000) } : { cause };
}
