import { setTimeout as sleep } from 'node:timers/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { believedIdentity } from './believed-identity.ts';
import type { ActionIdentifier } from './gen/flyteidl2/common/identifier_pb.ts';
import { ActionPhase } from './gen/flyteidl2/common/phase_pb.ts';
import { ProjectService } from './gen/flyteidl2/project/project_service_pb.ts';
import { TaskService } from './gen/flyteidl2/task/task_service_pb.ts';
import type { ActionDetailsSchema } from './gen/flyteidl2/workflow/run_definition_pb.ts';
import { RunService, WatchActionDetailsResponseSchema } from './gen/flyteidl2/workflow/run_service_pb.ts';
import { projects } from './projects.ts';

/** Path prefixes of the services' methods. */
export const flyte2Paths = [ProjectService, TaskService, RunService].map(({ typeName }) => `/${typeName}/`);

/**
 * Enough of a Flyte 2 to list and watch: the same two projects, one task and one run for everybody. The run was started by
 * whoever asks, as a stock Flyte 2 believes the header fields, and comes through while it is watched.
 *
 * @param tickMs between two changes of a watched run
 */
export function addFlyte2(router: ConnectRouter, tickMs: number): void {
  router.service(ProjectService, { listProjects: () => ({ projects: { projects } }) });
  router.service(TaskService, {
    listTasks: ({ scopeBy }, context) => {
      const place = placeOf(scopeBy.case === 'projectId' ? scopeBy.value : undefined);
      const deployedBy = believedIdentity(context.requestHeader);
      const metadata = { shortName: 'train', environmentName: 'snacks', ...(deployedBy && { deployedBy }) };
      return { tasks: [{ taskId: { ...place, name: 'snacks.train', version: 'v1' }, metadata }] };
    },
  });
  router.service(RunService, {
    listRuns: ({ scopeBy }, context) => {
      const place = placeOf(scopeBy.case === 'projectId' ? scopeBy.value : undefined);
      const id = { run: { ...place, name: 'demo-run' }, name: 'a0' };
      return { runs: [{ action: actionAt(ActionPhase.RUNNING, id, context) }] };
    },
    async *watchActionDetails({ actionId }, context) {
      if (!actionId) throw new ConnectError('which action?', Code.InvalidArgument);
      for (const phase of [ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.SUCCEEDED]) {
        if (phase !== ActionPhase.QUEUED) await pause(tickMs, context.signal);
        yield create(WatchActionDetailsResponseSchema, { details: actionAt(phase, actionId, context) });
      }
    },
  });
}

function placeOf(project: { organization: string; domain: string; name: string } | undefined) {
  const { organization = '', domain = 'development', name = 'flytesnacks' } = project ?? {};
  return { org: organization, project: name, domain };
}

type ActionId = ActionIdentifier | NonNullable<MessageInitShape<typeof ActionDetailsSchema>['id']>;

function actionAt(phase: ActionPhase, id: ActionId, context: HandlerContext) {
  const executedBy = believedIdentity(context.requestHeader);
  return { id, metadata: executedBy ? { executedBy } : {}, status: { phase, attempts: 1 } };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (cause) {
    // Only the caller's leaving ends a pause early.
    throw new ConnectError('the caller went away', Code.Canceled, undefined, undefined, cause);
  }
}
