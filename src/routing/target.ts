/** A request target that can be read in one way only, or the refusal. `path` is byte for byte what will be forwarded. */
export type Target =
  | { readonly kind: 'target'; readonly path: string; /** With the `?`; empty without one. */ readonly query: string }
  | { readonly kind: 'refused'; readonly why: string };

/**
 * Judges an untrusted request target (RFC 9112 §3.2). Nothing is normalised: a target that two readers could read
 * differently is refused.
 */
export function parseTarget(_raw: string): Target {
  throw new Error('unwritten');
}
