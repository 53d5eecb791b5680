/**
 * The cookies of a server (RFC 7413 §4.1.2): a keyed hash over the addresses of both ends, so that nothing is kept of a client.
 *
 *   cookie = SipHash-2-4(key, client's address, server's address), 8 octets
 *
 * It is the one of Linux: servers of both kinds can stand behind one address.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import { type HashKey, hashKey, keyedHash64 } from '../../../src/kernel/keyed-hash.ts'
import type { Random } from '../../../src/kernel/random.ts'
import type { FastOpenSettings } from './fast-open-settings.ts'

/** Octets of our cookies. */
const COOKIE_OCTETS = 8

/** What a cookie is: of the key in use, of the one before, or none of ours. */
export type CookieVerdict = 'current' | 'previous' | 'none'

export class FastOpenKeys {
  private readonly settings: { readonly fastOpen: FastOpenSettings }
  private readonly random: Random
  private current: HashKey | null = null
  private previous: HashKey | null = null
  /** The setting that `current` and `previous` follow. */
  private given: readonly Uint8Array[] | null = null
  /** When `current` was made; given keys last. */
  private since: Instant = 0
  private readonly ipv4 = new Int32Array(2)
  private readonly ipv6 = new Int32Array(8)

  constructor(settings: { readonly fastOpen: FastOpenSettings }, random: Random) {
    this.settings = settings
    this.random = random
  }

  /** A cookie for a client at `remote` that asks at `local`. */
  make(local: IpAddress, remote: IpAddress, now: Instant): Uint8Array {
    const [low, high] = this.hash(this.key(now), local, remote)
    const cookie = new Uint8Array(COOKIE_OCTETS)
    const view = new DataView(cookie.buffer)
    view.setInt32(0, low, true)
    view.setInt32(4, high, true)
    return cookie
  }

  /** @param view holds the cookie, of `octets` octets, at `start`. */
  judge(
    view: DataView,
    start: number,
    octets: number,
    local: IpAddress,
    remote: IpAddress,
    now: Instant,
  ): CookieVerdict {
    if (octets !== COOKIE_OCTETS) return 'none'
    const low = view.getInt32(start, true)
    const high = view.getInt32(start + 4, true)
    if (this.matches(this.key(now), low, high, local, remote)) return 'current'
    return this.previous !== null && this.matches(this.previous, low, high, local, remote) ? 'previous' : 'none'
  }

  private matches(key: HashKey, low: number, high: number, local: IpAddress, remote: IpAddress): boolean {
    const made = this.hash(key, local, remote)
    return made[0] === low && made[1] === high
  }

  /** The key that makes cookies now. The first is made with the first cookie: a node without Fast Open has none. */
  private key(now: Instant): HashKey {
    const { keys, keyLifetime } = this.settings.fastOpen
    if (this.current === null || (keys !== this.given && keys.length > 0)) {
      this.given = keys
      this.current = hashKey(keys[0] ?? this.random.octets(16))
      this.previous = keys[1] === undefined ? null : hashKey(keys[1])
      this.since = now
    } else if (keys.length === 0 && now - this.since >= keyLifetime) {
      this.previous = now - this.since >= 2 * keyLifetime ? null : this.current
      this.current = hashKey(this.random.octets(16))
      this.since = now
    }
    return this.current
  }

  private hash(key: HashKey, local: IpAddress, remote: IpAddress): [number, number] {
    if (remote.isIpv4) {
      this.ipv4[0] = swapped(remote.w3)
      this.ipv4[1] = swapped(local.w3)
      return keyedHash64(key, this.ipv4)
    }
    write(this.ipv6, 0, remote)
    write(this.ipv6, 4, local)
    return keyedHash64(key, this.ipv6)
  }
}

function write(words: Int32Array, at: number, { w0, w1, w2, w3 }: IpAddress): void {
  words[at] = swapped(w0)
  words[at + 1] = swapped(w1)
  words[at + 2] = swapped(w2)
  words[at + 3] = swapped(w3)
}

/** The word as its octets in network order are read by the hash, whose words are little-endian. */
function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}
