import type { OidcRequest } from './outcome.ts';
import { readParameter } from './query.ts';
import { placeToldOf, type ReturnTo, returnTo } from './return-to.ts';

/** Where a request asks its browser to be sent in the end. */
export type Place = ReturnTo | { readonly kind: 'unasked' };

/** Judges places by the authorized URIs, and by the origins of services that share the session. */
export interface Places {
  /** `redirect_url` of a request, else what a trusted proxy says (`X-Auth-Request-Redirect`). Given twice it is refused. */
  asked(request: OidcRequest): Place;
  /** The place itself, if somebody may be sent there after signing in; the settings' one otherwise. */
  afterSignIn(place: string, origin: string): string;
  /** Whether a place that was sealed earlier may still be gone to: settings change. */
  stillAllowed(place: string): boolean;
}

/**
 * @param needs.redirectUrl where a person goes who wanted nothing: a path, or a URL under an authorized URI
 * @param needs.isApp       whether an origin is that of a service with a host of its own that shares the session
 */
export function createPlaces(needs: {
  authorizedUris: readonly string[];
  isApp: (origin: string) => boolean;
  redirectUrl: string;
}): Places {
  const isAuthorized = (origin: string) => needs.authorizedUris.includes(origin);
  const isOurs = (origin: string) => isAuthorized(origin) || needs.isApp(origin);
  const judge = (value: string, origin: string) => returnTo(value, origin, isOurs);
  // On the host of a service these paths are its own.
  const isOurStep = (place: string) => ourStep.test(place) && isAuthorized(new URL(place).origin);
  const fallback = (origin: string): string => {
    const place = judge(needs.redirectUrl, origin);
    return place.kind === 'allowed' && !isOurStep(place.to) ? place.to : `${origin}/`;
  };
  return {
    asked: (request) => {
      const parameter = readParameter(new URLSearchParams(request.query), 'redirect_url');
      if (parameter.kind === 'repeated') return { kind: 'refused' };
      if (parameter.kind === 'single') return judge(parameter.value, request.origin);
      const { proxiedReturnTo: told, origin } = request;
      return told ? judge(placeToldOf(told, origin), origin) : { kind: 'unasked' };
    },
    afterSignIn: (place, origin) => {
      const judged = judge(place, origin);
      return judged.kind === 'allowed' && !isOurStep(judged.to) ? judged.to : fallback(origin);
    },
    stillAllowed: (place) => !place.startsWith('/') && judge(place, '').kind === 'allowed',
  };
}

/** Signing in in order to sign in, or to sign out, would go round in circles. */
const ourStep = /^https?:\/\/[^/]+\/(?:login|callback|logout)(?:[?#]|$)/;
