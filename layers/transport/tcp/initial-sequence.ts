/** Initial sequence numbers and timestamp offsets that outsiders cannot guess (RFC 6528, RFC 7323 §5.4). */
import type { Endpoint } from '../../../src/api/sockets.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import { type HashKey, keyedHash } from '../../../src/kernel/keyed-hash.ts'
import { writeEnds } from './table.ts'

/** Tells the hashes of one key apart by what they are for. */
const FOR_SEQUENCE = 1
const FOR_TIMESTAMP = 2

export class Secrets {
  private readonly key: HashKey
  private readonly words = new Int32Array(10)

  constructor(key: HashKey) {
    this.key = key
  }

  /** ISN = M + F(local, remote, key), M a clock that ticks every 4 us (RFC 9293 §3.4.1 MUST-8, MUST-9, SHLD-1). */
  sequence(local: Endpoint, remote: Endpoint, now: Instant): number {
    return (Math.floor(now / 4) + this.hash(local, remote, FOR_SEQUENCE)) | 0
  }

  /** What our timestamps of this pair of ends start from: the same each time, so that they only grow. */
  timestampOffset(local: Endpoint, remote: Endpoint): number {
    return this.hash(local, remote, FOR_TIMESTAMP)
  }

  private hash(local: Endpoint, remote: Endpoint, purpose: number): number {
    const { words } = this
    writeEnds(words, local, remote)
    words[9] = purpose
    return keyedHash(this.key, words)
  }
}
