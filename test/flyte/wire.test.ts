import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DescMessage, DescService } from '@bufbuild/protobuf';
import { generations } from './callers.ts';

const metadata = [
  [1, 'issuer'],
  [2, 'authorization_endpoint'],
  [3, 'token_endpoint'],
  [4, 'response_types_supported'],
  [5, 'scopes_supported'],
  [6, 'token_endpoint_auth_methods_supported'],
  [7, 'jwks_uri'],
  [8, 'code_challenge_methods_supported'],
  [9, 'grant_types_supported'],
  [10, 'device_authorization_endpoint'],
] as const;
const client = [
  [1, 'client_id'],
  [2, 'redirect_uri'],
  [3, 'scopes'],
  [4, 'authorization_metadata_key'],
  [5, 'service_http_endpoint'],
  [6, 'audience'],
] as const;
const person = [
  [1, 'subject'],
  [2, 'name'],
  [3, 'preferred_username'],
  [4, 'given_name'],
  [5, 'family_name'],
  [6, 'email'],
  [7, 'picture'],
  [8, 'additional_claims'],
] as const;

/** Method by method: the request's and the answer's full names, and the answer's numbers. */
const expected = [
  {
    'flyteidl.service.AuthMetadataService/GetOAuth2Metadata': [
      'OAuth2MetadataRequest',
      'OAuth2MetadataResponse',
      metadata,
    ],
    'flyteidl.service.AuthMetadataService/GetPublicClientConfig': [
      'PublicClientAuthConfigRequest',
      'PublicClientAuthConfigResponse',
      client,
    ],
    'flyteidl.service.IdentityService/UserInfo': ['UserInfoRequest', 'UserInfoResponse', person],
  },
  {
    'flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata': [
      'GetOAuth2MetadataRequest',
      'GetOAuth2MetadataResponse',
      metadata,
    ],
    'flyteidl2.auth.AuthMetadataService/GetPublicClientConfig': [
      'GetPublicClientConfigRequest',
      'GetPublicClientConfigResponse',
      [...client, [7, 'dataplane_domain']],
    ],
    'flyteidl2.auth.IdentityService/UserInfo': ['UserInfoRequest', 'UserInfoResponse', person],
  },
];

describe('names and numbers on the wire', () => {
  for (const [at, { name, metadata, identity }] of generations.entries())
    it(`are ${name}’s`, () =>
      assert.deepEqual(Object.fromEntries([metadata, identity].flatMap(describeService)), expected[at]));
});

function describeService(service: DescService) {
  return service.methods.map(({ name, input, output }) => [
    `${service.typeName}/${name}`,
    [input.name, output.name, numbersOf(output)],
  ]);
}

function numbersOf(message: DescMessage) {
  return message.fields.map(({ number, name }) => [number, name]);
}
