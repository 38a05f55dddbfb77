import type { Worker } from 'node:cluster';
import type { Millis } from '../config/units.ts';
import { type AdminReply, type AdminRequest, NOBODY_ANSWERS } from '../observe/admin.ts';
import { countedBy, type Figures } from '../observe/figures.ts';
import type { Log } from '../observe/log.ts';
import { type FromWorker, isMessage, type ToWorker, type Trouble, type WorkerState } from './messages.ts';

export interface CrewNeeds {
  readonly count: number;
  readonly fork: () => Worker;
  /** The settings to begin with, as `encodeConfig` writes them. */
  readonly settings: string;
  readonly log: Log;
  /** Told of a worker that could not start. */
  readonly onFailed: (trouble: Trouble) => void;
  /** How long a place stays empty whose worker ended early: the first time, and at most. */
  readonly pauses?: { readonly firstMs: Millis; readonly longestMs: Millis };
  /** How long each of the two steps to new settings may take a worker. */
  readonly settleMs?: Millis;
}

/** The workers of one gateway: as many as were asked for, whatever becomes of them. */
export interface Crew {
  /** @returns where they listen, once the first of them does */
  start(): Promise<string>;
  /**
   * Takes all over to other settings, or nobody: all are asked to prepare first, and only when all can do they go over. Resolves
   * when all have, also those that were just starting; whoever has not by then, or in time, is replaced. One at a time.
   *
   * @returns why they cannot; nothing when they have
   */
  takeOver(settings: string): Promise<readonly string[]>;
  /** Of those that answer in time. */
  states(): Promise<readonly WorkerState[]>;
  /** What all of them have counted, those that are gone included, who left nothing but counts. */
  figures(): Promise<readonly (readonly Figures[])[]>;
  /** Asks one of them, always the same as long as it is there: it counts the wrong tokens. */
  api(request: AdminRequest): Promise<AdminReply>;
  /** Nobody is replaced any more. Tells all to stop, and resolves when none is left; by force after so long. */
  stop(graceMs: Millis): Promise<void>;
}

/** A worker that listened for less ended early. */
const EARLY_MS: Millis = 10_000;
const PAUSES = { firstMs: 100, longestMs: 30_000 };
/** How long a worker may take to tell its state, and to take new settings over. */
const STATE_MS: Millis = 3000;
const SETTLE_MS: Millis = 30_000;
/** The admin port itself gives up a little later. */
const API_MS: Millis = 8000;

interface Member {
  readonly worker: Worker;
  listensSince?: number;
  /** The settings that it has, or is taking over. */
  told?: string;
  figures: readonly Figures[];
  /** It listens, by the settings that were in force then; or it is gone. */
  readonly begun: PromiseWithResolvers<void>;
}

export function createCrew(needs: CrewNeeds): Crew {
  return new Places(needs);
}

class Places implements Crew {
  readonly #needs: CrewNeeds;
  readonly #members = new Map<number, Member>();
  /** Questions that were not answered yet; each has a deadline. */
  readonly #asked = new Map<number, (answer: FromWorker | undefined) => void>();
  readonly #listening = Promise.withResolvers<string>();
  #counted: Promise<readonly Figures[]> = Promise.resolve([]);
  /** In force. */
  #settings: string;
  readonly #replacing = new Set<NodeJS.Timeout>();
  #lastId = 0;
  /** Workers that ended early, in a row. */
  #early = 0;
  #isStopping = false;
  #onEmpty: () => void = () => undefined;

  constructor(needs: CrewNeeds) {
    this.#needs = needs;
    this.#settings = needs.settings;
  }

