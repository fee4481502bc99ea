// Gradient-boosted trees on histograms with logistic loss: learns P(failure) from features of past rows.
// Own code because no kept package on npm trains one. Friedman 2001 (boosting, shrinkage), Chen and
// Guestrin 2016 (second-order gain, l2 on leaves); quantile bins and trees grown level by level. Work is
// bounded by rows x columns x depth x trees, never by a clock: the same rows give the same model anywhere.

import { pack, packNumbers, type StateReader, UnreadableState } from '../state-reader.ts';

/** Rows of features with their outcomes, oldest first: the last part judges when to stop. */
export interface TrainingRows {
  /** Row-major, `rows x columns`; NaN = unknown. */
  readonly features: Float64Array;
  readonly columns: number;
  /** 1 where a failure began within the horizon. */
  readonly labels: Uint8Array;
  /** How many of the youngest the model in force has not learnt from; all when left out. */
  readonly unseen?: number;
}

export interface BoostOptions {
  readonly maxTrees: number;
  /** Levels of splits; a tree has at most 2^depth leaves. */
  readonly depth: number;
  /** Shrinkage of each tree, 0..1. */
  readonly learningRate: number;
  /** Rows that a leaf needs: fewer learn single incidents by heart. */
  readonly minLeafRows: number;
  /** Penalty on leaf values. */
  readonly l2: number;
  /** Trees without improvement on the judging part before it stops. */
  readonly patience: number;
  /** Share of rows, the youngest, that judge and are not trained on. 0 = train all trees. */
  readonly judgingShare: number;
}

export const BOOST_DEFAULTS: BoostOptions = {
  maxTrees: 120,
  depth: 4,
  learningRate: 0.1,
  minLeafRows: 20,
  l2: 5,
  patience: 12,
  judgingShare: 0.25,
};

/** Nodes of all trees in one table: plain data that a worker can post and a file can keep. */
export interface BoostedTrees {
  readonly columns: number;
  /** Log-odds before the first tree. */
  readonly base: number;
  readonly treeCount: number;
  readonly nodesPerTree: number;
  /** Column of each inner node, -1 on a leaf. */
  readonly splitColumn: Int16Array;
  /** A value at most this goes to child 2i+1, a greater one to 2i+2; NaN goes left as the smallest. */
  readonly splitAt: Float64Array;
  readonly leafValue: Float64Array;
}

// 8 bits a bin halve the memory of rows against 16; 48 quantiles lose nothing on a few thousand rows.
const MAX_BINS = 48;
// Gain below this is noise of rounding, and pure leaves would split for ever.
const MIN_GAIN = 1e-6;

/** Trees of this many rows' features are larger than any that are trained here. */
const MOST_KEPT_TREES = 2000;

export function treesState(model: BoostedTrees): object {
  const { columns, base, treeCount, nodesPerTree, splitColumn, splitAt, leafValue } = model;
  return {
    numbers: packNumbers([columns, base, treeCount, nodesPerTree]),
    splitColumn: pack(splitColumn),
    splitAt: pack(splitAt),
    leafValue: pack(leafValue),
  };
}

/** Throws UnreadableState for a table in which a walk could leave a tree or end in no number. */
export function restoreTrees(state: StateReader): BoostedTrees {
  const [columns = 0, base = 0, treeCount = 0, nodesPerTree = 0] = state.numbers('numbers', 4);
  const isSound = Number.isFinite(base) && Number.isInteger(nodesPerTree) && nodesPerTree % 2 === 1;
  if (!isSound || !(treeCount >= 0 && treeCount <= MOST_KEPT_TREES) || nodesPerTree > 1023) {
    throw new UnreadableState('trees have no sound form');
  }
  const nodes = treeCount * nodesPerTree;
  const splitColumn = state.int16s('splitColumn', nodes);
  const splitAt = state.numbers('splitAt', nodes);
  const leafValue = state.numbers('leafValue', nodes);
  const firstLeaf = (nodesPerTree - 1) / 2;
  const isTree = splitColumn.every(
    (column, i) => column < columns && (column < 0 || i % nodesPerTree < firstLeaf),
  );
  if (!isTree || !splitAt.every(Number.isFinite) || !leafValue.every(Number.isFinite)) {
    throw new UnreadableState('trees lead nowhere');
  }
  return { columns, base, treeCount, nodesPerTree, splitColumn, splitAt, leafValue };
}

