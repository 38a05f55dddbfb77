import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from '@connectrpc/connect-node';
import { AuthMetadataService as AuthMetadata1 } from '../../src/flyte/gen/flyteidl/service/auth_pb.ts';
import { IdentityService as Identity1 } from '../../src/flyte/gen/flyteidl/service/identity_pb.ts';
import { AuthMetadataService as AuthMetadata2 } from '../../src/flyte/gen/flyteidl2/auth/auth_service_pb.ts';
import { IdentityService as Identity2 } from '../../src/flyte/gen/flyteidl2/auth/identity_pb.ts';

/** Flyte's two generations of the same services. */
export const generations = [
  { name: 'Flyte 1', metadata: AuthMetadata1, identity: Identity1 },
  { name: 'Flyte 2', metadata: AuthMetadata2, identity: Identity2 },
] as const;

interface Options {
  readonly baseUrl: string;
  readonly interceptors: Interceptor[];
}

/** Clients that nobody here wrote, in every protocol. */
export const protocols: Readonly<Record<string, (options: Options) => Transport>> = {
  'Connect over HTTP/1.1': (options) => createConnectTransport({ ...options, httpVersion: '1.1' }),
  'Connect in JSON': (options) => createConnectTransport({ ...options, httpVersion: '1.1', useBinaryFormat: false }),
  'Connect over HTTP/2': (options) => createConnectTransport({ ...options, httpVersion: '2' }),
  'Connect by GET': (options) => createConnectTransport({ ...options, httpVersion: '1.1', useHttpGet: true }),
  'Connect by GET in JSON over HTTP/2': (options) =>
    createConnectTransport({ ...options, httpVersion: '2', useHttpGet: true, useBinaryFormat: false }),
  'Connect, compressed': (options) =>
    createConnectTransport({
      ...options,
      httpVersion: '1.1',
      acceptCompression: [compressionGzip],
      sendCompression: compressionGzip,
      compressMinBytes: 0,
    }),
  'gRPC-Web over HTTP/1.1': (options) => createGrpcWebTransport({ ...options, httpVersion: '1.1' }),
  'gRPC-Web over HTTP/2': (options) => createGrpcWebTransport({ ...options, httpVersion: '2' }),
  'gRPC-Web in JSON': (options) => createGrpcWebTransport({ ...options, httpVersion: '1.1', useBinaryFormat: false }),
  gRPC: (options) => createGrpcTransport(options),
  'gRPC in JSON': (options) => createGrpcTransport({ ...options, useBinaryFormat: false }),
};

/** A client of one service, with header fields of one's own on each call. */
export function clientOf<S extends DescService>(
  service: S,
  at: { readonly protocol: string; readonly baseUrl: string; readonly fields?: Readonly<Record<string, string>> },
): Client<S> {
  const make = protocols[at.protocol];
  if (!make) throw new Error(`no protocol ${at.protocol}`);
  const addFields: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(at.fields ?? {})) request.header.set(name, value);
    return next(request);
  };
  return createClient(service, make({ baseUrl: at.baseUrl, interceptors: [addFields] }));
}
