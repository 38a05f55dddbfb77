import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Secret } from '../../src/config/secret.ts';
import { Failure } from '../../src/failure.ts';
import { createLog } from '../../src/observe/log.ts';

function capture(level: 'debug' | 'info' | 'warn' | 'error') {
  const lines: Record<string, unknown>[] = [];
  const { log } = createLog({ level, stream: { write: (line) => lines.push(JSON.parse(line)) } });
  return { log, lines };
}

describe('the log', () => {
  it('writes one JSON object per event: level, time, event, facts', () => {
    const { log, lines } = capture('info');
    log.info('login.finished', { tookMs: 12 });
    assert.equal(lines.length, 1);
    const { level, time, event, tookMs } = lines[0] ?? {};
    assert.deepEqual({ level, event, tookMs }, { level: 'info', event: 'login.finished', tookMs: 12 });
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
  });

  it('writes nothing below its level', () => {
    const { log, lines } = capture('warn');
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['c', 'd'],
    );
  });

  it('shows an error as the codes and sentences of its causes, bounded, without a stack', () => {
    const { log, lines } = capture('info');
    const refused = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' });
    log.warn('x', { cause: new Failure('issuer_unreachable', 'no metadata', { cause: refused }) });
    log.warn('y', { cause: new Error('z'.repeat(5000)) });
    assert.equal(lines[0]?.['cause'], 'issuer_unreachable: no metadata ← ECONNREFUSED: connect refused');
    assert.ok(String(lines[1]?.['cause']).length <= 300);
  });

  it('does not print a secret that slipped in as a fact', () => {
    const { log, lines } = capture('info');
    log.info('x', { key: new Secret('hunter2') });
    assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
  });
});
