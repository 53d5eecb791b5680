/** The least a stack can be: services that keep what they are given, for tests of the runtimes. */
import type { Boundary } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Blueprint, Service } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { Wire } from '../../src/kernel/wire.ts'

/** A service whose packets come back up at once, by a timer, `delay` microseconds later. */
export interface Echo extends Service<undefined> {
  readonly env: Env
  /** Sends one packet of these octets. */
  say(...octets: number[]): void
}

export function echo(name = 'echo'): Blueprint<Echo> {
  return (env) => {
    const boundary: Boundary<undefined, 'unheard'> = env.boundary(name, 'octets', { unheard: '' })
    const send = (packet: Packet): boolean => {
      boundary.down(packet, undefined)
      if (!boundary.up(packet, undefined, 0)) boundary.drop(packet, 'unheard')
      return true
    }
    const say = (...octets: number[]): void => {
      const packet = env.packet(0, octets.length)
      packet.append(Uint8Array.from(octets))
      send(packet)
    }
    return { env, mtu: 1500, headroom: 0, tailroom: 0, boundary, send, say }
  }
}

/** A wire that writes down what it is told. */
export class WireDouble implements Wire {
  readonly nodes: string[] = []
  /** 'A>B' while what A sends is kept from B. */
  readonly severed: Set<string> = new Set()
  /** Every call: 'A>B cut' or 'A>B whole'. */
  readonly told: string[] = []

  sever(from: string, to: string, cut: boolean): void {
    this.told.push(`${from}>${to} ${cut ? 'cut' : 'whole'}`)
    if (cut) this.severed.add(`${from}>${to}`)
    else this.severed.delete(`${from}>${to}`)
  }

  /** Boots an end of it. */
  readonly end: Blueprint<undefined> = (env) => {
    this.nodes.push(env.node)
    env.defer(() => {
      this.nodes.splice(this.nodes.indexOf(env.node), 1)
    })
    env.wire(this)
    return undefined
  }
}
