import type { ConnectRouter } from '@connectrpc/connect';
import { AdminService } from './gen/flyteidl/service/admin_pb.ts';
import { projects } from './projects.ts';

/** Path prefixes of the services' methods. */
export const flyte1Paths = [`/${AdminService.typeName}/`];

/** Enough of a flyteadmin for its clients to list projects. */
export function addFlyte1(router: ConnectRouter): void {
  router.service(AdminService, { listProjects: () => ({ projects }) });
}
