import * as openid from 'openid-client';
import type { ServiceApp } from '../config/config.ts';
import type { Clock, Millis } from '../config/units.ts';
import { Failure } from '../failure.ts';
import type { Log } from '../observe/log.ts';
import { isBearerToken } from '../server/bearer-token.ts';
import { configure } from './client.ts';
import { type AskWith, createAskWith } from './client-secret.ts';
import type { Outbound } from './outbound.ts';
import type { Provider } from './provider.ts';
import { sessionTimes } from './session-times.ts';
import { metadataWith } from './token-endpoint.ts';
import { troubleOf } from './trouble.ts';

export interface ServiceToken {
  /**
   * A token that is alive: at once while there is one, from the provider where there is none.
   * @throws {Failure} (by rejecting) `service_token_failed` when none is alive and none can be had; said at once for some
   * seconds after a failure
   */
  get(): string | Promise<string>;
  /** Fetches the first one before anybody needs it. Never throws: what fails is logged. */
  warmUp(): void;
}

export interface ServiceTokenNeeds {
  readonly app: ServiceApp;
  /** Of access tokens: where the token endpoint is looked up, and how clients prove themselves there. */
  readonly provider: Provider;
  readonly outbound: Outbound;
  readonly now: Clock;
  readonly log: Log;
}

interface Token {
  readonly value: string;
  readonly diesAt: Millis;
  readonly refreshAt: Millis;
}

/**
 * The token of our own service app, by client credentials (RFC 6749 §4.4): one request at a time however many ask, a new one
 * before the old one dies, the old one until it does, and a pause of 1 to 5 s after a failure.
 */
export function createServiceToken(needs: ServiceTokenNeeds): ServiceToken {
  const { now, log } = needs;
  const askWith = createAskWith(needs.app);
  let token: Token | undefined;
  let flight: Promise<string> | undefined;
  let failures = 0;
  let pause: { readonly until: Millis; readonly cause: Failure } | undefined;

  const fetch = async (): Promise<string> => {
    try {
      token = await ask(needs, askWith);
      failures = 0;
      pause = undefined;
      log.debug('service_token.fetched', { livesMs: token.diesAt - now() });
      return token.value;
    } catch (error) {
      const cause = failureOf(error);
      failures += 1;
      pause = { until: now() + Math.min(1000 * 2 ** (failures - 1), 5000), cause };
      log.warn('service_token.failed', { cause });
      throw cause;
    } finally {
      flight = undefined;
    }
  };
  const fetchOnce = (): Promise<string> => {
    flight ??= fetch();
    return flight;
  };
  const isPaused = () => pause !== undefined && now() < pause.until;
  const inBackground = () => {
    // Safe: the failure is logged, and whoever needs a token when none is alive asks again.
    if (!isPaused()) fetchOnce().catch(() => undefined);
  };
  return {
    get: () => {
      const at = now();
      if (token !== undefined && at < token.diesAt) {
        if (at >= token.refreshAt) inBackground();
        return token.value;
      }
      if (pause !== undefined && at < pause.until) return Promise.reject(pause.cause);
      return fetchOnce();
    },
    warmUp: inBackground,
  };
}

async function ask({ app, provider, outbound, now }: ServiceTokenNeeds, askWith: AskWith): Promise<Token> {
  const { clientId, tokenUrl, audience } = app;
  const metadata = await metadataWith(tokenUrl, provider);
  const askedAt = now();
  const parameters = { scope: app.scopes.join(' '), ...(audience !== undefined && { audience }) };
  const answer = await askWith((clientSecret) => {
    const configuration = configure(metadata, { outbound, clientId, clientSecret, now });
    return openid.clientCredentialsGrant(configuration, parameters);
  });
  const { access_token: value, expires_in: expiresIn } = answer;
  if (answer.token_type !== 'bearer' || !isBearerToken(value))
    throw new Failure('service_token_failed', 'what came is no bearer token of at most 8 KiB');
  // Counted from the question: it was alive for that long at most.
  const { accessExpiresAt: diesAt } = sessionTimes(expiresIn === undefined ? {} : { expiresIn }, askedAt);
  // Else every request would ask for another one.
  if (diesAt <= now()) throw new Failure('service_token_failed', 'the token that came was dead already');
  const ahead = Math.min(app.refreshWindowMs, (diesAt - askedAt) / 2);
  return { value, diesAt, refreshAt: diesAt - ahead };
}

/** Without a word of what the provider said beyond its error code. */
function failureOf(error: unknown): Failure {
  if (error instanceof Failure && error.code === 'service_token_failed') return error;
  const trouble = troubleOf(error);
  switch (trouble.kind) {
    case 'unreachable':
      return new Failure('service_token_failed', 'the provider could not be asked', { cause: trouble.cause });
    case 'refused':
      return new Failure('service_token_failed', `the provider said ${trouble.error}`);
    case 'invalid':
      return new Failure('service_token_failed', trouble.why);
    case 'subject':
      return new Failure('service_token_failed', 'the answer is about somebody else');
  }
}
