import { create, type JsonObject, toJson } from '@bufbuild/protobuf';
import type { Config } from '../config/config.ts';
import type { ProviderMetadata } from '../oidc/provider.ts';
import { PublicClientAuthConfigResponseSchema } from './gen/flyteidl/service/auth_pb.ts';

/** What both generations' `GetOAuth2Metadata` answer. */
export interface OAuth2Metadata {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly jwksUri: string;
  readonly deviceAuthorizationEndpoint: string;
  readonly responseTypesSupported: string[];
  readonly scopesSupported: string[];
  readonly tokenEndpointAuthMethodsSupported: string[];
  readonly codeChallengeMethodsSupported: string[];
  readonly grantTypesSupported: string[];
}

/** The part of a provider's metadata that Flyte's messages have room for; what is missing or of another shape is empty. */
export function oauth2Metadata(metadata: ProviderMetadata): OAuth2Metadata {
  const text = (name: string) => {
    const value = metadata[name];
    return typeof value === 'string' ? value : '';
  };
  const texts = (name: string) => {
    const value = metadata[name];
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  };
  return {
    issuer: metadata.issuer,
    authorizationEndpoint: text('authorization_endpoint'),
    tokenEndpoint: text('token_endpoint'),
    jwksUri: text('jwks_uri'),
    deviceAuthorizationEndpoint: text('device_authorization_endpoint'),
    responseTypesSupported: texts('response_types_supported'),
    scopesSupported: texts('scopes_supported'),
    tokenEndpointAuthMethodsSupported: texts('token_endpoint_auth_methods_supported'),
    codeChallengeMethodsSupported: texts('code_challenge_methods_supported'),
    grantTypesSupported: texts('grant_types_supported'),
  };
}

/** What both generations' `GetPublicClientConfig` answer. */
export interface PublicClientConfig {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scopes: string[];
  readonly authorizationMetadataKey: string;
  readonly serviceHttpEndpoint: string;
  readonly audience: string;
}

/** What Flyte's command line and SDK are to sign in with: `auth.appAuth.thirdPartyConfig.flyteClient`. */
export function publicClientConfig({ auth, server }: Pick<Config, 'auth' | 'server'>): PublicClientConfig {
  const { clientId, redirectUri, scopes, audience = '' } = auth.appAuth.thirdPartyConfig.flyteClient;
  return {
    clientId,
    redirectUri,
    scopes: [...scopes],
    authorizationMetadataKey: auth.grpcAuthorizationHeader,
    serviceHttpEndpoint: server.publicUrl,
    audience,
  };
}

/** The same as the document at `/config/v1/flyte_client`: proto names, every field present. */
export function publicClientDocument(config: Pick<Config, 'auth' | 'server'>): JsonObject {
  const message = create(PublicClientAuthConfigResponseSchema, publicClientConfig(config));
  const document = toJson(PublicClientAuthConfigResponseSchema, message, {
    useProtoFieldName: true,
    alwaysEmitImplicit: true,
  });
  return { ...(document as JsonObject) }; // a message that is no well-known type is an object
}
