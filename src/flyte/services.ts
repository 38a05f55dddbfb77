import {
  Code,
  ConnectError,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { compressionGzip } from '@connectrpc/connect-node';
import type { Config } from '../config/config.ts';
import { Failure } from '../failure.ts';
import type { Provider } from '../oidc/provider.ts';
import type { Reply } from '../server/exchange.ts';
import { answerCall, type Call } from './answer-call.ts';
import { oauth2Metadata, publicClientConfig } from './auth-metadata.ts';
import { AuthMetadataService as AuthMetadata1 } from './gen/flyteidl/service/auth_pb.ts';
import { IdentityService as Identity1 } from './gen/flyteidl/service/identity_pb.ts';
import { AuthMetadataService as AuthMetadata2 } from './gen/flyteidl2/auth/auth_service_pb.ts';
import { IdentityService as Identity2 } from './gen/flyteidl2/auth/identity_pb.ts';
import type { Asking, UserInfo } from './user-info.ts';

/** Bytes of a call's body: every request message of these services is empty. */
export const maxCallBytes = 16_384;

/** One method of the services that the gateway answers in place of the control plane. */
export type FlyteMethod =
  | {
      readonly kind: 'method';
      /** Whether it is answered to people and apps that proved who they are only. */
      readonly needsIdentity: boolean;
      /** HTTP methods it can be called with. */
      readonly httpMethods: readonly string[];
      /** @param asking who asks, where that is needed. Never rejects but for a mistake of ours */
      readonly answer: (call: Call, asking?: Asking) => Promise<Answered>;
    }
  // One that such a service does not have; it is nobody else's all the same.
  | { readonly kind: 'unknown' };

export type Answered =
  | { readonly kind: 'reply'; readonly reply: Reply }
  // Could not tell: to be said by whoever says every no.
  | { readonly kind: 'failed'; readonly cause: Failure }
  // The message is none of this method's: the caller's mistake, to be said there, too.
  | { readonly kind: 'undecodable' };

export interface FlyteServiceNeeds {
  readonly config: Config;
  readonly authorizationServer: Provider;
  readonly userInfo: (asking: Asking) => Promise<UserInfo>;
}

/**
 * Flyte's auth and identity services of both generations: `flyteidl.service` and `flyteidl2.auth`.
 *
 * @returns what is asked for at a path; undefined where it is none of theirs
 */
export function createFlyteServices(needs: FlyteServiceNeeds): (path: string) => FlyteMethod | undefined {
  const methods = new Map(handlersOf(needs).map((handler) => [handler.requestPath, methodOf(handler)]));
  const services = new Set([...methods.keys()].map(serviceOf));
  return (path) => {
    // Nearly everything else ends here.
    if (!path.startsWith('/flyteidl')) return undefined;
    return methods.get(path) ?? (services.has(serviceOf(path)) ? UNKNOWN : undefined);
  };
}

const UNKNOWN: FlyteMethod = { kind: 'unknown' };

/** The path up to its second slash, and that slash. */
function serviceOf(path: string): string {
  return path.slice(0, path.indexOf('/', 1) + 1);
}

const askingKey = createContextKey<Asking | undefined>(undefined, { description: 'who is asking' });
/** How far a call came: what the library says of a mistake does not tell whose it is. */
interface Course {
  isDecoded: boolean;
  /** What kept it from answering. */
  failure?: Failure;
}

const courseKey = createContextKey<Course>({ isDecoded: false }, { description: 'how far it came' });

function handlersOf({ config, authorizationServer, userInfo }: FlyteServiceNeeds): readonly UniversalHandler[] {
  const router = createConnectRouter({
    readMaxBytes: maxCallBytes,
    acceptCompression: [compressionGzip],
    jsonOptions: { ignoreUnknownFields: true },
    interceptors: [
      (next) => (request) => {
        request.contextValues.get(courseKey).isDecoded = true;
        return next(request);
      },
    ],
  });
  const metadata = {
    getOAuth2Metadata: (_request: unknown, context: HandlerContext) =>
      orSayWhy(context, async () => oauth2Metadata(await authorizationServer.metadata())),
    getPublicClientConfig: () => publicClientConfig(config),
  };
  const identity = {
    userInfo: async (_request: unknown, context: HandlerContext) => {
      const asking = context.values.get(askingKey);
      // A mistake of ours: nobody may call it without having been asked who they are.
      if (!asking) throw new ConnectError('nobody asks', Code.Internal);
      return userInfo(asking);
    },
  };
  router.service(AuthMetadata1, metadata).service(AuthMetadata2, metadata);
  router.service(Identity1, identity).service(Identity2, identity);
  return router.handlers;
}

/** Keeps the failure for `answer`: the library would tell it in its own words. */
async function orSayWhy<T>(context: HandlerContext, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    context.values.get(courseKey).failure = cause;
    throw new ConnectError('try again shortly', Code.Unavailable);
  }
}

function methodOf(handler: UniversalHandler): FlyteMethod {
  const needsIdentity = handler.service.typeName.endsWith('.IdentityService');
  return {
    kind: 'method',
    needsIdentity,
    httpMethods: handler.allowedMethods,
    answer: async (call, asking) => {
      const course: Course = { isDecoded: false };
      const values = createContextValues().set(askingKey, asking).set(courseKey, course);
      const { reply, isInternal } = await answerCall(handler, call, values);
      if (course.failure) return { kind: 'failed', cause: course.failure };
      return isInternal && !course.isDecoded ? { kind: 'undecodable' } : { kind: 'reply', reply };
    },
  };
}
