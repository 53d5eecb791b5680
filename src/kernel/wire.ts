/** What joins nodes to each other, as a simulation sees it: the thing that a partition cuts. */

/**
 * A medium between nodes of one process: a cable, a hub. It registers itself with `env.wire` at each end that is
 * booted; registering again after another end has joined is how the newcomer becomes known.
 *
 * A cut has a direction, so that asymmetric failures can be made, and concerns pairs, so that a hub can be split
 * without taking anyone off it. It is independent of whether the link is up: a partition is silent, as in real life.
 */
export interface Wire {
  /** The names (`env.node`) of the nodes at its ends, those booted so far. */
  readonly nodes: Iterable<string>
  /**
   * From now on, frames that `from` sends do not (`cut`), or do again, reach `to`: they are counted drops.
   * Called once per change, with names of two different nodes out of `nodes`.
   */
  sever(from: string, to: string, cut: boolean): void
}
