/**
 * What every data link must do, whatever its frames. An implementation gives two stations that reach each other and a
 * way to let time pass; `linkConformance` is the contract of `LinkService` in executable form.
 */
import fc from 'fast-check'
import type { Test } from 'tap'
import {
  type Cast,
  ETHERTYPE,
  type LinkAddress,
  LinkAddressing,
  type LinkService,
} from '../../layers/datalink/service.ts'
import type { PhysicalService } from '../../layers/physical/service.ts'
import type { User } from '../../src/kernel/layer.ts'
import { MAX_PACKET_OCTETS, Packet, packetsInUse } from '../../src/kernel/packet.ts'

/** Two stations on one link, freshly booted, and the media they stand on. */
export interface LinkPair {
  readonly near: LinkService
  readonly far: LinkService
  readonly nearBelow: PhysicalService
  readonly farBelow: PhysicalService
  /** Lets everything under way arrive. */
  settle(): Promise<void>
  close(): Promise<void>
  timers?(): number
}

export interface LinkTraits {
  make(): LinkPair | Promise<LinkPair>
  /** Octets the link may append to a short payload; default 0. */
  readonly padding?: number
  /** It tells of its own connection, not of the medium's link, and takes frames that concern only the connection. */
  readonly connected?: boolean
}

interface Arrival {
  readonly peer: LinkAddress
  readonly protocol: number
  readonly cast: Cast
  readonly octets: Uint8Array
}

class Recorder implements User<LinkAddressing> {
  readonly arrivals: Arrival[] = []
  readies = 0
  readonly links: string[] = []

  receive(packet: Packet, from: LinkAddressing): void {
    this.arrivals.push({ peer: from.peer, protocol: from.protocol, cast: from.cast, octets: packet.bytes().slice() })
    packet.release()
  }

  ready(): void {
    this.readies++
  }

  linkChanged(state: string, reason: string): void {
    this.links.push(`${state} ${reason}`)
  }
}

const totalDrops = (drops: ReadonlyMap<string, number>): number => [...drops.values()].reduce((a, b) => a + b, 0)

/** A payload that starts like IPv4 or IPv6, for links that look. */
function payload(link: LinkService, length: number, protocol: number): Packet {
  const packet = Packet.take(link.headroom, length + link.tailroom)
  const at = packet.put(length)
  for (let i = 0; i < length; i++) packet.octets[at + i] = (i * 7) & 255
  if (length > 0) packet.octets[at] = protocol === ETHERTYPE.ipv6 ? 0x60 : 0x45
  return packet
}