  start(): Promise<string> {
    for (let i = 0; i < this.#needs.count; i += 1) this.#add();
    return this.#listening.promise;
  }

  async takeOver(settings: string): Promise<readonly string[]> {
    const asked = [...this.#members.values()].filter(isListening);
    const why = await Promise.all(asked.map((member) => this.#prepare(member, settings)));
    const reasons = why.flat();
    if (reasons.length > 0) {
      for (const member of asked) tell(member, { kind: 'drop' });
      return reasons;
    }
    // Who begins from here on begins with these.
    this.#settings = settings;
    await Promise.all([...this.#members.values()].map((member) => this.#settle(member, asked.includes(member))));
    return [];
  }

  async states(): Promise<readonly WorkerState[]> {
    const answers = await this.#askAll((id) => ({ kind: 'state', id }), STATE_MS);
    return answers.flatMap((answer) => (answer?.kind === 'state' ? [answer.state] : []));
  }

  async figures(): Promise<readonly (readonly Figures[])[]> {
    await this.states();
    // In one moment, so that nobody is in both: whoever did not answer counts by what was last heard.
    const [alive, gone] = [[...this.#members.values()].map(({ figures }) => figures), this.#counted];
    return [...alive, await gone];
  }

  async api(request: AdminRequest): Promise<AdminReply> {
    const member = [...this.#members.values()].find(isListening);
    const relayed = { ...request, query: request.query.toString() };
    const answer = member && (await this.#ask(member, (id) => ({ kind: 'api', request: relayed, id }), API_MS));
    return answer?.kind === 'api' ? answer.reply : NOBODY_ANSWERS;
  }

  async stop(graceMs: Millis): Promise<void> {
    this.#isStopping = true;
    for (const timer of this.#replacing) clearTimeout(timer);
    if (this.#members.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      setTimeout(() => this.#kill(), graceMs).unref();
      for (const member of this.#members.values()) {
        // One that does not serve yet has nothing to drain.
        if (isListening(member)) tell(member, { kind: 'stop' });
        else member.worker.process.kill('SIGKILL');
      }
    });
  }

  #kill(): void {
    for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL');
  }

  #add(): void {
    const worker = this.#needs.fork();
    const member: Member = { worker, figures: [], begun: Promise.withResolvers() };
    this.#members.set(worker.id, member);
    worker.on('message', (message: unknown) => {
      if (isMessage<FromWorker>(message)) this.#hear(member, message);
    });
    worker.on('error', (cause) => this.#needs.log.debug('worker.unheard', { worker: worker.id, cause }));
    worker.once('exit', (code, signal) => this.#lose(member, { code, signal }));
  }

  #hear(member: Member, message: FromWorker): void {
    const { log, onFailed } = this.#needs;
    const { id, process } = member.worker;
    switch (message.kind) {
      case 'waiting':
        member.told = this.#settings;
        tell(member, { kind: 'settings', settings: member.told, id: 0 });
        return;
      case 'listening':
        member.listensSince = performance.now();
        // There were others while it started.
        if (member.told === this.#settings) member.begun.resolve();
        else void this.#hand(member).then(() => member.begun.resolve());
        log.info('worker.listening', { worker: id, pid: process.pid });
        this.#listening.resolve(message.url);
        return;
      case 'failed':
        log.error('worker.failed', { worker: id, why: message.trouble.message });
        onFailed(message.trouble);
        return;
      case 'last':
        member.figures = message.figures;
        return;
      case 'state':
        member.figures = message.state.figures;
        this.#asked.get(message.id)?.(message);
        return;
      case 'api':
      case 'prepared':
      case 'taken':
        this.#asked.get(message.id)?.(message);
    }
  }

  /** @returns why it cannot go over; nothing when it can, or is gone: another one takes its place */
  async #prepare(member: Member, settings: string): Promise<readonly string[]> {
    const answer = await this.#ask(member, (id) => ({ kind: 'prepare', settings, id }), this.#settleMs);
    const who = `worker ${member.worker.id}`;
    if (answer?.kind === 'prepared') return answer.reasons.map((reason) => `${who}: ${reason}`);
    return this.#isThere(member) ? [`${who}: it did not say in time whether it can`] : [];
  }

  /** Resolves when it goes by the settings in force, or is on its way out. */
  async #settle(member: Member, isPrepared: boolean): Promise<void> {
    if (isPrepared) {
      member.told = this.#settings;
      const answer = await this.#ask(member, (id) => ({ kind: 'commit', id }), this.#settleMs);
      if (!hasTaken(answer)) this.#replace(member);
    } else if (isListening(member)) await this.#hand(member);
    // Told nothing yet, it begins with the newest.
    else if (member.told !== undefined && !(await within(member.begun.promise, this.#settleMs))) this.#replace(member);
  }

  /** Takes one over alone that was starting while the others went over. */
  async #hand(member: Member): Promise<void> {
    const settings = this.#settings;
    member.told = settings;
    const answer = await this.#ask(member, (id) => ({ kind: 'settings', settings, id }), this.#settleMs);
    if (!hasTaken(answer)) this.#replace(member);
  }

  /** It would go on by settings that no other has: by force, as it may hear nothing. */
  #replace(member: Member): void {
    if (!this.#isThere(member) || this.#isStopping) return;
    this.#needs.log.error('worker.behind', { worker: member.worker.id });
    member.worker.process.kill('SIGKILL');
  }

  #isThere({ worker }: Member): boolean {
    return this.#members.has(worker.id);
  }

  get #settleMs(): Millis {
    return this.#needs.settleMs ?? SETTLE_MS;
  }

  #lose(member: Member, how: { code: number | null; signal: string | null }): void {
    const { worker, listensSince, figures } = member;
    this.#members.delete(worker.id);
    member.begun.resolve();
    if (this.#isStopping) {
      if (this.#members.size === 0) this.#onEmpty();
      return;
    }
    this.#counted = this.#counted.then((before) => countedBy([before, figures]));
    const livedMs = listensSince === undefined ? 0 : Math.round(performance.now() - listensSince);
    this.#early = livedMs < EARLY_MS ? this.#early + 1 : 0;
    const againInMs = this.#pauseMs();
    this.#needs.log.error('worker.lost', { worker: worker.id, ...how, livedMs, againInMs });
    const timer = setTimeout(() => {
      this.#replacing.delete(timer);
      this.#add();
    }, againInMs);
    this.#replacing.add(timer);
  }

  #pauseMs(): Millis {
    const { firstMs, longestMs } = this.#needs.pauses ?? PAUSES;
    return this.#early === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** Math.min(this.#early - 1, 20));
  }

  #askAll(question: (id: number) => ToWorker, timeoutMs: Millis): Promise<readonly (FromWorker | undefined)[]> {
    const listening = [...this.#members.values()].filter(isListening);
    return Promise.all(listening.map((member) => this.#ask(member, question, timeoutMs)));
  }

  /** @returns undefined when it is gone, or takes too long */
  #ask(member: Member, question: (id: number) => ToWorker, timeoutMs: Millis): Promise<FromWorker | undefined> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const settle = (answer: FromWorker | undefined) => {
        clearTimeout(timer);
        this.#asked.delete(id);
        member.worker.off('exit', gone);
        resolve(answer);
      };
      const gone = () => settle(undefined);
      const timer = setTimeout(gone, timeoutMs);
      member.worker.once('exit', gone);
      this.#asked.set(id, settle);
      tell(member, question(id));
    });
  }
}

function isListening({ listensSince }: Member): boolean {
  return listensSince !== undefined;
}

function tell({ worker }: Member, message: ToWorker): void {
  // One that is gone hears nothing: its exit is what counts.
  if (worker.isConnected()) worker.send(message, () => undefined);
}

function hasTaken(answer: FromWorker | undefined): boolean {
  return answer?.kind === 'taken' && answer.outcome !== 'refused';
}

/** @returns whether it was resolved in time */
function within(promise: Promise<void>, ms: Millis): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    void promise.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
