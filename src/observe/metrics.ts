/** How a request of the public port ended. */
export type RequestOutcome =
  | 'forwarded'
  | 'endpoint'
  | 'sign_in'
  | 'denied'
  | 'unavailable'
  | 'refused'
  | 'not_found'
  | 'upstream_failed';

/** What is counted. Plain numbers on the hot path; names and labels are given when the page is read. */
export interface Metrics {
  request(outcome: RequestOutcome): void;
  decision(outcome: 'hit' | 'miss' | 'allowed' | 'refused' | 'unavailable'): void;
  signIn(outcome: 'started' | 'finished' | 'failed'): void;
  signOut(): void;
  renewal(outcome: 'renewed' | 'refused' | 'failed'): void;
  /** Time from sending a request to the head of its answer. @param tookMs milliseconds */
  upstream(name: string, outcome: 'answered' | 'failed', tookMs: number): void;
  /** The page in Prometheus' text format. */
  page(): Promise<{ readonly contentType: string; readonly body: string }>;
}
