/**
 * What whoever forwards does about a link or port that is full: the neighbours whose packets go there stop, on links that can have
 * them stop (Ethernet's PAUSE), until the full one takes more.
 *
 *   A ──► link 1 ──► forward ──► link 2: `send` was false         A ◄── PAUSE ── link 1, until link 2 says `ready`
 *
 * There is one for every link packets leave by.
 */

/** What packets come by. */
export interface Holdable {
  /** Has the neighbour stop until what is returned is called. */
  hold?(): () => void
}

export class Backpressure {
  /** Links whose neighbours are held, and how each is let go. */
  private readonly held: Holdable[] = []
  private readonly releases: (() => void)[] = []

  /** A packet that came by `source` has filled the link. Does nothing where `source` cannot hold its neighbour. */
  hold(source: Holdable): void {
    if (source.hold === undefined || this.held.includes(source)) return
    this.held.push(source)
    this.releases.push(source.hold())
  }

  /** The link takes more, or is gone: all that wait for it go on. */
  release(): void {
    this.held.length = 0
    for (let release = this.releases.pop(); release !== undefined; release = this.releases.pop()) release()
  }
}
