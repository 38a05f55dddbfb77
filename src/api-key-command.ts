import { readBearerForm, writeApiKey } from './authenticate/api-key.ts';
import { readBoundedText } from './config/bounded-file.ts';
import type { Config } from './config/config.ts';
import { Secret } from './config/secret.ts';

/** Where a command says what it has to say. */
interface Terminal {
  /** The result. */
  readonly print: (text: string) => void;
  /** What a person should know besides. */
  readonly note: (text: string) => void;
}

/** A key and the line break after it, at most. */
const MAX_KEY_BYTES = 8192;
const MAX_SECRET_BYTES = 65_536;

/**
 * Prints the API key of an app for the control plane that the settings describe: one line.
 *
 * @throws {Error} when the secret cannot be read, or does not fit into a key
 */
export async function createApiKey(
  config: Config,
  asked: Terminal & { readonly clientId: string; readonly secretFile: string; readonly org: string },
): Promise<void> {
  const read = await readBoundedText(asked.secretFile, MAX_SECRET_BYTES);
  if ('trouble' in read) throw new Error(`the secret could not be read: ${read.trouble}`);
  const { host, port } = new URL(config.server.publicUrl);
  const clientSecret = new Secret(read.text.replace(/\r?\n$/, ''));
  const { clientId, org } = asked;
  asked.print(`${writeApiKey({ endpoint: host, clientId, clientSecret, org })}\n`);
  if (port !== '')
    asked.note(
      `Flyte's SDK reads no key whose endpoint has a port, as ${host} has: use this one as a bearer token only.\n`,
    );
  if (!config.auth.apiKeys.enabled)
    asked.note('As a bearer token it is refused until auth.apiKeys.enabled is true; the SDK does not need that.\n');
}

/**
 * Reads an API key and prints endpoint, client id and organization, never the secret.
 *
 * @throws {Error} for anything but a key; its message tells nothing of what came
 */
export async function decodeApiKey(input: AsyncIterable<unknown>, { print }: Terminal): Promise<void> {
  const form = readBearerForm((await readUpTo(input, MAX_KEY_BYTES)).trim());
  if (form.kind !== 'api-key') throw new Error('that is no API key: base64 of endpoint:client_id:client_secret:org');
  const { host, clientId, org } = form.key;
  print(`endpoint: ${host}\nclient id: ${clientId}\norg: ${org || '(none)'}\n`);
}

async function readUpTo(input: AsyncIterable<unknown>, max: number): Promise<string> {
  let text = '';
  for await (const chunk of input) {
    text += String(chunk);
    if (text.length > max) break;
  }
  return text;
}
