import type { Call, Caller, Question } from './caller.ts';
import { type Pair, type Stage, startStage } from './pairs.ts';
import type { Arrival, UpstreamNeeds } from './upstream.ts';

/** A stage where each test answers its own requests. */
export interface ByHand extends Stage {
  /** Sends a request through the gateway. */
  open(target: string, question?: Partial<Question>): Call;
  /** Sends a request and waits until it has arrived at the upstream. @throws what kept it from arriving */
  meet(target: string, question?: Partial<Question>): Promise<Met>;
  /** The request with this target, when it has arrived; each once. */
  arrival(target: string): Promise<Arrival>;
}

/** Both ends of one request. */
export interface Met {
  readonly call: Call;
  readonly arrival: Arrival;
}

export async function startByHand(
  pair: Pair,
  settings: Readonly<Record<string, unknown>> = {},
  onUpgrade?: UpstreamNeeds['onUpgrade'],
): Promise<ByHand> {
  const arrivals = new Map<string, PromiseWithResolvers<Arrival>>();
  const expected = (target: string) => {
    const known = arrivals.get(target) ?? Promise.withResolvers<Arrival>();
    arrivals.set(target, known);
    return known;
  };
  const serve = (arrival: Arrival) => expected(arrival.target).resolve(arrival);
  const stage = await startStage(pair, { serve, settings, ...(onUpgrade && { onUpgrade }) });
  const open = (target: string, question: Partial<Question> = {}) => openBy(stage.through, stage, target, question);
  const take = async (target: string) => {
    const arrival = await expected(target).promise;
    arrivals.delete(target);
    return arrival;
  };
  return {
    ...stage,
    open,
    arrival: take,
    meet: async (target, question) => {
      const call = open(target, question);
      const refused = call.ended.then(() => Promise.reject(new Error(`${target} did not arrive`)));
      const arrival = await Promise.race([take(target), refused]);
      // Ended later than that is what tests wait for.
      refused.catch(() => undefined);
      return { call, arrival };
    },
  };
}

function openBy(caller: Caller, stage: Stage, target: string, question: Partial<Question>): Call {
  const { fields = [], ...rest } = question;
  const authorized = ['Authorization', stage.authorization, ...fields];
  return caller.open({ method: 'GET', authority: 'matrix.test', hasBody: false, ...rest, target, fields: authorized });
}
