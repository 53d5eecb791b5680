/**
 * What every physical service must do, whatever the medium. An implementation gives two ends that reach each other and
 * a way to let time pass; `physicalConformance` does the rest, and is the contract of `PhysicalService` in executable
 * form.
 */
import type { Test } from 'tap'
import type { PhysicalService } from '../../layers/physical/service.ts'
import type { User } from '../../src/kernel/layer.ts'
import { Packet, packetsInUse } from '../../src/kernel/packet.ts'

/** Two ends of one medium, freshly booted. */
export interface PhysicalPair {
  readonly near: PhysicalService
  /** The other end; for a loopback the same as `near`. */
  readonly far: PhysicalService
  /** Lets everything under way arrive. */
  settle(): Promise<void>
  /** Closes the nodes of both ends, with all that is under way. */
  close(): Promise<void>
  /** Timers armed, where they can be seen. */
  timers?(): number
}

export interface PhysicalTraits {
  /** Makes a new pair. */
  make(): PhysicalPair | Promise<PhysicalPair>
  /** Packets that may be under way at a time without loss; default 32. */
  readonly burst?: number
  /** Does the medium say false before it loses packets? Default true. One that cannot know never says it. */
  readonly blocks?: boolean
  /** It carries a run of octets: what is sent in two packets may arrive in one, or in three. Default false. */
  readonly run?: boolean
  /** Octets of the shortest packet it carries; default 1. */
  readonly shortest?: number
  /**
   * Turns any octets into a packet the medium carries, where it does not carry all (a device may demand an Ethernet
   * header); default: as they are.
   */
  shape?(octets: Uint8Array): void
}

/** A user that remembers what it got, as copies. */
export class Recorder implements User<undefined> {
  readonly packets: Uint8Array[] = []
  readies = 0
  readonly links: string[] = []
  /** Called within `receive`, before the packet is released. */
  onPacket: ((packet: Packet) => void) | undefined

  receive(packet: Packet): void {
    this.packets.push(packet.bytes().slice())
    this.onPacket?.(packet)
    packet.release()
  }

  ready(): void {
    this.readies++
  }

  linkChanged(state: string, reason: string): void {
    this.links.push(`${state} ${reason}`)
  }
}

/** A packet with exactly the room its service asks for, and other contents for every `seed`. */
export function packetFor(
  service: PhysicalService,
  length: number,
  seed: number,
  shape?: (octets: Uint8Array) => void,
): Packet {
  const packet = Packet.take(service.headroom, length + service.tailroom)
  const octets = new Uint8Array(length)
  for (let i = 0; i < length; i++) octets[i] = (Math.imul(seed + 1, 2_654_435_761) >>> (i % 24)) ^ i
  shape?.(octets)
  packet.append(octets)
  return packet
}

const joined = (packets: readonly Uint8Array[]): Uint8Array => Buffer.concat(packets)

const totalDrops = (service: PhysicalService): number => [...service.boundary.drops.values()].reduce((a, b) => a + b, 0)

