/** Chooses a local port that outsiders cannot guess and that is not in use with the same peer (RFC 6056 §3.3.3). */
import { below, type Random } from '../../../src/kernel/random.ts'

/** The dynamic ports (RFC 6335 §6). */
const FIRST_PORT = 49_152
const PORTS = 65_536 - FIRST_PORT

export class EphemeralPorts {
  private next: number

  constructor(random: Random) {
    this.next = below(random, PORTS)
  }

  /**
   * @param offset hash of the two ends with a secret key.
   * @param usable says whether a port may be taken.
   * @returns the port, or 0 when none is usable.
   */
  choose(offset: number, usable: (port: number) => boolean): number {
    for (let tries = 0; tries < PORTS; tries++) {
      const port = FIRST_PORT + (((offset >>> 0) + this.next) % PORTS)
      this.next = (this.next + 1) % PORTS
      if (usable(port)) return port
    }
    return 0
  }
}
