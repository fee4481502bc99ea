// All models of one series side by side with their scoreboard: moves them on by one value, holds what they say,
// mixes it, chooses what is issued. A retraining runs a second pool over the past to see what its models are worth.

import { pack, packNumbers, type StateReader, UnreadableState } from '../state-reader.ts';
import type { ForecastMethod, Model, ModelContext } from './forecast.ts';
import type { MethodStanding } from './forecast-result.ts';
import { mixByMedian, mixByWeights } from './mixing.ts';
import { MEDIAN, MIXTURE, Scoreboard } from './scoreboard.ts';

/** Fewer outcomes than this and the choice is the first naive method. */
const LEAST_OUTCOMES = 10;
/** Until the horizon was lived through so often, few independent outcomes stand behind a score. */
const MATURE_HORIZONS = 10;
/**
 * Errors count by so much more for the choice: following the winner of the day is noise, the median needs no luck. A
 * young pool may only fall back to what is naive.
 */
const HANDICAPS = {
  young: { single: Number.POSITIVE_INFINITY, naive: 1.1, mixture: Number.POSITIVE_INFINITY },
  mature: { single: 1.04, naive: 1.04, mixture: 1 },
} as const;
/** The present choice is kept until another is better by this factor. */
const LOYALTY = 0.98;

/** More than any method keeps: a regression of 30 features for each of 15 horizons has 8,000. */
const MOST_EXPERT_NUMBERS = 50_000;

export interface Expert {
  readonly name: string;
  readonly isFloor: boolean;
  readonly model: Model;
}

/** Makes experts of the methods that can be fitted now. */
export function fitExperts(
  methods: readonly ForecastMethod[],
  context: ModelContext,
  floorNames: ReadonlySet<string>,
): Expert[] {
  return methods.flatMap((method) => {
    const model = method.fit(context);
    return model === null ? [] : [{ name: method.name, isFloor: floorNames.has(method.name), model }];
  });
}

export interface PoolOptions {
  readonly context: ModelContext;
  readonly experts: readonly Expert[];
  /** Scores to go on with; new ones when left out. */
  readonly board?: Scoreboard;
  /** Experts were fitted on a history: their median is issued from the start, else the first naive method. */
  readonly isProven: boolean;
}

export class ExpertPool {
  readonly context: ModelContext;
  readonly experts: readonly Expert[];
  readonly board: Scoreboard;
  /** What is issued for each step up to the horizon. */
  readonly issued: Float64Array;
  readonly #paths: readonly Float64Array[];
  readonly #mixture: Float64Array;
  readonly #median: Float64Array;
  readonly #floor: readonly number[];
  readonly #relative: Float64Array;
  #choice: number;
  /** Forecasts of single experts that were not finite or beyond all bounds, and were replaced. */
  replaced = 0;

  constructor({ context, experts, board, isProven }: PoolOptions) {
    this.#choice = isProven ? experts.length + MEDIAN : 0;
    this.context = context;
    this.experts = experts;
    this.board = board ?? new Scoreboard(experts.length, context.tracked);
    this.issued = new Float64Array(context.horizon);
    this.#paths = experts.map(() => new Float64Array(context.horizon));
    this.#mixture = new Float64Array(context.horizon);
    this.#median = new Float64Array(context.horizon);
    this.#floor = experts.flatMap((expert, index) => (expert.isFloor ? [index] : []));
    this.#relative = new Float64Array(experts.length + 2);
    this.#relative.fill(1);
  }

