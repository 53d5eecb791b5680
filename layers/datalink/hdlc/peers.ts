/** The connections of one station, by peer and key; a bounded number, of which those that are down make room first. */
import type { LinkAddress } from '../service.ts'
import type { Connection } from './connection.ts'

export class Peers {
  private readonly byPeer = new Map<LinkAddress, Connection[]>()
  private readonly limit: number
  private count = 0

  constructor(limit: number) {
    this.limit = limit
  }

  find(peer: LinkAddress, key: number): Connection | undefined {
    const all = this.byPeer.get(peer)
    if (all === undefined) return undefined
    for (let i = 0; i < all.length; i++) if (all[i]?.key === key) return all[i]
    return undefined
  }

  /** Whether there is room for one more; makes it where a connection is down. */
  makeRoom(): boolean {
    if (this.count < this.limit) return true
    for (const [peer, all] of this.byPeer) {
      const down = all.findIndex(({ abm }) => abm.phase === 'DISCONNECTED')
      if (down < 0) continue
      all.splice(down, 1)[0]?.close()
      if (all.length === 0) this.byPeer.delete(peer)
      this.count--
      return true
    }
    return false
  }

  add(connection: Connection): void {
    const all = this.byPeer.get(connection.peer)
    if (all === undefined) this.byPeer.set(connection.peer, [connection])
    else all.push(connection)
    this.count++
  }

  /** The line takes frames again. */
  lineReady(): void {
    for (const all of this.byPeer.values()) for (const connection of all) connection.lineReady()
  }

  /** Ends all of them. */
  close(): void {
    for (const all of this.byPeer.values()) for (const connection of all) connection.close()
    this.byPeer.clear()
    this.count = 0
  }
}
