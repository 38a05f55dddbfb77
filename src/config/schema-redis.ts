import { count, duration, line, listOf, parsed } from './rows.ts';
import { optional, type Setting, section } from './setting.ts';
import { parseServerName } from './urls.ts';
import { parseKeyPrefix, parseRedisUrl } from './values-redis.ts';

/** Names of the files in `secretsDir`, each read when it is there. */
export const redisSecretNames = { password: 'redis_password', sentinelPassword: 'redis_sentinel_password' } as const;

const redisUrl = (doc: string, example: string) =>
  parsed({
    doc,
    type: 'URL',
    expects: 'redis://host:port or rediss://host:port (TLS)',
    example,
    parse: parseRedisUrl,
  });

/** Where sessions and what replicas tell each other are kept, by `session.store: redis` or `coordination: redis`. */
export const redisSection = (file: (doc: string, example: string) => Setting<string>) =>
  section('Redis or Valkey, one primary (no cluster); used by session.store: redis and coordination: redis', {
    url: optional(redisUrl('rediss:// is TLS; with redis.sentinel it stays out', 'rediss://redis.internal:6379')),
    database: count({ doc: 'its number', default: 0, min: 0, max: 10_000, unit: '' }),
    username: optional(
      line({
        doc: `ACL user; the password is the secret file ${redisSecretNames.password}, read when it is there`,
        expects: 'a user name',
        example: 'flytegate',
        max: 255,
      }),
    ),
    tls: section('TLS with rediss:// addresses', {
      caFile: optional(file('PEM, whom to believe instead of the system’s', 'redis-ca.crt')),
      certFile: optional(file('PEM, what the gateway proves itself by', 'redis-client.crt')),
      keyFile: optional(file('PEM, its private key', 'redis-client.key')),
      serverName: optional(
        parsed({
          doc: 'whose certificate convinces, instead of the host',
          type: 'name',
          expects: 'a host name',
          example: 'redis.internal',
          parse: parseServerName,
        }),
      ),
    }),
    sentinel: section('Sentinels, asked for the primary at each connection', {
      name: optional(line({ doc: 'what they call the primary', expects: 'a name', example: 'mymaster', max: 255 })),
      addresses: listOf(
        redisUrl(
          `where they are; their password is the secret file ${redisSecretNames.sentinelPassword}, read when it is there`,
          'redis://sentinel-1:26379',
        ),
        { default: [], max: 20 },
      ),
    }),
    keyPrefix: parsed({
      doc: 'keys begin with it; deployments that share a database have different ones',
      type: 'prefix',
      expects: 'letters, digits and . _ : -',
      default: 'flytegate:',
      parse: parseKeyPrefix,
    }),
    connectTimeout: duration({ doc: 'for one attempt to connect', default: '2s', min: '50ms', max: '1m' }),
    commandTimeout: duration({
      doc: 'for one answer; a connection that is silent for so long is given up, and requests fail at once until another stands',
      default: '500ms',
      min: '20ms',
      max: '30s',
    }),
  });
