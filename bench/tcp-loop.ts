/**
 * Our TCP over a cable in this process, against `node:net` in one process: checksums on; and with super-segments, over a cable that
 * vouches for the data.
 */
import net from 'node:net'
import type { CableOptions } from '../layers/physical/index.ts'
import { slab } from '../src/kernel/slab.ts'
import { alternateApart, type Subjects } from './apart.ts'
import { type Bench, figure, type Subject } from './harness.ts'
import { cablePair } from './hosts.ts'
import { netOf, netThroughput, onreadThroughput, smallThroughput } from './streams.ts'

const PEER = 'node:net, one process'
/** What a segment carries at an MTU of 1500: headers of 20 octets each, and the timestamps option. */
const SEGMENT_OCTETS = 1448
const BITS_PER_OCTET = 8

type Cable = CableOptions<'ethernet'>

type Size = '1500' | '9000' | 'Whole9000' | 'Whole65535'
type Name = `${'net' | 'small'}${Size}` | `onread${'9000' | 'Whole9000'}` | 'peer' | 'onreadPeer' | 'copy'

export const SUBJECTS: Subjects<Name> = {
  net1500: () => throughNet({ mtu: 1500 }),
  small1500: () => throughSmall({ mtu: 1500 }),
  net9000: () => throughNet({ mtu: 9000 }),
  small9000: () => throughSmall({ mtu: 9000 }),
  netWhole9000: () => throughNet({ mtu: 9000, offload: true }),
  smallWhole9000: () => throughSmall({ mtu: 9000, offload: true }),
  netWhole65535: () => throughNet({ mtu: 65_535, offload: true }),
  smallWhole65535: () => throughSmall({ mtu: 65_535, offload: true }),
  onread9000: () => throughOnread({ mtu: 9000 }),
  onreadWhole9000: () => throughOnread({ mtu: 9000, offload: true }),
  peer: () => netThroughput(net, net, '127.0.0.1'),
  onreadPeer: () => onreadThroughput(net, net, '127.0.0.1'),
  copy: async () => copies(),
}

export const tcpLoop: Bench = async (effort, tell) => {
  const rates = await alternateApart(import.meta.url, SUBJECTS, effort)
  const gate = { bench: 'tcp-loop', unit: 'Gbit/s', peer: PEER }
  tell(figure({ ...gate, metric: 'MTU 1500, node.net', target: 1 }, rates.net1500, rates.peer, effort))
  tell(figure({ ...gate, metric: 'MTU 1500, small API', target: 1 }, rates.small1500, rates.peer, effort))
  tell(figure({ ...gate, metric: 'MTU 9000, node.net', target: 2 }, rates.net9000, rates.peer, effort))
  tell(figure({ ...gate, metric: 'MTU 9000, small API', target: 2 }, rates.small9000, rates.peer, effort))
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 8960, node.net', target: 3 },
      rates.netWhole9000,
      rates.peer,
      effort,
    ),
  )
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 8960, small API', target: 3 },
      rates.smallWhole9000,
      rates.peer,
      effort,
    ),
  )
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 64 KB, node.net', target: 3 },
      rates.netWhole65535,
      rates.peer,
      effort,
    ),
  )
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 64 KB, small API', target: 3 },
      rates.smallWhole65535,
      rates.peer,
      effort,
    ),
  )
  // Both into one buffer of the reader's. They stand beside: what is asked for is about chunks.
  const onread = { ...gate, peer: `${PEER}, onread`, target: 0 }
  tell(figure({ ...onread, metric: 'MTU 9000, onread' }, rates.onread9000, rates.onreadPeer, effort))
  tell(
    figure({ ...onread, metric: 'super-segments, MSS 8960, onread' }, rates.onreadWhole9000, rates.onreadPeer, effort),
  )
  const stack = {
    bench: 'tcp-loop',
    unit: 'ns',
    peer: 'one copyWithin of the segment',
    target: 14,
    atMost: true,
  } as const
  tell(figure({ ...stack, metric: 'stack time per segment, node.net' }, segmentNs(rates.net1500), rates.copy, effort))
  tell(
    figure({ ...stack, metric: 'stack time per segment, small API' }, segmentNs(rates.small1500), rates.copy, effort),
  )
}

/** Everything the process does for one segment: application, both stacks, the cable, and the ACKs. */
const segmentNs = (gbits: number): number => (SEGMENT_OCTETS * BITS_PER_OCTET) / gbits

async function throughNet(cable: Cable): Promise<Subject> {
  const { a, b, address } = await cablePair(cable)
  return netThroughput(netOf(b), netOf(a), address)
}

async function throughOnread(cable: Cable): Promise<Subject> {
  const { a, b, address } = await cablePair(cable)
  return onreadThroughput(netOf(b), netOf(a), address)
}

async function throughSmall(cable: Cable): Promise<Subject> {
  const { a, b, ip } = await cablePair(cable)
  return smallThroughput(b.top, a.top, ip)
}

/** Nanoseconds of a copy of as many octets within the slab, from slot to slot of a window's worth of packets. */
function copies(): Subject {
  const slots = 512
  const slot = 2048
  const from = slab().takePages((slots * slot * 2) / 65_536)
  return {
    async measure(ms) {
      const { octets } = slab()
      const until = performance.now() + ms
      const started = performance.now()
      let n = 0
      while (performance.now() < until) {
        for (let i = 0; i < slots; i++) {
          const at = from + i * slot
          octets.copyWithin(at + slots * slot, at, at + SEGMENT_OCTETS)
        }
        n += slots
      }
      return ((performance.now() - started) * 1e6) / n
    },
    async close() {},
  }
}
