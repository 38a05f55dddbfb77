import { count, duration, size } from './rows.ts';
import { section } from './setting.ts';

/** Section `server.limits`: defaults that suit a public port. */
export const limits = section('What one caller may take up', {
  headerCount: count({
    doc: 'header fields of one request; more are refused',
    default: 200,
    min: 20,
    max: 900,
    unit: 'fields',
  }),
  headerBytes: size({ doc: 'bytes of one request head', default: '32KiB', min: '4KiB', max: '256KiB' }),
  firstByte: duration({
    doc: 'from the opening of a connection to its first byte',
    default: '10s',
    min: '1s',
    max: '5m',
  }),
  headers: duration({
    doc: 'from the first byte of a request to the end of its head',
    default: '15s',
    min: '1s',
    max: '5m',
  }),
  idle: duration({
    doc: 'between two requests of a connection; keep it over the 60s that nginx keeps idle connections',
    default: '75s',
    min: '1s',
    max: '1h',
  }),
  bodyIdle: duration({
    doc: 'a request body that makes no progress for so long is given up',
    default: '60s',
    min: '1s',
    max: '1h',
  }),
  connections: count({
    doc: 'open at once on the public port',
    default: 20_000,
    min: 10,
    max: 1_000_000,
    unit: 'connections',
  }),
  connectionsPerAddress: count({
    doc: 'open at once from one IP address, or from one /64 of IPv6; a balancer in front is one address',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
  }),
  streamsPerConnection: count({
    doc: 'HTTP/2 streams open at once on one connection',
    default: 250,
    min: 1,
    max: 10_000,
    unit: 'streams',
  }),
  resetsPerSecond: count({
    doc: 'HTTP/2 streams that one connection may reset in a second, in the long run; beyond that it is closed',
    default: 33,
    min: 1,
    max: 100_000,
    unit: 'resets',
  }),
  resetBurst: count({
    doc: 'HTTP/2 streams that one connection may reset at once',
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: 'resets',
  }),
  streamWindow: size({
    doc: 'bytes of one stream that may wait here, each way, before the other side takes them: the window of an HTTP/2 stream; of HTTP/1.1 and WebSocket a quarter in each buffer; 256KiB may come on top',
    default: '256KiB',
    min: '64KiB',
    max: '16MiB',
  }),
  connectionWindow: size({
    doc: 'the same of all streams of one caller’s HTTP/2 connection; not under streamWindow',
    default: '1MiB',
    min: '64KiB',
    max: '64MiB',
  }),
  pingInterval: duration({
    doc: 'HTTP/2 callers with open streams are asked so often whether they are still there',
    default: '30s',
    min: '1s',
    max: '1h',
  }),
  pingTimeout: duration({
    doc: 'a caller that was asked and sends nothing for so long is gone, and its streams end',
    default: '15s',
    min: '1s',
    max: '5m',
  }),
  tcpKeepAlive: duration({
    doc: 'silence on a connection before TCP asks whether the peer is still there; without an answer it ends ten seconds later',
    default: '30s',
    min: '1s',
    max: '1h',
  }),
  upgradeIdle: duration({
    doc: 'an upgraded connection (WebSocket) without a byte either way for so long is ended; 0s: never',
    default: '0s',
    min: '0s',
    max: '24d',
  }),
});
