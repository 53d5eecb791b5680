/** A router without layers: one function, one ring on each side, and nothing that could be told from outside. */
import { parseMac } from '../src/kernel/address.ts'
import type { Packet } from '../src/kernel/packet.ts'
import type { Subject } from './harness.ts'
import {
  destinationOf,
  frameOf,
  isForwarded,
  LINK_OCTETS,
  RECEIVER,
  ROUTER_IN,
  ROUTER_OUT,
  templateFrame,
  writeMac,
} from './router-frames.ts'

const BATCH = 64

/** @param octets of each IP packet. */
export function fused(octets: number): Subject {
  const template = templateFrame(octets, 0)
  const router = new Fused(parseMac(ROUTER_IN), parseMac(ROUTER_OUT), octets)
  router.learn(destinationOf(0), parseMac(RECEIVER))
  return {
    async measure(ms) {
      const before = router.forwarded
      const started = performance.now()
      for (let now = started; now - started < ms; now = performance.now()) {
        for (let i = 0; i < BATCH; i++) router.arrive(frameOf(template))
        router.forwardAll()
        router.leave()
        await new Promise(setImmediate)
      }
      return ((router.forwarded - before) * 1000) / (performance.now() - started)
    },
    async close() {},
  }
}

class Fused {
  forwarded = 0
  dropped = 0
  octets = 0
  private readonly inAddress: number
  private readonly outAddress: number
  private readonly neighbours = new Map<number, number>()
  private readonly arrived: Packet[] = []
  private readonly left: Packet[] = []

  private readonly size: number

  constructor(inAddress: number, outAddress: number, size: number) {
    this.size = size
    this.inAddress = inAddress
    this.outAddress = outAddress
  }

  learn(address: number, station: number): void {
    this.neighbours.set(address, station)
  }

  arrive(packet: Packet): void {
    this.arrived.push(packet)
  }

  forwardAll(): void {
    for (const packet of this.arrived) this.forward(packet)
    this.arrived.length = 0
  }

  leave(): void {
    for (const packet of this.left) {
      if (isForwarded(packet, this.size)) this.forwarded++
      packet.release()
    }
    this.left.length = 0
  }

  private forward(packet: Packet): void {
    const { view, start: at } = packet
    const to = view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2)
    const ip = at + LINK_OCTETS
    const w0 = view.getInt32(ip)
    const w2 = view.getInt32(ip + 8)
    const destination = view.getInt32(ip + 16)
    const right =
      to === this.inAddress &&
      view.getUint16(at + 12) === 0x0800 &&
      w0 >>> 24 === 0x45 &&
      (w0 & 0xffff) <= packet.end - ip &&
      w2 >>> 24 > 1 &&
      sumOfHeader(view, ip) === 0xffff
    const station = right ? this.neighbours.get(destination) : undefined
    if (station === undefined) {
      this.dropped++
      packet.release()
      return
    }
    let sum = (~w2 & 0xffff) + 0xfeff
    sum = (sum & 0xffff) + (sum >>> 16)
    view.setInt32(ip + 8, ((w2 - 0x0100_0000) & 0xffff_0000) | (~sum & 0xffff))
    writeMac(view, at, station)
    writeMac(view, at + 6, this.outAddress)
    this.octets += packet.end - at
    this.left.push(packet)
  }
}

function sumOfHeader(view: DataView, at: number): number {
  let sum = 0
  for (let i = 0; i < 20; i += 4) {
    const word = view.getInt32(at + i)
    sum += (word >>> 16) + (word & 0xffff)
  }
  sum = (sum & 0xffff) + (sum >>> 16)
  return (sum & 0xffff) + (sum >>> 16)
}
