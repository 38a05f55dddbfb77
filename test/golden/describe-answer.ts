import type { Raw } from './callers.ts';

/**
 * An answer as text that is the same each time: what changes from run to run is named instead of shown.
 *
 * @param names what is to be shown by a name: ports, tokens
 */
export function describeAnswer(answer: Raw, names: Readonly<Record<string, string>>): string {
  const reference = fieldOf(answer.fields, 'x-request-id');
  const all = { ...names, ...(reference !== undefined && { '<reference>': reference }) };
  const named = (text: string) =>
    Object.entries(all).reduce((result, [name, value]) => result.replaceAll(value, name), text);
  const head = [String(answer.status), ...lines(answer.fields)].map(named).join('\n');
  const body = answer.body.length === 0 ? [] : ['', named(describeBody(answer))];
  const trailers = answer.trailers.length === 0 ? [] : ['', 'trailers:', ...lines(answer.trailers).map(named)];
  return [head, ...body, ...trailers].join('\n');
}

function lines(fields: readonly string[]): string[] {
  return fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${steady(name, fields[i + 1] ?? '')}`] : []));
}

function steady(name: string, value: string): string {
  return name.toLowerCase() === 'date' ? '<date>' : value;
}

/** gRPC-Web's text is shown as what it stands for; bytes that are no text as JSON writes them. */
function describeBody({ body, fields }: Raw): string {
  const isBase64 = fieldOf(fields, 'content-type')?.startsWith('application/grpc-web-text') === true;
  const bytes = isBase64 ? decodePieces(body.toString()) : body;
  const text = bytes.toString('utf8');
  const shown = /^[\P{Cc}\n]*$/u.test(text) ? text : JSON.stringify(bytes.toString('latin1'));
  return isBase64 ? `base64 of ${shown}` : shown;
}

function decodePieces(text: string): Buffer {
  return Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((piece) => Buffer.from(piece, 'base64')));
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === name);
  return at === -1 ? undefined : fields[at + 1];
}
