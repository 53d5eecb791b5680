/**
 * Groups of links that have gone. Whoever is in them stays so, and is again among those whose packets we take when the link comes
 * back, as a socket that is bound to it.
 */
import { Groups } from './groups.ts'

export class KeptGroups {
  /** By the link's index, which it has again, or, when too many have gone, another link has. */
  private readonly kept = new Map<number, { readonly name: string; readonly groups: Groups }>()

  /** The groups of a link that comes. */
  take(index: number, name: string): Groups {
    const before = this.kept.get(index)
    this.kept.delete(index)
    return before?.name === name ? before.groups : new Groups()
  }

  /** A link has gone: the node itself is in its groups no more. Those of a link that nobody waits for are not kept. */
  give(index: number, name: string, groups: Groups): void {
    groups.leaveAll()
    if (groups.list().length > 0) this.kept.set(index, { name, groups })
  }
}
