/**
 * Our TCP over a cable in this process, against `node:net` in one process: checksums on; and with super-segments, over a cable that
 * vouches for the data.
 */
import net from 'node:net'
import { slab } from '../src/kernel/slab.ts'
import { alternate, type Bench, figure, type Subject } from './harness.ts'
import { cablePair, type Pair } from './hosts.ts'
import { type NetLike, netThroughput, onreadThroughput, smallThroughput } from './streams.ts'

const PEER = 'node:net, one process'
/** What a segment carries at an MTU of 1500: headers of 20 octets each, and the timestamps option. */
const SEGMENT_OCTETS = 1448
const BITS_PER_OCTET = 8

export const tcpLoop: Bench = async (effort, tell) => {
  const whole = (mtu: number): Promise<Pair> => cablePair({ mtu, offload: true })
  const small = { 1500: await cablePair({ mtu: 1500 }), 9000: await cablePair({ mtu: 9000 }) }
  const large = { 9000: await whole(9000), 65535: await whole(65_535) }
  const rates = await alternate(
    {
      net1500: await throughNet(small[1500]),
      small1500: await throughSmall(small[1500]),
      net9000: await throughNet(small[9000]),
      small9000: await throughSmall(small[9000]),
      wholeNet9000: await throughNet(large[9000]),
      wholeSmall9000: await throughSmall(large[9000]),
      wholeNet65535: await throughNet(large[65535]),
      wholeSmall65535: await throughSmall(large[65535]),
      onread9000: await throughOnread(small[9000]),
      onreadWhole9000: await throughOnread(large[9000]),
      peer: await netThroughput(net, net, '127.0.0.1'),
      onreadPeer: await onreadThroughput(net, net, '127.0.0.1'),
      copy: copies(),
    },
    effort,
  )
  await small[1500].close()
  await small[9000].close()
  await large[9000].close()
  await large[65535].close()
  const gate = { bench: 'tcp-loop', unit: 'Gbit/s', peer: PEER }
  tell(figure({ ...gate, metric: 'MTU 1500, node.net', target: 1 }, rates.net1500, rates.peer, effort))
  tell(figure({ ...gate, metric: 'MTU 1500, small API', target: 1 }, rates.small1500, rates.peer, effort))
  tell(figure({ ...gate, metric: 'MTU 9000, node.net', target: 2 }, rates.net9000, rates.peer, effort))
  tell(figure({ ...gate, metric: 'MTU 9000, small API', target: 2 }, rates.small9000, rates.peer, effort))
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 8960, node.net', target: 3 },
      rates.wholeNet9000,
      rates.peer,
      effort,
    ),
  )
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 8960, small API', target: 3 },
      rates.wholeSmall9000,
      rates.peer,
      effort,
    ),
  )
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 64 KB, node.net', target: 3 },
      rates.wholeNet65535,
      rates.peer,
      effort,
    ),
  )
  tell(
    figure(
      { ...gate, metric: 'super-segments, MSS 64 KB, small API', target: 3 },
      rates.wholeSmall65535,
      rates.peer,
      effort,
    ),
  )
  const onread = { ...gate, peer: `${PEER}, onread` }
  tell(figure({ ...onread, metric: 'MTU 9000, onread', target: 2 }, rates.onread9000, rates.onreadPeer, effort))
  tell(
    figure(
      { ...onread, metric: 'super-segments, MSS 8960, onread', target: 3 },
      rates.onreadWhole9000,
      rates.onreadPeer,
      effort,
    ),
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

// Ours is meant to be used in place of Node's; its types say so of the parts, not of the module.
const asNode = ({ net }: Pair['a']): NetLike => net as unknown as NetLike

const throughNet = ({ a, b, address }: Pair): Promise<Subject> => netThroughput(asNode(b), asNode(a), address)

const throughOnread = ({ a, b, address }: Pair): Promise<Subject> => onreadThroughput(asNode(b), asNode(a), address)

const throughSmall = ({ a, b, ip }: Pair): Promise<Subject> => smallThroughput(b.top, a.top, ip)

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