/** Runs the suite as a subtest. */
export async function physicalConformance(t: Test, name: string, traits: PhysicalTraits): Promise<void> {
  const { burst = 32, blocks = true, run = false, shortest = 1, shape } = traits
  await t.test(`${name} is a physical service`, async (t) => {
    const suite = async (name: string, body: (t: Test, pair: PhysicalPair) => Promise<void>): Promise<void> => {
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

    await suite('carries packets of all sizes, in order and unchanged', async (t, { near, far, settle }) => {
      const recorder = new Recorder()
      far.boundary.attach(recorder)
      const sizes = [shortest, 64, 65, 576, near.mtu - 1, near.mtu].filter((n) => n >= shortest && n <= near.mtu)
      const sent: Uint8Array[] = []
      for (const [seed, size] of sizes.entries()) {
        const packet = packetFor(near, size, seed, shape)
        sent.push(packet.bytes().slice())
        t.ok(near.send(packet, undefined))
      }
      t.equal(recorder.packets.length, 0, 'nothing arrives before send has returned')
      await settle()
      t.strictSame(run ? joined(recorder.packets) : recorder.packets, run ? joined(sent) : sent)
    })

    await suite('counts packets and octets of both directions', async (t, { near, far, settle }) => {
      far.boundary.attach(new Recorder())
      const { txPackets, txOctets } = near.boundary
      const { rxPackets, rxOctets } = far.boundary
      for (let i = 0; i < 3; i++) near.send(packetFor(near, 100 + i, i, shape), undefined)
      await settle()
      t.equal(near.boundary.txPackets - txPackets, 3)
      t.equal(near.boundary.txOctets - txOctets, 303)
      if (!run) t.equal(far.boundary.rxPackets - rxPackets, 3)
      t.equal(far.boundary.rxOctets - rxOctets, 303)
    })

    await suite('tells taps of what passes', async (t, { near, far, settle }) => {
      far.boundary.attach(new Recorder())
      const seen: string[] = []
      const stop = near.boundary.watch({
        packet: (packet, _, direction) => {
          if (direction === 'down') seen.push(`down ${packet.length}`)
        },
      })
      near.send(packetFor(near, 80, 1, shape), undefined)
      stop()
      near.send(packetFor(near, 81, 2, shape), undefined)
      await settle()
      t.strictSame(seen, ['down 80'])
    })

    await suite('loses nothing up to its queue, and gives memory back', async (t, { near, far, settle }) => {
      const recorder = new Recorder()
      far.boundary.attach(recorder)
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < burst; i++) near.send(packetFor(near, 200, i, shape), undefined)
        await settle()
      }
      if (run) t.equal(joined(recorder.packets).length, 3 * burst * 200)
      else t.equal(recorder.packets.length, 3 * burst)
    })

    await suite('drops and counts what is too long', async (t, { near, far, settle }) => {
      const recorder = new Recorder()
      far.boundary.attach(recorder)
      const drops = totalDrops(near)
      near.send(packetFor(near, near.mtu + 1, 1, shape), undefined)
      await settle()
      t.equal(recorder.packets.length, 0)
      t.equal(totalDrops(near), drops + 1)
    })

    await suite('survives arrivals that nobody wants', async (t, { near, far, settle }) => {
      const drops = totalDrops(far)
      near.send(packetFor(near, 100, 1, shape), undefined)
      await settle()
      t.equal(totalDrops(far), drops + 1, 'counted where it arrived')
    })

    await suite('lets a user answer from within receive', async (t, { near, far, settle }) => {
      const asker = new Recorder()
      const answerer = near === far ? asker : new Recorder()
      let depth = 0
      let left = 10
      answerer.onPacket = (packet) => {
        depth++
        t.equal(depth, 1, 'send never calls receive')
        if (left-- > 0) far.send(packetFor(far, packet.length, left, shape), undefined)
        depth--
      }
      far.boundary.attach(answerer)
      if (near !== far) near.boundary.attach(asker)
      near.send(packetFor(near, 100, 1, shape), undefined)
      await settle()
      t.ok(asker.packets.length >= 1)
    })

    await suite('says false when full, then ready once', async (t, { near, far, settle }) => {
      const sender = new Recorder()
      if (near !== far) near.boundary.attach(sender)
      const receiver = near === far ? sender : new Recorder()
      far.boundary.attach(receiver)
      for (let round = 1; round <= 2; round++) {
        let sent = 0
        while (sent < 20_000 && near.send(packetFor(near, 60, sent, shape), undefined)) sent++
        if (!blocks) {
          t.equal(sent, 20_000, 'never says false')
          await settle()
          continue
        }
        t.ok(sent < 20_000, `full after ${sent}`)
        t.equal(sender.readies, round - 1, 'ready is not called from within send')
        t.notOk(near.send(packetFor(near, 60, 0, shape), undefined), 'still full')
        await settle()
        t.equal(sender.readies, round)
      }
      t.equal(sender.readies, blocks ? 2 : 0)
    })

    await suite('is closed with packets under way', async (t, { near, far, close }) => {
      const recorder = new Recorder()
      far.boundary.attach(recorder)
      for (let i = 0; i < burst; i++) near.send(packetFor(near, 300, i, shape), undefined)
      await close()
      near.send(packetFor(near, 300, 0, shape), undefined)
      t.pass('a packet sent after that is released all the same')
    })
  })
}
