/** What makes short messages cheap. */

const MOST_SPARES = 64

/**
 * Queues that have been emptied, for who has something to send or to read next: most connections hold data for a moment only, and to
 * use one again costs less than to make one.
 */
export class Spares<Queue> {
  private readonly queues: Queue[] = []

  /** @returns one that was given; undefined: there is none. */
  take(): Queue | undefined {
    return this.queues.pop()
  }

  /** @param queue an empty one, which nobody uses any more. */
  give(queue: Queue): void {
    if (this.queues.length < MOST_SPARES) this.queues.push(queue)
  }
}

/** Copies of so few octets are made one by one: a view of them costs more. */
export const FEW_OCTETS = 64
