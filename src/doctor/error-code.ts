import { Failure } from '../failure.ts';

/** The code that the system, Node or OpenSSL gave an error or one of its causes; undefined where there is none. */
export function errorCode(error: unknown): string | undefined {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < 5; depth += 1) {
    if (!(at instanceof Failure) && 'code' in at && typeof at.code === 'string') return at.code;
    at = at.cause;
  }
  return undefined;
}

/** An error in a few words, for the operator: its code where it has one. */
export function shortly(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined) return code;
  return error instanceof Error ? error.message : 'an unknown error';
}
