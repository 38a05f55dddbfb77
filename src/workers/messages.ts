import type { AdminReply, AdminRequest } from '../observe/admin.ts';
import type { Figures } from '../observe/figures.ts';
import type { Readiness } from '../observe/health.ts';
import type { ReloadOutcome } from '../observe/metrics.ts';

/** What the primary process says to a worker. Answers carry the id of the question. */
export type ToWorker =
  /** A `Config` as `encodeConfig` writes it: the first one starts the worker, a later one is what its neighbours went over to meanwhile. */
  | { readonly kind: 'settings'; readonly settings: string; readonly id: number }
  /** The same, to go over to when all can. */
  | { readonly kind: 'prepare'; readonly settings: string; readonly id: number }
  /** All can, or somebody cannot. */
  | { readonly kind: 'commit'; readonly id: number }
  | { readonly kind: 'drop' }
  | { readonly kind: 'state'; readonly id: number }
  /** What an operator asks of the API. */
  | { readonly kind: 'api'; readonly request: RelayedRequest; readonly id: number }
  | { readonly kind: 'stop' };

export type RelayedRequest = Omit<AdminRequest, 'query'> & { readonly query: string };

/** What a worker says of itself. */
export interface WorkerState {
  readonly readiness: Readiness;
  readonly figures: readonly Figures[];
}

/** What a system error says besides its message, for the person at the terminal. */
export interface Trouble {
  readonly message: string;
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
}

/** What a worker says to the primary process. */
export type FromWorker =
  /** It waits for its settings. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'listening'; readonly url: string }
  /** It could not start, and ends. */
  | { readonly kind: 'failed'; readonly trouble: Trouble }
  /** It can go over, or why not. */
  | { readonly kind: 'prepared'; readonly reasons: readonly string[]; readonly id: number }
  /** It went over. */
  | { readonly kind: 'taken'; readonly outcome: ReloadOutcome; readonly id: number }
  | { readonly kind: 'state'; readonly state: WorkerState; readonly id: number }
  | { readonly kind: 'api'; readonly reply: AdminReply; readonly id: number }
  /** Its last figures: it ends now. */
  | { readonly kind: 'last'; readonly figures: readonly Figures[] };

/** Both sides are processes of one gateway: a kind is all that is asked of a message. */
export function isMessage<M extends { readonly kind: string }>(message: unknown): message is M {
  return typeof message === 'object' && message !== null && 'kind' in message && typeof message.kind === 'string';
}
