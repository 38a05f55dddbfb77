import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';

/** What was found out is believed so long. */
export const believedForMs: Millis = 5_000;

/**
 * Whether an issuer is out of reach right now, found out by asking it: one question at a time for however many want to know,
 * and none within 5 s of the last answer.
 *
 * @param needs.ask one attempt to have anything of the issuer; its own limits end it
 * @returns a question that resolves with the failure, `issuer_unreachable`, and with nothing when the issuer answers. Never rejects
 */
export function createOutage(needs: {
  ask: () => Promise<unknown>;
  issuer: string;
  now: Clock;
}): () => Promise<Failure | undefined> {
  let last: { readonly at: Millis; readonly found: Failure | undefined } | undefined;
  let asking: Promise<Failure | undefined> | undefined;
  const ask = async () => {
    const found = await failureOf(needs);
    last = { at: needs.now(), found };
    asking = undefined;
    return found;
  };
  return () => {
    const age = last === undefined ? undefined : needs.now() - last.at;
    // A clock that was set back makes nothing fresh.
    if (last !== undefined && age !== undefined && age >= 0 && age < believedForMs) return Promise.resolve(last.found);
    asking ??= ask();
    return asking;
  };
}

async function failureOf({
  ask,
  issuer,
}: {
  ask: () => Promise<unknown>;
  issuer: string;
}): Promise<Failure | undefined> {
  try {
    await ask();
    return undefined;
  } catch (cause) {
    return new Failure('issuer_unreachable', `${issuer} does not answer`, { cause });
  }
}