  /** Name of what is issued. */
  get method(): string {
    const mixed = this.#choice - this.experts.length;
    if (mixed === MIXTURE) return 'weighted';
    return mixed === MEDIAN ? 'median' : this.experts[this.#choice]!.name;
  }

  /** Recent error of what is issued over that of the naive floor. */
  get relativeError(): number {
    return this.#relative[this.#choice]!;
  }

  /** Every method's recent error over that of the naive floor; 1 for all while nothing is known. */
  standings(): MethodStanding[] {
    const errors = new Float64Array(this.experts.length + 2);
    this.board.relativeErrors(this.#floor, errors);
    const names = [...this.experts.map(({ name }) => name), 'weighted', 'median'];
    return names.map((method, i) => ({ method, overNaive: errors[i]! }));
  }

  /** Takes the value that window and features were just given; `bounds` is what may be said at all. */
  push(value: number, bounds: readonly [number, number], scaleOf: (value: number) => number): void {
    this.board.score(value);
    for (const { model } of this.experts) model.push();
    this.say(bounds);
    this.board.keep(
      this.#paths,
      { mixture: this.#mixture, median: this.#median, issued: this.issued },
      scaleOf,
    );
  }

  /** Asks all experts anew and chooses; for a pool whose models were exchanged without a new value. */
  say(bounds: readonly [number, number]): void {
    this.experts.forEach(({ model }, e) => {
      const path = this.#paths[e]!;
      model.forecast(path);
      this.#confine(path, bounds);
    });
    mixByWeights(this.#paths, this.context.tracked, (index) => this.board.weights(index), this.#mixture);
    mixByMedian(this.#paths, this.#median);
    this.#choose();
    const mixed = this.#choice - this.experts.length;
    if (mixed === MIXTURE) this.issued.set(this.#mixture);
    else this.issued.set(mixed === MEDIAN ? this.#median : this.#paths[this.#choice]!);
  }

  state(): object {
    return {
      experts: this.experts.map(({ name, model }) => ({
        name,
        numbers: packNumbers(model.numbers?.() ?? []),
      })),
      board: this.board.state(),
      issued: pack(this.issued),
      choice: packNumbers([this.#choice, this.replaced]),
    };
  }

  /** Takes the state of a pool of the same methods. */
  restore(state: StateReader): void {
    const kept = state.list('experts', this.experts.length);
    this.experts.forEach(({ name, model }, i) => {
      const numbers = kept[i]?.numbersUpTo('numbers', MOST_EXPERT_NUMBERS);
      const isSame = kept[i]?.raw('name') === name && numbers !== undefined;
      if (!isSame || !(model.restore?.(numbers) ?? numbers.length === 0)) {
        throw new UnreadableState(`what ${name} has learnt is not there`);
      }
    });
    const [choice = -1, replaced = 0] = state.numbers('choice', 2);
    if (!Number.isInteger(choice) || choice < 0 || choice > this.experts.length + MEDIAN) {
      throw new UnreadableState('a pool chooses one of its experts');
    }
    this.board.restore(state.at('board'));
    this.issued.set(state.numbers('issued', this.issued.length));
    this.#choice = choice;
    this.replaced = replaced;
  }

  #confine(path: Float64Array, [least, most]: readonly [number, number]): void {
    for (let h = 0; h < path.length; h++) {
      const value = path[h]!;
      if (value >= least && value <= most) continue;
      this.replaced += 1;
      if (Number.isFinite(value)) path[h] = value < least ? least : most;
      else path[h] = this.context.window.at(0);
    }
  }

  #choose(): void {
    if (this.board.outcomes < LEAST_OUTCOMES) return;
    this.board.relativeErrors(this.#floor, this.#relative);
    let best = this.#choice;
    let least = this.#handicapped(best) * LOYALTY;
    for (let c = 0; c < this.#relative.length; c++) {
      const error = this.#handicapped(c);
      if (error >= least) continue;
      least = error;
      best = c;
    }
    this.#choice = best;
  }

  #handicapped(candidate: number): number {
    const { outcomes } = this.board;
    const age = outcomes < MATURE_HORIZONS * this.context.horizon ? 'young' : 'mature';
    const { single, naive, mixture } = HANDICAPS[age];
    const mixed = candidate - this.experts.length;
    const unmixed = this.experts[candidate]?.isFloor === true ? naive : single;
    const factor = mixed === MEDIAN ? 1 : mixed === MIXTURE ? mixture : unmixed;
    return this.#relative[candidate]! * factor;
  }
}
