import { hash } from 'node:crypto';
import type { Provable, ProvenBearer } from '../authenticate/authenticate.ts';

/** A longer credential is not kept beside its connection. */
const LONGEST_KEPT = 4096;

/** Makes the keys that decisions are remembered under. */
export interface CredentialKeys {
  /**
   * The key of a credential under a rule: where the credential came in (session cookie, flyte header, authorization), the
   * rule with its length before it, and the SHA-256 of the credential's exact bytes, so that no two requests that could be
   * decided differently share one. Only what decides counts: a cookie beside a bearer token has no part in it.
   *
   * The credential itself cannot be read back out of a key.
   *
   * @param connection what the request came in on
   */
  of(credential: Provable, rule: string, connection: object): string;
  /** Keeps the key beside its connection, whose next request most likely brings the same; for allowed callers only, see `mayBeKept`. */
  keep(key: string, credential: Provable, rule: string, connection: object): void;
}

interface Kept {
  readonly place: string;
  readonly value: string;
  readonly rule: string;
  readonly key: string;
}

/** Where a connection bears what its last request brought: a map of connections would be looked up by each request, twice. */
const LAST = Symbol('last credential');

interface Bearing {
  [LAST]?: Kept;
}

/** Hashes a credential once for a connection that goes on using it. Memory: at most 4 KiB for an allowed connection. */
export function createCredentialKeys(): CredentialKeys {
  // A joined string keeps its parts: those that are the same in all keys are kept once. As many as there are rules.
  const starts = new Map<string, Map<string, string>>();
  const startOf = (place: string, rule: string) => {
    const ofPlace = starts.get(place) ?? new Map<string, string>();
    starts.set(place, ofPlace);
    const start = ofPlace.get(rule) ?? `${place} ${rule.length}:${rule} `;
    ofPlace.set(rule, start);
    return start;
  };
  return {
    of: (credential, rule, connection: Bearing) => {
      const value = proofOf(credential);
      const last = connection[LAST];
      // Not in constant time: whoever could measure it shares the connection, and would have to guess at least eight bytes
      // of a sealed or signed value at once to see a nanosecond's difference. Whatever differs is hashed, and so compared blindly.
      const isLast = last !== undefined && last.value === value && last.place === placeOf(credential);
      return isLast && last.rule === rule ? last.key : startOf(placeOf(credential), rule) + digestOf(value);
    },
    keep: (key, credential, rule, connection: Bearing) => {
      const value = proofOf(credential);
      if (value.length > LONGEST_KEPT || connection[LAST]?.key === key) return;
      connection[LAST] = { place: placeOf(credential), value: copyOf(value), rule, key };
    },
  };
}

/**
 * Whether a credential may stand beside its connection as it is: a sealed cookie or a signed token, which nobody can guess
 * piece by piece. An API key holds a secret that a person may have chosen, and is kept nowhere; an opaque token, likewise.
 */
export function mayBeKept(credential: Provable, bearer: ProvenBearer | undefined): boolean {
  return credential.kind === 'session' || bearer?.kind === 'as-sent';
}

function digestOf(value: string): string {
  // The value is hashed alone: joined to the rest, two kilobytes would have to be copied first, which costs as much again.
  return hash('sha256', value, 'base64url');
}

function placeOf(credential: Provable): string {
  return credential.kind === 'session' ? 'session' : credential.header;
}

function proofOf(credential: Provable): string {
  return credential.kind === 'session' ? credential.cookie : credential.token;
}

/** A part of a string keeps the whole of it in memory: here the Cookie field, however long. */
function copyOf(part: string): string {
  return Buffer.from(part, 'latin1').toString('latin1');
}
