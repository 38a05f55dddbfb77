import { AggregatorRegistry, type Registry } from 'prom-client';

/** One metric with its values, as a process tells another of it; made by `OwnMetrics.figures`. */
export interface Figures {
  readonly name: string;
  /** `counter`, `gauge` or `histogram`. */
  readonly type: string | number;
}

/** The page of several processes as one: sums, but where a metric says otherwise. */
export async function pageOf(
  processes: readonly (readonly Figures[])[],
): Promise<{ readonly contentType: string; readonly body: string }> {
  const registry = together(processes);
  return { contentType: registry.contentType, body: await registry.metrics() };
}

/**
 * What is kept of processes that are gone: what they had counted. Without it sums would fall, and whoever reads them takes that for
 * a restart of everything.
 */
export async function countedBy(processes: readonly (readonly Figures[])[]): Promise<readonly Figures[]> {
  const counts = processes.map((figures) => figures.filter(({ type }) => type !== 'gauge'));
  return together(counts).getMetricsAsJSON();
}

function together(processes: readonly (readonly Figures[])[]): Registry {
  return AggregatorRegistry.aggregate(processes.map((figures) => [...figures]));
}
