import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes } from '../../src/config/mistake.ts';
import { leastSettings, makeSettingsFolder, type SettingsFolder, secretFiles } from './settings-folder.ts';

const folders: SettingsFolder[] = [];
after(() => Promise.all(folders.map((folder) => folder.remove())));

/** The settings with lines added below `auth`. */
async function load(lines: string, files: Readonly<Record<string, string>> = secretFiles) {
  const folder = await makeSettingsFolder(leastSettings.replace('auth:\n', `auth:\n${lines}`), files);
  folders.push(folder);
  return loadConfig(folder.file);
}

async function right(lines: string, files?: Readonly<Record<string, string>>) {
  const loaded = await load(lines, files);
  if (loaded.kind === 'mistakes') assert.fail(describeMistakes('settings', loaded.mistakes));
  return loaded.config.auth;
}

async function wrong(lines: string, expected: RegExp, files?: Readonly<Record<string, string>>) {
  const loaded = await load(lines, files);
  if (loaded.kind === 'config') assert.fail('no mistake was found');
  assert.match(describeMistakes('settings', loaded.mistakes), expected);
}

describe('the further ways in', () => {
  it('are shut when the file says nothing', async () => {
    const auth = await right('');
    assert.equal(auth.apiKeys.enabled, false);
    assert.equal(auth.introspection, undefined);
    assert.deepEqual(auth.additionalIssuers, []);
  });

  for (const empty of ['', ' []', ' null'])
    it(`may be left empty:${empty}`, async () =>
      assert.deepEqual((await right(`  additionalIssuers:${empty}\n`)).additionalIssuers, []));

  it('read the secret of introspection from its file, and never show it', async () => {
    const lines = '  introspection: { clientId: gate, clientSecretFile: secrets/introspection }\n';
    const auth = await right(lines, { ...secretFiles, 'secrets/introspection': 'the secret\n' });
    assert.equal(auth.introspection?.clientSecret.reveal(), 'the secret');
    assert.ok(!JSON.stringify(auth).includes('the secret'));
    await wrong(lines, /auth\.introspection\.clientSecretFile: .*no such file/);
    await wrong(lines, /more or empty lines/, { ...secretFiles, 'secrets/introspection': 'a\n\nb\n' });
  });

  it('want client and secret of introspection together', async () => {
    await wrong('  introspection: { clientId: gate }\n', /introspection\.clientSecretFile: expected clientId and/);
    await wrong('  introspection: { clientSecretFile: secrets/oidc_client_secret }\n', /introspection\.clientId/);
  });

  it('keep an issuer exactly as it is written, with a scope of its own', async () => {
    const lines =
      '  additionalIssuers: [{ issuer: "https://CI.example.com/x/", audiences: [ci], jwksUrl: https://ci.example.com/k }]\n';
    assert.deepEqual((await right(lines)).additionalIssuers, [
      {
        issuer: 'https://CI.example.com/x/',
        audiences: ['ci'],
        requiredScope: 'all',
        jwksUrl: 'https://ci.example.com/k',
      },
    ]);
  });

  for (const [what, issuers, expected] of [
    ['no audience', '[{ issuer: https://ci.example.com }]', /audiences: expected a list of 1 to 50/],
    [
      'the first issuer once more',
      '[{ issuer: https://idp.example.com/oauth2/default, audiences: [a] }]',
      /issuer: expected an issuer that stands nowhere else/,
    ],
    [
      'one issuer twice',
      '[{ issuer: https://a.test, audiences: [a] }, { issuer: https://a.test, audiences: [b] }]',
      /additionalIssuers\[1\]\.issuer/,
    ],
    ['http: far away', '[{ issuer: http://ci.test, audiences: [a] }]', /issuer: expected https:/],
    [
      'keys by http: from far away',
      '[{ issuer: https://ci.test, audiences: [a], jwksUrl: http://ci.test/k }]',
      /jwksUrl: expected https:/,
    ],
    [
      'keys and metadata',
      '[{ issuer: https://ci.test, audiences: [a], jwksUrl: https://ci.test/k, metadataUrl: https://ci.test/m }]',
      /jwksUrl or metadataUrl, not both/,
    ],
    ['a text', 'https://ci.test', /expected a list of 0 to 20/],
  ] as const)
    it(`refuse ${what}`, () => wrong(`  additionalIssuers: ${issuers}\n`, expected));

  it('stand in the example, where taking the comment marks away makes settings of them', async () => {
    const example = await readFile(new URL('../../config/flytegate.example.yaml', import.meta.url), 'utf8');
    const from = example
      .split('\n')
      .slice(example.split('\n').findIndex((line) => line.includes('e.g. additionalIssuers:')));
    const block = from.slice(0, from.indexOf('')).map((line) => line.replace(/^ {2}# (e\.g\. )?/, '  '));
    const lines = `${block.join('\n')}\n`;
    assert.equal((await right(lines)).additionalIssuers[0]?.issuer, 'https://ci.example.com');
  });
});
