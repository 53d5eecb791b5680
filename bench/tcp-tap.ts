/**
 * Our TCP to the kernel's through a TAP device, against `node:net` between two processes. The other end is an iperf3
 * server in a namespace.
 */
import { parseAddress } from '../src/kernel/address.ts'
import { alternate, type Bench, figure, type Subject, sleep } from './harness.ts'
import { type DataConnection, iperf3 } from './iperf3.ts'
import { type Child, start, tapMissing } from './processes.ts'
import { connected, netInTwoProcesses } from './sinks.ts'
import { CHUNK, type NetLike, netOf, netSource, smallSource } from './streams.ts'
import { KERNEL, type TapHost, tapHost } from './tap.ts'

const PEER = 'node:net, two processes'

export const tcpTap: Bench = async (effort, tell) => {
  const missing = await tapMissing('iperf3')
  if (missing !== undefined) {
    tell({ bench: 'tcp-tap', metric: 'all', skipped: missing })
    return
  }
  const whole = await withServer(await tapHost(true))
  const plain = await withServer(await tapHost(false))
  const rates = await alternate(
    {
      wholeNetOut: throughNet(whole, false),
      wholeSmallOut: throughSmall(whole, false),
      wholeNetIn: throughNet(whole, true),
      wholeSmallIn: throughSmall(whole, true),
      plainNetOut: throughNet(plain, false),
      plainSmallOut: throughSmall(plain, false),
      plainNetIn: throughNet(plain, true),
      plainSmallIn: throughSmall(plain, true),
      peer: await netInTwoProcesses(),
    },
    effort,
  )
  for (const { tap, server } of [whole, plain]) {
    await server.stop()
    await tap.close()
  }
  const row = (metric: string, target: number, value: number): void =>
    tell(figure({ bench: 'tcp-tap', metric, unit: 'Gbit/s', peer: PEER, target }, value, rates.peer, effort))
  row('vnet_hdr out, node.net', 0.8, rates.wholeNetOut)
  row('vnet_hdr out, small API', 0.8, rates.wholeSmallOut)
  row('vnet_hdr in, node.net', 0.8, rates.wholeNetIn)
  row('vnet_hdr in, small API', 0.8, rates.wholeSmallIn)
  row('plain out, node.net', 0.12, rates.plainNetOut)
  row('plain out, small API', 0.12, rates.plainSmallOut)
  row('plain in, node.net', 0.2, rates.plainNetIn)
  row('plain in, small API', 0.2, rates.plainSmallIn)
}

interface Stand {
  readonly tap: TapHost
  readonly server: Child
}

async function withServer(tap: TapHost): Promise<Stand> {
  const args = ['netns', 'exec', tap.namespace.name, 'iperf3', '--server', '--forceflush']
  return { tap, server: await start('ip', args) }
}

function throughNet(stand: Stand, reverse: boolean): Subject {
  const api = netOf(stand.tap.node)
  return subject(api, reverse, async (port, cookie) => {
    const socket = await connected(api, KERNEL, port)
    socket.write(cookie)
    const source = netSource(socket)
    let received = 0
    socket.on('data', (chunk) => {
      received += chunk.length
    })
    return {
      start: () => (reverse ? undefined : source.start()),
      stop: () => source.stop(),
      close: () => socket.destroy(),
      get received() {
        return received
      },
    }
  })
}

function throughSmall(stand: Stand, reverse: boolean): Subject {
  const { node } = stand.tap
  return subject(netOf(node), reverse, async (port, cookie) => {
    const buffer = new Uint8Array(CHUNK.length)
    let received = 0
    const source = await smallSource(node.top, parseAddress(KERNEL, 'address'), port, cookie, (connection) => {
      for (let n = connection.read(buffer); n > 0; n = connection.read(buffer)) received += n
    })
    return {
      start: () => (reverse ? undefined : source.start()),
      stop: () => source.stop(),
      close: () => source.close(),
      get received() {
        return received
      },
    }
  })
}

function subject(
  api: NetLike,
  reverse: boolean,
  open: (port: number, cookie: Uint8Array) => Promise<DataConnection>,
): Subject {
  return {
    async measure(ms) {
      const rate = await iperf3({ reverse, ms, connect: (port) => connected(api, KERNEL, port), open })
      // The server needs a moment until it takes the next test.
      await sleep(100)
      return rate
    },
    async close() {},
  }
}
