import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport } from '@connectrpc/connect-node';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { AdminService } from '../../src/demo/gen/flyteidl/service/admin_pb.ts';
import type { EnrichedIdentity } from '../../src/demo/gen/flyteidl2/common/identity_pb.ts';
import { ActionPhase } from '../../src/demo/gen/flyteidl2/common/phase_pb.ts';
import { ProjectService } from '../../src/demo/gen/flyteidl2/project/project_service_pb.ts';
import { TaskService } from '../../src/demo/gen/flyteidl2/task/task_service_pb.ts';
import { RunService } from '../../src/demo/gen/flyteidl2/workflow/run_service_pb.ts';

const claims = { sub: 'ada', email: 'ada@example.com', given_name: 'Ada', family_name: 'Okafor' };
const assertion = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.nobody-looks`;
const inProject = { case: 'projectId', value: { domain: 'staging', name: 'forecasts' } } as const;

describe('the demo control plane as a Flyte', () => {
  const paths: string[] = [];
  const plane = createControlPlane({ port: 0, tickMs: 1, onRequest: ({ path }) => paths.push(path) });
  let baseUrl: string;
  before(async () => {
    baseUrl = await plane.start();
  });
  after(() => plane.stop());
  const flyte2 = () => createConnectTransport({ baseUrl, httpVersion: '1.1' });

  it('lists projects in both generations, in the protocols of their SDKs', async () => {
    const { projects } = await createClient(ProjectService, flyte2()).listProjects({});
    const admin = await createClient(AdminService, createGrpcTransport({ baseUrl })).listProjects({});
    for (const found of [projects?.projects, admin.projects])
      assert.deepEqual(
        found?.map(({ id, domains }) => [id, domains.length]),
        [
          ['flytesnacks', 3],
          ['forecasts', 1],
        ],
      );
    assert.deepEqual(paths, [
      '/flyteidl2.project.ProjectService/ListProjects',
      '/flyteidl.service.AdminService/ListProjects',
    ]);
  });

  it('lists tasks and runs of the project that is asked for', async () => {
    const { tasks } = await createClient(TaskService, flyte2()).listTasks({ scopeBy: inProject });
    const { runs } = await createClient(RunService, flyte2()).listRuns({ scopeBy: inProject });
    for (const place of [tasks[0]?.taskId, runs[0]?.action?.id?.run])
      assert.deepEqual([place?.project, place?.domain], ['forecasts', 'staging']);
  });

  it('streams a run until it is done', async () => {
    const phases: unknown[] = [];
    const actionId = { run: { name: 'demo-run' }, name: 'a0' };
    for await (const { details } of createClient(RunService, flyte2()).watchActionDetails({ actionId }))
      phases.push(details?.status?.phase);
    assert.deepEqual(phases, [ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.SUCCEEDED]);
  });

  for (const [what, headers, expected] of [
    [
      'X-Amzn-Oidc-Data, without a look at its signature',
      { 'x-amzn-oidc-data': assertion },
      ['ada', 'Ada', 'Okafor', 'ada@example.com'],
    ],
    [
      'X-Auth-Request-User',
      { 'x-auth-request-user': 'zoe', 'x-auth-request-email': 'zoe@example.com' },
      ['zoe', '', '', 'zoe@example.com'],
    ],
    [
      'the first of both',
      { 'x-amzn-oidc-data': assertion, 'x-auth-request-user': 'zoe' },
      ['ada', 'Ada', 'Okafor', 'ada@example.com'],
    ],
    [
      'the other one where the first is no JWT',
      { 'x-amzn-oidc-data': 'x', 'x-auth-request-user': 'zoe' },
      ['zoe', '', '', ''],
    ],
  ] as const) {
    it(`believes ${what}, as Flyte 2 does`, async () => {
      const { runs } = await createClient(RunService, flyte2()).listRuns({}, { headers });
      assert.deepEqual(wordsOf(runs[0]?.action?.metadata?.executedBy), expected);
    });
  }

  it('names nobody where no field does', async () => {
    const { runs } = await createClient(RunService, flyte2()).listRuns({});
    assert.equal(runs[0]?.action?.metadata?.executedBy, undefined);
  });
});

function wordsOf(identity: EnrichedIdentity | undefined): readonly (string | undefined)[] {
  const { id, spec } = identity?.principal.value ?? {};
  return [id?.subject, spec?.firstName, spec?.lastName, spec?.email];
}
