/**
 * Extension headers (RFC 8200 §4): what stands between the IPv6 header and the transport's.
 *
 *   IPv6 ─next─► hop-by-hop ─next─► routing ─next─► fragment ─next─► destination options ─next─► TCP
 *
 * They are walked, not acted upon: no option and no routing is known here. What an unknown one asks for is done
 * (§4.2, §4.4), and both the headers and the options are counted, since whoever sends many wants our time (RFC 8504 §5.3).
 * A walk ends at the fragment header: what is behind it is walked when the packet is whole.
 */
import * as header from './header.ts'
import { CODE } from './icmp-message.ts'

/** Headers of a packet, and options of a header that are no padding, at the most. */
const MOST_HEADERS = 8
const MOST_OPTIONS = 8

const PAD1 = 0
const PADN = 1
/** Of an option's type: what to do when it is not known (§4.2). */
const SKIP = 0
const DISCARD = 1
const TELL = 2

/** Why a chain is refused. */
export type ChainFault =
  | 'truncatedChain'
  | 'tooManyHeaders'
  | 'misplacedHeader'
  | 'routingHeader'
  | 'badOption'
  | 'unknownOption'

/** What a walk found. Scratch: read before the next one. */
export class Chain {
  /** What is at `at`: a transport, the fragment header (44), none (59), or something that we do not know. */
  protocol = 0
  at = 0
  /** Where `protocol` is named: an offset in the view. */
  namedAt = 0
  /** Of a fault, the code of the parameter problem that the sender is to be told of; -1: nothing. */
  code = -1
  /** Where the trouble is: an offset in the view. */
  pointer = 0
  /** He is to be told even where the packet went to a group (RFC 4443 §2.4 (e.3)). */
  tellGroups = false

  /**
   * Walks from the IPv6 header at `start`, whose 40 octets are there, to the transport or the fragment header.
   * @param strict look at options and routing; else only find the way.
   * @returns what is wrong, or undefined.
   */
  walk(view: DataView, start: number, end: number, strict: boolean): ChainFault | undefined {
    return this.walkFrom(view, start + header.NEXT_AT, start + header.HEADER_OCTETS, end, strict)
  }

  /** Walks on behind a fragment header at `at`. */
  walkBehind(view: DataView, at: number, end: number): ChainFault | undefined {
    return this.walkFrom(view, at, at + header.FRAGMENT_OCTETS, end, false)
  }

  private walkFrom(
    view: DataView,
    namedAt: number,
    from: number,
    end: number,
    strict: boolean,
  ): ChainFault | undefined {
    this.code = -1
    this.tellGroups = false
    this.namedAt = namedAt
    this.at = from
    const first = namedAt
    for (let count = 0; ; count++) {
      const next = view.getUint8(this.namedAt)
      this.protocol = next
      if (!isExtension(next)) return undefined
      if (count === MOST_HEADERS) return 'tooManyHeaders'
      // Only right behind the IPv6 header (§4.1): anywhere else it is a protocol that nobody knows.
      if (next === header.NEXT.hopByHop && this.namedAt !== first) {
        return this.problem('misplacedHeader', CODE.unrecognizedHeader, this.namedAt)
      }
      if (this.at + 8 > end) return 'truncatedChain'
      const octets = (view.getUint8(this.at + 1) + 1) * 8
      if (this.at + octets > end) return 'truncatedChain'
      if (strict) {
        const fault = next === header.NEXT.routing ? this.routing(view) : this.options(view, this.at + octets)
        if (fault !== undefined) return fault
      }
      this.namedAt = this.at
      this.at += octets
    }
  }

  /** We are no stop of any route, so all of it must have been travelled (§4.4); type 0 is refused alike (RFC 5095). */
  private routing(view: DataView): ChainFault | undefined {
    if (view.getUint8(this.at + 3) === 0) return undefined
    return this.problem('routingHeader', CODE.erroneousField, this.at + 2)
  }

  /** @param end of the header at `at`. */
  private options(view: DataView, end: number): ChainFault | undefined {
    let count = 0
    for (let option = this.at + 2; option < end; ) {
      const type = view.getUint8(option)
      if (type === PAD1) {
        option++
        continue
      }
      if (option + 2 > end) return 'badOption'
      const next = option + 2 + view.getUint8(option + 1)
      if (next > end) return 'badOption'
      if (type !== PADN) {
        if (++count > MOST_OPTIONS) return 'tooManyHeaders'
        const action = type >>> 6
        if (action === DISCARD) return 'unknownOption'
        if (action !== SKIP) {
          this.tellGroups = action === TELL
          return this.problem('unknownOption', CODE.unrecognizedOption, option)
        }
      }
      option = next
    }
    return undefined
  }

  private problem(fault: ChainFault, code: number, pointer: number): ChainFault {
    this.code = code
    this.pointer = pointer
    return fault
  }
}

const isExtension = (next: number): boolean =>
  next === header.NEXT.hopByHop || next === header.NEXT.routing || next === header.NEXT.destination