/** Trains on `rows`; with one class only it returns a model without trees, the (smoothed) base rate. */
export function trainBoostedTrees(rows: TrainingRows, options: BoostOptions = BOOST_DEFAULTS): BoostedTrees {
  const count = rows.labels.length;
  const trained = count - Math.floor(count * options.judgingShare);
  let positives = 0;
  for (let i = 0; i < trained; i += 1) positives += rows.labels[i]!;
  const nodesPerTree = 2 ** (options.depth + 1) - 1;
  const base = Math.log((positives + 0.5) / (trained - positives + 0.5));
  const forest = new Forest(rows.columns, nodesPerTree, base);
  if (positives === 0 || positives === trained) return forest.freeze(0);

  const binned = binColumns(rows, trained);
  const margins = new Float64Array(count).fill(base);
  const grower = new TreeGrower(binned, trained, options);
  let bestLoss = judgingLoss(rows.labels, margins, trained);
  let bestCount = 0;
  for (let tree = 0; tree < options.maxTrees; tree += 1) {
    if (!grower.grow(forest, rows.labels, margins)) break;
    for (let row = 0; row < count; row += 1) margins[row]! += forest.leafOfRow(tree, rows.features, row);
    if (trained === count) bestCount = tree + 1;
    else {
      const loss = judgingLoss(rows.labels, margins, trained);
      if (loss < bestLoss - 1e-7) {
        bestLoss = loss;
        bestCount = tree + 1;
      }
      if (tree + 1 - bestCount >= options.patience) break;
    }
  }
  return forest.freeze(bestCount);
}

/** Probability 0..1 for one row of features (`columns` of them). */
export function predictBoostedTrees(model: BoostedTrees, features: ArrayLike<number>): number {
  let margin = model.base;
  for (let tree = 0; tree < model.treeCount; tree += 1) margin += walkTree(model, tree, features, 0);
  return 1 / (1 + Math.exp(-margin));
}

interface TreeNodes {
  readonly nodesPerTree: number;
  readonly splitColumn: ArrayLike<number>;
  readonly splitAt: ArrayLike<number>;
  readonly leafValue: ArrayLike<number>;
}

function walkTree(model: TreeNodes, tree: number, features: ArrayLike<number>, offset: number): number {
  const root = tree * model.nodesPerTree;
  let node = 0;
  for (;;) {
    const column = model.splitColumn[root + node]!;
    if (column < 0) return model.leafValue[root + node]!;
    node = 2 * node + (features[offset + column]! > model.splitAt[root + node]! ? 2 : 1);
  }
}

function judgingLoss(labels: Uint8Array, margins: Float64Array, from: number): number {
  let loss = 0;
  for (let i = from; i < labels.length; i += 1) {
    const margin = labels[i] === 1 ? -margins[i]! : margins[i]!;
    loss += margin > 30 ? margin : Math.log1p(Math.exp(margin));
  }
  return loss / Math.max(1, labels.length - from);
}

/** Trees as they grow; frozen into typed arrays of the right length at the end. */
class Forest {
  readonly nodesPerTree: number;
  readonly splitColumn: number[] = [];
  readonly splitAt: number[] = [];
  readonly leafValue: number[] = [];
  readonly #columns: number;
  readonly #base: number;

  constructor(columns: number, nodesPerTree: number, base: number) {
    this.#columns = columns;
    this.nodesPerTree = nodesPerTree;
    this.#base = base;
  }

  addTree(): number {
    const root = this.splitColumn.length;
    for (let i = 0; i < this.nodesPerTree; i += 1) {
      this.splitColumn.push(-1);
      this.splitAt.push(0);
      this.leafValue.push(0);
    }
    return root;
  }

