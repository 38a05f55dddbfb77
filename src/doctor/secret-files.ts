import { stat } from 'node:fs/promises';
import { readBoundedText } from '../config/bounded-file.ts';
import type { SecretPlace } from '../config/secret-places.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** What can be told of a secret file. */
export interface SecretFile extends SecretPlace {
  /** Permission bits; undefined when it cannot be looked at. */
  readonly mode: number | undefined;
  readonly content: { readonly text: string } | { readonly trouble: string };
}

const MAX_BYTES = 65_536;

/** Looks at every secret file and at whom its permissions let in. */
export async function checkSecretFiles(places: readonly SecretPlace[]): Promise<readonly Finding[]> {
  const files = await Promise.all(places.map(look));
  const wrong = files.map(judgeSecretFile).filter((finding) => finding !== undefined);
  return wrong.length > 0 ? wrong : [ok('secret-files', `${files.length} files, each for the gateway alone`)];
}

/** @param place of a file, which need not be there */
export async function look(place: SecretPlace): Promise<SecretFile> {
  // Through the links by which Kubernetes mounts secrets, to the file itself.
  const mode = await stat(place.file).then(
    (found) => found.mode & 0o777,
    // Safe: reading it says why.
    () => undefined,
  );
  return { ...place, mode, content: await readBoundedText(place.file, MAX_BYTES) };
}

/** What is wrong with a secret file; undefined when nothing is. Tells nothing of what it holds. */
export function judgeSecretFile({ setting, file, kind, mode, content }: SecretFile): Finding | undefined {
  const where = `${file} (${setting})`;
  if ('trouble' in content)
    return problem(
      'secret-files',
      `${where}: ${content.trouble}`,
      'mount the secret there: kubectl get secret, its keys, and the volume of the pod',
    );
  const { text } = content;
  if (text.trim() === '')
    return problem('secret-files', `${where} is empty`, 'the secret was made without a value, or not synchronised yet');
  const lines = text.replace(/\r?\n$/, '');
  if (kind === 'client-secret' && lines !== lines.trim())
    return warning(
      'secret-files',
      `${where} has white space around the secret, which counts as part of it`,
      'write it without: printf %s, not echo; kubectl create secret --from-literal adds nothing',
    );
  if (mode !== undefined && (mode & 0o007) !== 0)
    return warning(
      'secret-files',
      `${where} is open to everybody on this machine (mode ${mode.toString(8)})`,
      'chmod 600, or in a pod defaultMode: 0440 with securityContext.fsGroup',
    );
  // Key files are ours alone, and have lines by design.
  if (kind === 'client-secret' && text.endsWith('\n'))
    return warning(
      'secret-files',
      `${where} ends in a line break; the gateway drops it, other programs that read the same secret may not`,
      'write it without: printf %s, not echo',
    );
  return undefined;
}
