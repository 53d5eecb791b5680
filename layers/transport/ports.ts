/**
 * Ephemeral ports that outsiders cannot guess (RFC 6056), for all transports.
 *
 * With a peer, the double-hash selection of §3.3.4: the ports towards one peer follow each other, so that none returns
 * before its turn (an old connection's segments must not meet a new one's), yet start where only the secret tells, and
 * their pace is shared with few other peers. Without a peer there is no order to keep: each is drawn anew (§3.3.1).
 */
import type { IpAddress } from '../../src/kernel/address.ts'
import { type HashKey, hashKey, keyedHash } from '../../src/kernel/keyed-hash.ts'
import { below, type Random } from '../../src/kernel/random.ts'

/** The dynamic ports (RFC 6335 §6); Linux's wider range would take ports that IANA has registered. */
export const FIRST_EPHEMERAL: 49_152 = 49_152
export const LAST_EPHEMERAL: 65_535 = 65_535

const COUNT = LAST_EPHEMERAL - FIRST_EPHEMERAL + 1
/** Counters that peers share: RFC 6056's table; a power of two. */
const TABLE_LENGTH = 256

export class EphemeralPorts {
  private readonly random: Random
  /** The keys of F and G. */
  private readonly offsetKey: HashKey
  private readonly tableKey: HashKey
  private readonly table: Uint16Array
  private readonly words = new Int32Array(9)

  /** @param random the secret comes from it. */
  constructor(random: Random) {
    this.random = random
    this.offsetKey = hashKey(random.octets(16))
    this.tableKey = hashKey(random.octets(16))
    this.table = new Uint16Array(TABLE_LENGTH)
    for (let i = 0; i < TABLE_LENGTH; i++) this.table[i] = below(random, COUNT)
  }

  /**
   * A port for traffic with one peer.
   * @param usable whether a port is free; asked for each at most once.
   * @returns the port, or 0 when none is free.
   */
  towards(local: IpAddress, remote: IpAddress, remotePort: number, usable: (port: number) => boolean): number {
    const { words, table } = this
    put(words, 0, local)
    put(words, 4, remote)
    words[8] = remotePort
    const offset = keyedHash(this.offsetKey, words) >>> 0
    const index = keyedHash(this.tableKey, words) & (TABLE_LENGTH - 1)
    for (let tries = 0; tries < COUNT; tries++) {
      const next = table[index] as number
      table[index] = (next + 1) % COUNT
      const port = FIRST_EPHEMERAL + ((offset + next) % COUNT)
      if (usable(port)) return port
    }
    return 0
  }

  /** A port for traffic with anybody. @returns the port, or 0 when none is free. */
  any(usable: (port: number) => boolean): number {
    const first = below(this.random, COUNT)
    for (let tries = 0; tries < COUNT; tries++) {
      const port = FIRST_EPHEMERAL + ((first + tries) % COUNT)
      if (usable(port)) return port
    }
    return 0
  }
}

function put(words: Int32Array, at: number, address: IpAddress): void {
  words[at] = address.w0
  words[at + 1] = address.w1
  words[at + 2] = address.w2
  words[at + 3] = address.w3
}
