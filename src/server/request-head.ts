/**
 * What arrived, before its body: everything the gateway judges a request by. All strings are latin1 as Node read them
 * from the wire, unchanged.
 */
export interface RequestHead {
  readonly method: string;
  /** HTTP/1.1 request-target or HTTP/2 `:path`, byte for byte. */
  readonly target: string;
  /** `Host`, or `:authority`, as sent; undefined when there was none. */
  readonly authority: string | undefined;
  readonly version: '1.0' | '1.1' | '2';
  /** Whether TLS ended in this process. */
  readonly encrypted: boolean;
  /** Address of the TCP peer, without the port. */
  readonly peer: string;
  readonly fields: Fields;
}

/** The header fields of one message in the order and spelling they came in; pseudo-headers excluded. */
export class Fields {
  /** Flat: name, value, name, value … */
  readonly raw: readonly string[];
  #names: string[] | undefined;

  constructor(raw: readonly string[]) {
    this.raw = raw;
  }

  /** How many fields there are. */
  get count(): number {
    return this.raw.length / 2;
  }

  /** The first value of a field; undefined when there is none. @param name in lower case */
  get(name: string): string | undefined {
    const names = this.#lowerNames();
    const at = names.indexOf(name);
    return at === -1 ? undefined : this.raw[2 * at + 1];
  }

  /** Every value of a field, in order. @param name in lower case */
  all(name: string): readonly string[] {
    const names = this.#lowerNames();
    const values: string[] = [];
    for (let at = names.indexOf(name); at !== -1; at = names.indexOf(name, at + 1))
      values.push(this.raw[2 * at + 1] ?? '');
    return values;
  }

  #lowerNames(): string[] {
    if (this.#names) return this.#names;
    const names: string[] = [];
    for (let i = 0; i < this.raw.length; i += 2) names.push((this.raw[i] ?? '').toLowerCase());
    this.#names = names;
    return names;
  }
}