  leafOfRow(tree: number, features: Float64Array, row: number): number {
    return walkTree(this, tree, features, row * this.#columns);
  }

  freeze(treeCount: number): BoostedTrees {
    const end = treeCount * this.nodesPerTree;
    return {
      columns: this.#columns,
      base: this.#base,
      treeCount,
      nodesPerTree: this.nodesPerTree,
      splitColumn: Int16Array.from(this.splitColumn.slice(0, end)),
      splitAt: Float64Array.from(this.splitAt.slice(0, end)),
      leafValue: Float64Array.from(this.leafValue.slice(0, end)),
    };
  }
}

interface BinnedRows {
  readonly columns: number;
  /** Column-major bin of each trained row. */
  readonly bins: Uint8Array;
  /** Upper edges of the bins of each column. */
  readonly edges: readonly Float64Array[];
}

function binColumns(rows: TrainingRows, trained: number): BinnedRows {
  const { columns, features } = rows;
  const bins = new Uint8Array(columns * trained);
  const edges: Float64Array[] = [];
  const values = new Float64Array(trained);
  for (let column = 0; column < columns; column += 1) {
    for (let row = 0; row < trained; row += 1) values[row] = features[row * columns + column]!;
    const cuts = quantileEdges(values);
    edges.push(cuts);
    for (let row = 0; row < trained; row += 1) bins[column * trained + row] = binOf(cuts, values[row]!);
  }
  return { columns, bins, edges };
}

/** At most MAX_BINS - 1 distinct cut values; a value equal to a cut lies below it. */
function quantileEdges(values: Float64Array): Float64Array {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const cuts: number[] = [];
  for (let bin = 1; bin < MAX_BINS && sorted.length > 0; bin += 1) {
    const cut = sorted[Math.floor((bin * sorted.length) / MAX_BINS)]!;
    if (cut !== cuts.at(-1) && cut < sorted.at(-1)!) cuts.push(cut);
  }
  return Float64Array.from(cuts);
}

function binOf(cuts: Float64Array, value: number): number {
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value > cuts[middle]!) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Grows one tree after another on the same bins; its buffers are made once. */
class TreeGrower {
  readonly #binned: BinnedRows;
  readonly #rowCount: number;
  readonly #options: BoostOptions;
  readonly #nodeOfRow: Uint16Array;
  readonly #gradients: Float64Array;
  readonly #hessians: Float64Array;
  readonly #histogram: Float64Array;

  constructor(binned: BinnedRows, rowCount: number, options: BoostOptions) {
    this.#binned = binned;
    this.#rowCount = rowCount;
    this.#options = options;
    this.#nodeOfRow = new Uint16Array(rowCount);
    this.#gradients = new Float64Array(rowCount);
    this.#hessians = new Float64Array(rowCount);
    // Per node of a level and bin: sum of gradients, of hessians, and the count.
    this.#histogram = new Float64Array(2 ** options.depth * MAX_BINS * 3);
  }

  /** False when not even the root could be split: boosting is over. */
  grow(forest: Forest, labels: Uint8Array, margins: Float64Array): boolean {
    for (let row = 0; row < this.#rowCount; row += 1) {
      const p = 1 / (1 + Math.exp(-margins[row]!));
      this.#gradients[row] = p - labels[row]!;
      this.#hessians[row] = Math.max(p * (1 - p), 1e-9);
    }
    this.#nodeOfRow.fill(0);
    const root = forest.addTree();
    let split = false;
    for (let level = 0; level < this.#options.depth; level += 1) {
      const found = this.#splitLevel(forest, root, level);
      if (!found) break;
      split = true;
    }
    this.#setLeaves(forest, root);
    return split;
  }

