import type { Identity } from '../authenticate/identity.ts';
import type { Config, IdentityMode, Upstream } from '../config/config.ts';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Assert } from './assertion.ts';
import type { Decision } from './decision.ts';
import { type MakeIdentityHeaders, onceForIdentity } from './identity-headers.ts';

/** Who may go on, and the token that proved it, if it was one. */
export interface Admitted {
  readonly allow: Extract<Decision, { kind: 'allow' }>;
  readonly bearer: string | undefined;
}

/** What an upstream hears of a caller besides the request itself. */
export interface Told {
  /** Flat name, value …, as `ForwardPlan.identity`. */
  readonly identity: readonly string[];
  /** The proved token: of the credentials that came, those that carry it go on as they are. */
  readonly bearer: string | undefined;
  /** A token that takes the place of whatever came in `authorization`. */
  readonly authorization: string | undefined;
}

/**
 * What to tell an upstream about a caller who may go on. A promise only where something has to be signed or fetched first.
 * @throws {Failure} by rejecting, `service_token_failed`; at once, `internal` for an upstream that the settings don't have
 */
export type Tell = (upstream: string, admitted: Admitted) => Told | Promise<Told>;

/** Whether some upstream is told something signed, which is kept beside the identity. */
export function signsSomething(upstreams: Readonly<Record<string, Upstream>>): boolean {
  return Object.values(upstreams).some(({ identityHeaders }) => signedNames(identityHeaders).length > 0);
}

function signedNames(modes: readonly IdentityMode[]): readonly string[] {
  return [
    ...(modes.includes('alb') ? ['X-Amzn-Oidc-Data'] : []),
    ...(modes.includes('assertion') ? ['X-Flytegate-Assertion'] : []),
  ];
}

export interface TellNeeds {
  readonly upstreams: Config['upstreams'];
  readonly identityHeaders: MakeIdentityHeaders;
  readonly assert: Assert;
  /** A token of our own service app. @throws {Failure} (by rejecting) `service_token_failed` */
  readonly serviceToken: () => string | Promise<string>;
  /** Told how much more is kept from now on for as long as an identity is: bytes, fewer than none when it is less. */
  readonly onKept: (identity: Identity, bytes: number) => void;
  readonly now: Clock;
}

/** Header lists are made once for an identity and a set of modes, signed ones once for an identity and upstream. */
export function createTell(needs: TellNeeds): Tell {
  const lists = createLists(needs.identityHeaders);
  const tellers = new Map(
    Object.values(needs.upstreams).map((upstream) => [upstream.name, createTeller(upstream, lists, needs)]),
  );
  return (upstream, admitted) => {
    const tell = tellers.get(upstream);
    if (!tell) throw new Failure('internal', `no upstream is called ${upstream}`);
    return tell(admitted);
  };
}

type Lists = (modes: readonly IdentityMode[]) => (identity: Identity) => readonly string[];

/** Upstreams with the same modes share their lists. As many as there are sets of modes. */
function createLists(make: MakeIdentityHeaders): Lists {
  const known = new Map<string, ReturnType<Lists>>();
  return (modes) => {
    const key = [...modes].sort().join(' ');
    const list = known.get(key) ?? onceForIdentity((identity) => make(identity, modes));
    known.set(key, list);
    return list;
  };
}

function createTeller(
  upstream: Upstream,
  lists: Lists,
  needs: TellNeeds,
): (admitted: Admitted) => Told | Promise<Told> {
  const { identityHeaders: modes, upstreamAuthorization: way } = upstream;
  const plain = lists(modes.filter((mode) => mode !== 'assertion'));
  const signed = signedNames(modes);
  const fields = signed.length === 0 ? plain : createSigned({ audience: upstream.name, names: signed, plain }, needs);
  return (admitted) => {
    const identity = fields(admitted.allow.identity);
    const ours = way === 'service-app' ? needs.serviceToken() : undefined;
    if (identity instanceof Promise || ours instanceof Promise)
      return Promise.all([identity, ours]).then(([made, token]) => said(way, admitted, made, token));
    return said(way, admitted, identity, ours);
  };
}

function said(
  way: Upstream['upstreamAuthorization'],
  { allow, bearer }: Admitted,
  identity: readonly string[],
  ours: string | undefined,
): Told {
  switch (way) {
    case 'verified':
      return { identity, bearer, authorization: undefined };
    case 'none':
      return { identity, bearer: undefined, authorization: undefined };
    case 'session-token':
      return { identity, bearer, authorization: allow.accessToken?.reveal() ?? bearer };
    case 'service-app':
      return { identity, bearer: undefined, authorization: ours };
  }
}

interface Signed {
  readonly fields: readonly string[];
  readonly until: Millis;
  readonly bytes: number;
}

/** The list that carries an assertion, and what it is found by, estimated. */
const LIST_BYTES = 400;

/** The plain fields of an identity and those that carry its assertion, which is signed anew before it dies. */
function createSigned(
  what: { audience: string; names: readonly string[]; plain: (identity: Identity) => readonly string[] },
  needs: TellNeeds,
): (identity: Identity) => readonly string[] | Promise<readonly string[]> {
  const known = new WeakMap<Identity, Signed>();
  const underWay = new WeakMap<Identity, Promise<readonly string[]>>();
  const sign = async (identity: Identity): Promise<readonly string[]> => {
    try {
      const { jwt, reuseUntil } = await needs.assert(identity, what.audience);
      const carried = jwt === undefined ? [] : what.names.flatMap((name) => [name, jwt]);
      const fields = [...what.plain(identity), ...carried];
      // The names of several fields share one assertion.
      const bytes = LIST_BYTES + (jwt?.length ?? 0);
      needs.onKept(identity, bytes - (known.get(identity)?.bytes ?? 0));
      known.set(identity, { fields, until: reuseUntil, bytes });
      return fields;
    } finally {
      underWay.delete(identity);
    }
  };
  return (identity) => {
    const before = known.get(identity);
    if (before !== undefined && needs.now() < before.until) return before.fields;
    const flight = underWay.get(identity) ?? sign(identity);
    // Set after the call: `sign` has not ended before its first await.
    underWay.set(identity, flight);
    return flight;
  };
}
