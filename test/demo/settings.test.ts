import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fillSettings } from '../../src/demo/settings.ts';

const template = 'server:\n  listen: 127.0.0.1:8080 # filled in\nauth: { authorizedUris: [http://a] }\n';

describe('filling in a settings template', () => {
  it('replaces values and leaves everything else as it was', () => {
    const filled = fillSettings(template, [
      [['server', 'listen'], '127.0.0.1:1'],
      [['auth', 'authorizedUris'], ['http://b']],
    ]);
    assert.equal(filled, 'server:\n  listen: 127.0.0.1:1 # filled in\nauth: { authorizedUris: [ http://b ] }\n');
  });

  it('refuses a place that the template does not have', () => {
    assert.throws(() => fillSettings(template, [[['server', 'listens'], 'x']]), /server\.listens/);
  });
});
