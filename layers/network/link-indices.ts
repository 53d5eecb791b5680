/** The numbers of links. Sockets, routes and paths have them instead of names. */

/** Links that went whose numbers are kept for them. */
const MOST_GONE = 1024
/** Of the link that was there first, which some options mean by themselves. */
const FIRST = 1

export class LinkIndices {
  /** By name, the one that went first in front. */
  private readonly gone = new Map<string, number>()
  private next = FIRST

  /**
   * A link that comes again has the number that it had: a socket that was bound to it is so again. When too many have gone,
   * another one gets the number of the one that went first.
   */
  take(name: string): number {
    const before = this.gone.get(name)
    if (before !== undefined) {
      this.gone.delete(name)
      return before
    }
    if (this.gone.size > MOST_GONE) {
      for (const [other, index] of this.gone) {
        if (index === FIRST) continue
        this.gone.delete(other)
        return index
      }
    }
    return this.next++
  }

  give(name: string, index: number): void {
    this.gone.set(name, index)
  }

  /** Of a link that went. @returns '' when the number is kept for none. */
  nameOf(index: number): string {
    for (const [name, other] of this.gone) if (other === index) return name
    return ''
  }
}
