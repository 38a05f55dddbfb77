import { request } from 'undici';

export interface Question {
  readonly method?: string;
  readonly fields?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Uint8Array;
}

export interface Answer {
  readonly status: number;
  /** Flat: name, value … in the order and spelling of the wire. */
  readonly fields: readonly string[];
  /** All values of a field, by its name in lower case. */
  all(name: string): readonly string[];
  /** The only value of a field. @throws when there are more */
  one(name: string): string | undefined;
  readonly body: Buffer;
  readonly text: string;
  json(): Record<string, unknown>;
}

/** One HTTP/1.1 request: nothing followed, nothing remembered, nothing added that a test does not ask for. */
export async function ask(url: string, question: Question = {}): Promise<Answer> {
  const { method = 'GET', fields = {}, body } = question;
  const response = await request(url, { method, headers: fields, body: body ?? null, responseHeaders: 'raw' });
  const raw = response.headers;
  if (!Array.isArray(raw)) throw new Error('header fields were asked for raw');
  const flat = raw.map(String);
  const bytes = Buffer.from(await response.body.arrayBuffer());
  const all = (name: string) => flat.filter((_, i) => i % 2 === 1 && flat[i - 1]?.toLowerCase() === name);
  return {
    status: response.statusCode,
    fields: flat,
    all,
    one: (name) => {
      const [value, second] = all(name);
      if (second !== undefined) throw new Error(`${name} came more than once`);
      return value;
    },
    body: bytes,
    text: bytes.toString(),
    json: () => recordOf(JSON.parse(bytes.toString())),
  };
}

/** Bytes that the head of an answer took on the wire, within a few. */
export function headBytes(answer: { readonly fields: readonly string[] } | { readonly headers: Headers }): number {
  const fields = 'fields' in answer ? answer.fields : [...answer.headers].flat();
  const pairs = fields.reduce((sum, part) => sum + part.length + 2, 0);
  return pairs + 'HTTP/1.1 200 OK\r\n\r\n'.length;
}

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error('the body is no JSON object');
  return { ...value };
}
