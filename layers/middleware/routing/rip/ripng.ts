/**
 * RIPng (RFC 2080 §2.1), for IPv6.
 *
 *      0                                  16        18       19
 *     ┌──────────────────────────────────┬─────────┬────────┬────────┐
 *     │              prefix              │   tag   │ length │ metric │    metric 255: a next hop
 *     └──────────────────────────────────┴─────────┴────────┴────────┘
 */
import { IpAddress } from '../../../../src/kernel/address.ts'
import { type Codec, INFINITY, isMetric, REQUEST } from './pdu.ts'

const NEXT_HOP = 0xff

export const ripng: Codec = {
  name: 'ripng',
  isIpv4: false,
  port: 521,
  version: 1,
  group: new IpAddress(0xff020000, 0, 0, 9), // ff02::9
  lowerOctets: 48,
  mostEntries: 0xffff,
  ttl: 255,

  read(view, at, command, into) {
    const metric = view.getUint8(at + 19)
    readAddress(view, at, metric === NEXT_HOP ? into.nextHop : into.address)
    if (metric === NEXT_HOP) return 'nextHop'
    into.metric = metric
    into.length = view.getUint8(at + 18)
    into.tag = view.getUint16(at + 16)
    const { address, length } = into
    if (command === REQUEST && length === 0 && metric === INFINITY && address.isUnspecified) return 'everything'
    if (length > 128 || !isDestination(address)) return 'badPrefix'
    trim(address, length)
    return command === REQUEST || isMetric(metric) ? 'route' : 'badMetric'
  },

  write(view, at, address, length, tag, metric) {
    view.setInt32(at, address.w0)
    view.setInt32(at + 4, address.w1)
    view.setInt32(at + 8, address.w2)
    view.setInt32(at + 12, address.w3)
    view.setUint16(at + 16, tag)
    view.setUint8(at + 18, length)
    view.setUint8(at + 19, metric)
  },

  writeEverything(view, at) {
    this.write(view, at, new IpAddress(0, 0, 0, 0), 0, 0, INFINITY)
  },
}

function readAddress(view: DataView, at: number, into: IpAddress): void {
  into.w0 = view.getInt32(at)
  into.w1 = view.getInt32(at + 4)
  into.w2 = view.getInt32(at + 8)
  into.w3 = view.getInt32(at + 12)
}

/** Bits beyond the length mean nothing (RFC 2080 §2.1). */
function trim(address: IpAddress, length: number): void {
  address.w0 &= mask(length)
  address.w1 &= mask(length - 32)
  address.w2 &= mask(length - 64)
  address.w3 &= mask(length - 96)
}

const mask = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits))

/** Neither a group, nor of a link, nor what stands for IPv4 or this host (RFC 2080 §2.4.2). */
const isDestination = (address: IpAddress): boolean =>
  address.w0 >>> 24 !== 0xff && !address.isScoped && !address.isIpv4 && !isLoopback(address)

const isLoopback = ({ w0, w1, w2, w3 }: IpAddress): boolean => w0 === 0 && w1 === 0 && w2 === 0 && w3 === 1
