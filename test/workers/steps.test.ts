import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Config, CookieKey } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { stepsTo } from '../../src/workers/steps.ts';

const keyOf = (name: string): CookieKey => ({
  hash: new Secret(new TextEncoder().encode(`hash ${name}`)),
  block: new Secret(new TextEncoder().encode(`block ${name}`)),
});
const configOf = (...names: string[]) => ({ cookieKeys: names.map(keyOf) }) as unknown as Config;
const namesIn = (steps: readonly Config[]) =>
  steps.map(({ cookieKeys }) => cookieKeys.map(({ hash }) => Buffer.from(hash.reveal()).toString().slice(5)).join(' '));

describe('The steps of several processes to new settings', () => {
  for (const [before, next, expected] of [
    ['old', 'new old', ['old new', 'new old']],
    ['old', 'new', ['old new', 'new']],
    ['old older', 'new old', ['old older new', 'new old']],
    ['new old', 'new', ['new']],
    ['old new', 'new old', ['new old']],
    ['old', 'old', ['old']],
  ] as const)
    it(`from the cookie keys ${before} to ${next} are ${expected.join(', then ')}`, () =>
      assert.deepEqual(namesIn(stepsTo(configOf(...next.split(' ')), configOf(...before.split(' ')))), expected));
});
