/** Our TCP to our TCP over a VXLAN tunnel, two processes: both engines of the tunnel, and `node:net` between two processes. */
import { type EngineKind, udpTunnel } from '../layers/physical/node.ts'
import { parseAddress } from '../src/kernel/address.ts'
import { boot } from '../src/runtime/real-time.ts'
import { alternate, type Bench, figure, type Subject } from './harness.ts'
import { host } from './hosts.ts'
import { script, start } from './processes.ts'
import { netInTwoProcesses, toSink, toSmallSink } from './sinks.ts'
import { netOf } from './streams.ts'

const NET = 'node:net, two processes'
const DGRAM = 'the same on the dgram engine'
const END = '10.9.0.2'

export const tcpUdp: Bench = async (effort, tell) => {
  const native = await tunnelled('native', '127.0.9.1', '127.0.9.2')
  const dgram = await tunnelled('dgram', '127.0.9.3', '127.0.9.4')
  const rates = await alternate(
    {
      nativeNet: native.net,
      nativeSmall: native.small,
      dgramNet: dgram.net,
      dgramSmall: dgram.small,
      peer: await netInTwoProcesses(),
    },
    effort,
  )
  await native.close()
  await dgram.close()
  const row = (metric: string, peer: string, target: number, value: number, peerValue: number): void =>
    tell(figure({ bench: 'tcp-udp', metric, unit: 'Gbit/s', peer, target }, value, peerValue, effort))
  row('GSO engine, node.net', DGRAM, 3, rates.nativeNet, rates.dgramNet)
  row('GSO engine, small API', DGRAM, 3, rates.nativeSmall, rates.dgramSmall)
  row('GSO engine, node.net', NET, 0.5, rates.nativeNet, rates.peer)
  row('GSO engine, small API', NET, 0.5, rates.nativeSmall, rates.peer)
}

interface Tunnelled {
  readonly net: Subject
  readonly small: Subject
  close(): Promise<void>
}

/** A host here, at `near`, and one in another process, at `far`; peers are at the same port, as VXLAN has it. */
async function tunnelled(engine: EngineKind, near: string, far: string): Promise<Tunnelled> {
  const end = await start(process.execPath, script('tunnel-end.ts', engine, far))
  const tunnel = udpTunnel({ engine, local: { host: near }, peers: [{ host: far }] })
  const node = await boot(host(tunnel, '10.9.0.1/24'), engine)
  const [port = 0, smallPort = 0] = end.line.split(' ').map(Number)
  const nothing = async (): Promise<void> => {}
  return {
    net: toSink(netOf(node), END, port, nothing),
    small: toSmallSink(node.top, parseAddress(END, 'address'), smallPort, nothing),
    async close() {
      await node.close()
      await end.stop()
    },
  }
}
