import type { FailureCode } from '../failure.ts';

/** Why a request is turned away before anybody looks at it. */
export interface Fault {
  readonly status: 400 | 405 | 417 | 431 | 501 | 505;
  readonly code: FailureCode;
}

/** The fields that decide where a message ends and whom it is for, counted as they came in. */
export interface Framing {
  readonly hosts: number;
  /** The first Host. */
  readonly host: string | undefined;
  readonly transferEncodings: number;
  /** The first Transfer-Encoding. */
  readonly transferEncoding: string | undefined;
  readonly contentLength: string | undefined;
}

/**
 * Reads the framing fields from the flat list of raw header fields. Node's own view of them is no use here: it joins,
 * drops or keeps repeated fields depending on their name.
 */
export function readFraming(raw: readonly string[]): Framing {
  let hosts = 0;
  let host: string | undefined;
  let transferEncodings = 0;
  let transferEncoding: string | undefined;
  let contentLength: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    // Lengths first: comparing them is all that most names need.
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hosts += 1;
      host ??= raw[i + 1];
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      transferEncodings += 1;
      transferEncoding ??= raw[i + 1];
    } else if (name.length === 14 && name.toLowerCase() === 'content-length') {
      contentLength ??= raw[i + 1];
    }
  }
  return { hosts, host, transferEncodings, transferEncoding, contentLength };
}

/** Whether a body follows the head (RFC 9112 §6.3). */
export function hasBody(framing: Framing): boolean {
  return framing.transferEncodings > 0 || (framing.contentLength !== undefined && Number(framing.contentLength) !== 0);
}
