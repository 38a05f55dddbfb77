import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  isOurMistake,
  saysNothingOfThem,
  UpstreamError,
  upstreamFailure,
  wasClosed,
} from '../../src/forward/upstream-failure.ts';

const coded = (code: string) => Object.assign(new Error('any message'), { code });

describe('an error on the way to an upstream', () => {
  for (const [code, wasConnected, meaning] of [
    ['UND_ERR_CONNECT_TIMEOUT', false, 'upstream_unreachable'],
    ['ECONNREFUSED', false, 'upstream_unreachable'],
    ['ENOTFOUND', true, 'upstream_unreachable'],
    ['CERT_HAS_EXPIRED', false, 'upstream_unreachable'],
    ['ECONNRESET', false, 'upstream_unreachable'],
    ['ECONNRESET', true, 'upstream_broken'],
    ['UND_ERR_SOCKET', true, 'upstream_broken'],
    ['HPE_INVALID_CONSTANT', true, 'upstream_broken'],
    ['UND_ERR_HEADERS_TIMEOUT', true, 'upstream_timeout'],
  ] as const) {
    it(`${code} ${wasConnected ? 'after' : 'before'} the connection stood means ${meaning}`, () => {
      assert.equal(upstreamFailure(coded(code), wasConnected), meaning);
    });
  }

  it('that this room noticed means what it says', () => {
    assert.equal(upstreamFailure(new UpstreamError('upstream_timeout', 'x'), false), 'upstream_timeout');
  });

  it('that comes of this side running out of something is held against no address', () => {
    assert.equal(saysNothingOfThem(coded('EMFILE')), true);
    // Without IPv6 on this host, every IPv6 address fails so.
    assert.equal(saysNothingOfThem(coded('EADDRNOTAVAIL')), false);
  });

  it('that is no error at all is still a failure', () => {
    assert.equal(upstreamFailure('text', true), 'upstream_broken');
  });

  it('is a closed connection, or a mistake of ours, by its code alone', () => {
    assert.equal(wasClosed(coded('UND_ERR_SOCKET')), true);
    assert.equal(wasClosed(coded('HPE_INVALID_CONSTANT')), false);
    assert.equal(isOurMistake(coded('UND_ERR_INVALID_ARG')), true);
    assert.equal(isOurMistake(coded('UND_ERR_SOCKET')), false);
  });
});
