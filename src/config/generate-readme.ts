import type { Entry, Fields, Section, Setting } from './setting.ts';

/** A table of every setting, one part per top-level key, for people. */
export function writeReadme(schema: Section<Fields>): string {
  const parts = Object.entries(schema.fields).map(([key, entry]) => {
    const lines = linesOf(entry, key);
    return `## ${key}\n\n${entry.kind === 'setting' ? '' : `${entry.doc}.\n\n`}${tableHead}${lines.join('\n')}\n`;
  });
  return `${preamble}\n${parts.join('\n')}`;
}

const preamble = `# Settings

<!-- Written by \`npm run generate\` from src/config/schema.ts: edit that. -->

One YAML file, given with \`--config\`; there is no environment layer. \`flytegate check-config --config FILE\` tells every
mistake at once. \`flytegate.example.yaml\` has every setting with its default, \`schema.json\` lets editors complete and check
(\`# yaml-language-server: $schema=schema.json\` as the first line).

The \`auth\` section, and \`server.security\`, are flyteadmin's own: paste them as they are. Unknown keys are mistakes. A key
left empty means the same as one left out. Relative paths start from the settings file's folder.

Durations carry their unit: \`500ms\`, \`90s\`, \`15m\`, \`8h\`, \`7d\`, \`1h30m\`. Sizes too: \`512B\`, \`32KiB\`, \`64MiB\`, \`1GiB\`.

## Secrets

They come from files and never print. \`secretsDir\` holds them under flyteadmin's names:

| file | holds |
|---|---|
| \`oidc_client_secret\` | the web app's client secret, one line; \`clientSecretName: ""\` declares a public client, which has none |
| \`cookie_hash_key\` | base64 keys of 32 bytes or more, one a line |
| \`cookie_block_key\` | base64 keys of 16, 24 or 32 bytes, paired with the hash keys line by line |
| \`client_secret\` | the service app's client secret, one line; only where an upstream has \`upstreamAuthorization: service-app\` |
| \`assertion_key\` | private keys in PEM, P-256 or Ed25519, one below the other; only where an upstream has \`alb\` or \`assertion\` among its \`identityHeaders\` |
| \`admin_token\` | one line of 32 to 1024 characters: what operators send to the API of the admin port; without the file there is no such API |

The secret of \`auth.introspection\` has a file of its own, by path.

\`flytegate keygen --dir DIR\` makes the three key files. Run again, it puts a new cookie pair first: the first pair seals, all
open, so nobody is signed out. Remove the last line of both once \`session.absolute\` has passed.

Of the assertion keys the first signs and all are published. \`flytegate keygen --assertion --dir DIR\` puts a new one last:
once every process has it, wait five minutes, so that all services know it, then move it to the top. Remove
the old one five minutes later.
`;

const tableHead = '| setting | type | default | bounds | what it does |\n|---|---|---|---|---|\n';

function linesOf(entry: Entry, path: string): readonly string[] {
  switch (entry.kind) {
    case 'setting':
      return [lineOf(entry, path)];
    case 'section':
      return Object.entries(entry.fields).flatMap(([key, field]) => linesOf(field, `${path}.${key}`));
    case 'rows':
      return linesOf(entry.row, `${path}[]`);
    case 'named':
      return linesOf(entry.entry, `${path}.<name>`);
  }
}

function lineOf(setting: Setting<unknown>, path: string): string {
  const byDefault = { required: '**required**', optional: '', default: `\`${JSON.stringify(setting.default)}\`` }[
    setting.presence
  ];
  const bounds = [setting.bounds, setting.unit].filter((part) => part !== '').join(' ');
  const cells = [
    `\`${path}\``,
    setting.type,
    byDefault.replace(/^`"(.+)"`$/, '`$1`'),
    bounds,
    setting.doc.replaceAll('<', '&lt;').replaceAll('|', '\\|'),
  ];
  return `| ${cells.join(' | ').replaceAll('\n', ' ')} |`;
}
