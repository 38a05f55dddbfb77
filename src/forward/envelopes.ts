/** Where in a stream of envelopes the last byte was. */
export type Place =
  | 'between' // at the border of two envelopes, or before the first
  | 'inside'
  | 'ended'; // after the one that says how the call ended: nothing may follow

/** Follows a stream of envelopes by their heads alone; keeps no bytes. */
export interface Envelopes {
  /** Takes note of the next bytes. Never throws. */
  pass(chunk: Uint8Array): void;
  readonly place: Place;
}

/** One byte of flags, then the length of what follows in four bytes (gRPC, "Length-Prefixed-Message"). */
const HEAD_BYTES = 5;

/** @param endFlag bit of the flags that marks the last envelope: 0x02 in Connect, 0x80 in gRPC-Web */
export function followEnvelopes(endFlag: number): Envelopes {
  return new BinaryEnvelopes(endFlag);
}

/** The same for gRPC-Web's text form: base64, padded at the end of every piece that was encoded by itself. */
export function followEnvelopesInBase64(endFlag: number): Envelopes {
  return new Base64Envelopes(new BinaryEnvelopes(endFlag));
}

class BinaryEnvelopes implements Envelopes {
  readonly #endFlag: number;
  /** Bytes of the current head that have come. */
  #headBytes = 0;
  #flags = 0;
  #length = 0;
  /** Bytes of the current envelope that have not come. */
  #missing = 0;
  #isEnded = false;

  constructor(endFlag: number) {
    this.#endFlag = endFlag;
  }

  get place(): Place {
    if (this.#headBytes > 0 || this.#missing > 0) return 'inside';
    return this.#isEnded ? 'ended' : 'between';
  }

  pass(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#missing > 0) {
        const step = Math.min(this.#missing, chunk.length - at);
        this.#missing -= step;
        at += step;
      } else {
        this.#head(chunk[at] ?? 0);
        at += 1;
      }
    }
  }

  #head(byte: number): void {
    if (this.#headBytes === 0) {
      this.#flags = byte;
      this.#length = 0;
    } else {
      // Not with shifts: a length of 2 GiB and more would come out negative.
      this.#length = this.#length * 256 + byte;
    }
    this.#headBytes += 1;
    if (this.#headBytes < HEAD_BYTES) return;
    this.#headBytes = 0;
    this.#missing = this.#length;
    if ((this.#flags & this.#endFlag) !== 0) this.#isEnded = true;
  }
}

class Base64Envelopes implements Envelopes {
  readonly #envelopes: Envelopes;
  /** Of the current group of four characters: how many have come, and their bits. */
  #count = 0;
  #bits = 0;
  #padding = 0;
  #isBroken = false;
  readonly #bytes = new Uint8Array(3);

  constructor(envelopes: Envelopes) {
    this.#envelopes = envelopes;
  }

  get place(): Place {
    return this.#isBroken || this.#count > 0 ? 'inside' : this.#envelopes.place;
  }

  pass(chunk: Uint8Array): void {
    for (const character of chunk) {
      const isPadding = character === PADDING;
      const six = isPadding ? 0 : (SIX_BITS[character] ?? NO_BITS);
      if (six === NO_BITS) this.#isBroken = true;
      if (this.#isBroken) return;
      this.#bits = (this.#bits << 6) | six;
      this.#padding += isPadding ? 1 : 0;
      this.#count += 1;
      if (this.#count === 4) this.#group();
    }
  }

  #group(): void {
    this.#bytes[0] = this.#bits >> 16;
    this.#bytes[1] = this.#bits >> 8;
    this.#bytes[2] = this.#bits;
    this.#envelopes.pass(this.#bytes.subarray(0, 3 - Math.min(this.#padding, 3)));
    this.#count = 0;
    this.#bits = 0;
    this.#padding = 0;
  }
}

const PADDING = '='.charCodeAt(0);
const NO_BITS = 255;
const SIX_BITS = new Uint8Array(256).fill(NO_BITS);
for (const [value, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  SIX_BITS[character.charCodeAt(0)] = value;