/** Runs the suite as a subtest. */
export async function linkConformance(t: Test, name: string, traits: LinkTraits): Promise<void> {
  const { padding = 0, connected = false } = traits
  await t.test(`${name} is a link service`, async (t) => {
    const suite = async (name: string, body: (t: Test, pair: LinkPair) => Promise<void>): Promise<void> => {
      await t.test(name, async (t) => {
        const before = packetsInUse()
        const pair = await traits.make()
        const timers = pair.timers?.() ?? 0
        try {
          await body(t, pair)
        } finally {
          await pair.close()
        }
        t.equal(packetsInUse(), before, 'no packet is left behind')
        t.ok((pair.timers?.() ?? 0) <= timers, 'no timer is left behind')
      })
    }

    await suite('asks for the room of all layers below', async (t, { near, nearBelow }) => {
      t.ok(near.headroom >= nearBelow.headroom)
      t.ok(near.tailroom >= nearBelow.tailroom)
      t.ok(near.mtu <= nearBelow.mtu)
      t.ok(near.mtu > 0)
      if (near.offload.segment > 0) {
        const [head, tail] = [near.headroom, near.tailroom]
        t.ok(head + near.offload.segment + tail <= MAX_PACKET_OCTETS, 'a super-segment fits a packet')
      }
    })

    await suite('carries packets of all sizes to their protocol, with the sender', async (t, { near, far, settle }) => {
      const v4 = new Recorder()
      const v6 = new Recorder()
      far.boundary.attach(v4, ETHERTYPE.ipv4)
      far.boundary.attach(v6, ETHERTYPE.ipv6)
      const to = new LinkAddressing()
      to.peer = far.address
      const sent = new Map<number, Uint8Array[]>()
      for (const protocol of [ETHERTYPE.ipv4, ETHERTYPE.ipv6]) {
        for (const size of [1, 20, 46, 47, 600, near.mtu]) {
          const packet = payload(near, size, protocol)
          sent.set(protocol, [...(sent.get(protocol) ?? []), packet.bytes().slice()])
          to.protocol = protocol
          near.send(packet, to)
          to.protocol = 0 // scratch: nobody below may have kept it
        }
        to.peer = far.address
      }
      await settle()
      for (const [protocol, recorder] of [
        [ETHERTYPE.ipv4, v4],
        [ETHERTYPE.ipv6, v6],
      ] as const) {
        const expected = sent.get(protocol) ?? []
        t.equal(recorder.arrivals.length, expected.length)
        for (const [i, arrival] of recorder.arrivals.entries()) {
          const octets = expected[i] as Uint8Array
          t.strictSame(arrival.octets.subarray(0, octets.length), octets)
          t.ok(arrival.octets.length - octets.length <= padding, 'padded no more than it may be')
          t.equal(arrival.peer, near.address)
          t.equal(arrival.protocol, protocol)
          t.equal(arrival.cast, 'unicast')
        }
      }
    })

    await suite('reaches everybody where it has a broadcast address', async (t, { near, far, settle }) => {
      const recorder = new Recorder()
      far.boundary.attach(recorder)
      const to = new LinkAddressing()
      to.protocol = ETHERTYPE.ipv4
      to.peer = near.broadcast ?? far.address
      near.send(payload(near, 100, ETHERTYPE.ipv4), to)
      await settle()
      t.strictSame(
        recorder.arrivals.map(({ cast }) => cast),
        [near.broadcast === null ? 'unicast' : 'broadcast'],
      )
    })

    await suite('counts what nobody is there for', async (t, { near, far, settle }) => {
      const to = new LinkAddressing()
      to.peer = far.address
      to.protocol = ETHERTYPE.ipv6
      near.send(payload(near, 100, ETHERTYPE.ipv6), to)
      await settle()
      t.equal(totalDrops(far.boundary.drops), 1)
    })

    await suite('passes on that the link is ready, or changed', async (t, { near, nearBelow }) => {
      const recorder = new Recorder()
      near.boundary.attach(recorder)
      nearBelow.boundary.ready()
      nearBelow.boundary.linkChanged('down', 'why')
      nearBelow.boundary.linkChanged('up', 'again')
      if (connected) return
      t.equal(recorder.readies, 1)
      t.strictSame(recorder.links, ['down why', 'up again'])
    })

    await suite('passes on that the medium is full', async (t, { near, far, settle }) => {
      const recorder = new Recorder()
      near.boundary.attach(recorder)
      const to = new LinkAddressing()
      to.peer = far.address
      to.protocol = ETHERTYPE.ipv4
      let sent = 0
      while (sent < 20_000 && near.send(payload(near, 100, ETHERTYPE.ipv4), to)) sent++
      await settle()
      t.equal(recorder.readies, sent < 20_000 ? 1 : 0)
    })

    await suite('takes any octets from the wire', async (t, { far, farBelow }) => {
      far.boundary.attach(new Recorder())
      let count = 0
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
          const packet = Packet.take(64, octets.length)
          packet.append(octets)
          if (!farBelow.boundary.up(packet, undefined, 0)) throw new Error('nobody stands on the medium')
          count++
          return packetsInUse() >= 0
        }),
        { numRuns: 500 },
      )
      if (connected) return
      t.equal(far.boundary.rxPackets + totalDrops(far.boundary.drops), count, 'each was delivered or counted')
    })
  })
}
