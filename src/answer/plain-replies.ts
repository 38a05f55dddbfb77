import type { Reply } from '../server/exchange.ts';
import { plainRefusal, refusalFor } from './refusal.ts';

/** What every answer of an own URL that nobody is to keep carries. */
export const documentFields: readonly string[] = ['Cache-Control', 'no-store', 'Referrer-Policy', 'no-referrer'];

/** A status and nothing else. */
export function bare(status: number): Reply {
  return { status, fields: documentFields };
}

/** 405, and which methods there are. @param id reference of the request */
export function methodRefused(methods: readonly string[], id: string): Reply {
  const reply = plainRefusal(refusalFor('method_refused'), id);
  return { ...reply, fields: [...reply.fields, 'Allow', methods.join(', ')] };
}