  #splitLevel(forest: Forest, root: number, level: number): boolean {
    const first = 2 ** level - 1;
    const width = 2 ** level;
    const best: Array<BestSplit | undefined> = new Array(width);
    for (let column = 0; column < this.#binned.columns; column += 1) {
      if (this.#binned.edges[column]!.length === 0) continue;
      this.#fillHistogram(column, first, width);
      for (let slot = 0; slot < width; slot += 1) {
        const split = this.#bestOfNode(column, slot);
        if (split !== undefined && split.gain > (best[slot]?.gain ?? MIN_GAIN)) best[slot] = split;
      }
    }
    for (let slot = 0; slot < width; slot += 1) {
      const split = best[slot];
      if (split === undefined) continue;
      forest.splitColumn[root + first + slot] = split.column;
      forest.splitAt[root + first + slot] = this.#binned.edges[split.column]![split.bin]!;
    }
    this.#descend(best, first, width);
    return best.some((split) => split !== undefined);
  }

  #fillHistogram(column: number, first: number, width: number): void {
    const histogram = this.#histogram;
    histogram.fill(0, 0, width * MAX_BINS * 3);
    const start = column * this.#rowCount;
    for (let row = 0; row < this.#rowCount; row += 1) {
      const slot = this.#nodeOfRow[row]! - first;
      if (slot < 0) continue;
      const at = (slot * MAX_BINS + this.#binned.bins[start + row]!) * 3;
      histogram[at]! += this.#gradients[row]!;
      histogram[at + 1]! += this.#hessians[row]!;
      histogram[at + 2]! += 1;
    }
  }

  #bestOfNode(column: number, slot: number): BestSplit | undefined {
    const { l2, minLeafRows } = this.#options;
    const histogram = this.#histogram;
    const start = slot * MAX_BINS * 3;
    let [g, h, n] = [0, 0, 0];
    for (let at = start; at < start + MAX_BINS * 3; at += 3) {
      g += histogram[at]!;
      h += histogram[at + 1]!;
      n += histogram[at + 2]!;
    }
    if (n < 2 * minLeafRows) return undefined;
    const whole = (g * g) / (h + l2);
    let best: BestSplit | undefined;
    let [gl, hl, nl] = [0, 0, 0];
    for (let bin = 0; bin < this.#binned.edges[column]!.length; bin += 1) {
      gl += histogram[start + bin * 3]!;
      hl += histogram[start + bin * 3 + 1]!;
      nl += histogram[start + bin * 3 + 2]!;
      if (nl < minLeafRows || n - nl < minLeafRows) continue;
      const gain = (gl * gl) / (hl + l2) + (g - gl) ** 2 / (h - hl + l2) - whole;
      if (gain > (best?.gain ?? MIN_GAIN)) best = { column, bin, gain };
    }
    return best;
  }

  /** Moves the rows of split nodes to their children. */
  #descend(best: readonly (BestSplit | undefined)[], first: number, width: number): void {
    for (let row = 0; row < this.#rowCount; row += 1) {
      const node = this.#nodeOfRow[row]!;
      const slot = node - first;
      if (slot < 0 || slot >= width) continue;
      const split = best[slot];
      if (split === undefined) continue;
      const bin = this.#binned.bins[split.column * this.#rowCount + row]!;
      this.#nodeOfRow[row] = 2 * node + (bin > split.bin ? 2 : 1);
    }
  }

  #setLeaves(forest: Forest, root: number): void {
    const sums = new Float64Array(forest.nodesPerTree * 2);
    for (let row = 0; row < this.#rowCount; row += 1) {
      const node = this.#nodeOfRow[row]!;
      sums[node * 2]! += this.#gradients[row]!;
      sums[node * 2 + 1]! += this.#hessians[row]!;
    }
    for (let node = 0; node < forest.nodesPerTree; node += 1) {
      const h = sums[node * 2 + 1]!;
      if (h === 0) continue;
      forest.leafValue[root + node] =
        (-this.#options.learningRate * sums[node * 2]!) / (h + this.#options.l2);
    }
  }
}

interface BestSplit {
  readonly column: number;
  readonly bin: number;
  readonly gain: number;
}
