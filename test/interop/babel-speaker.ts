/**
 * Our machine as a routing daemon of a kernel: run inside a namespace, it speaks Babel by the host's sockets and gives the
 * routes it learns to the kernel, which forwards. `babel-speaker.ts JSON`; see `SpeakerOptions`. SIGTERM takes leave.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline'
import { Authenticator } from '../../layers/middleware/routing/babel/authenticator.ts'
import type { Interface } from '../../layers/middleware/routing/babel/interface.ts'
import { Babel } from '../../layers/middleware/routing/babel/machine.ts'
import type { Destination } from '../../layers/middleware/routing/babel/tables.ts'
import { PORT } from '../../layers/middleware/routing/babel/tlv.ts'
import { type IpAddress, parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import { seconds } from '../../src/kernel/clock.ts'
import { SeededRandom } from '../../src/kernel/random.ts'

export interface SpeakerOptions {
  /** @property nextHop4 our IPv4 address there. @property key hexadecimal; HMAC-SHA256 then. */
  readonly interfaces: readonly { readonly name: string; readonly nextHop4: string; readonly key?: string }[]
  /** Prefixes that are ours. */
  readonly announce: readonly string[]
  /** Between hellos; updates are four times as far apart. Default 1. */
  readonly helloSeconds?: number
  /** Heed what the kernel says of links that go down and come up. Default false: only hellos tell. */
  readonly watchLinks?: boolean
  /** Sets what is chance apart. */
  readonly seed: number
}

const GROUP = 'ff02::1:6'
/** So that `ip route` can tell them. */
const ROUTE_PROTOCOL = '242'

const options = JSON.parse(process.argv[2] ?? '{}') as SpeakerOptions
const { helloSeconds = 1, watchLinks = false } = options
const random = new SeededRandom([options.seed, process.pid, 5, 6])
const babel = new Babel({ routerHigh: random.uint32() | 0, routerLow: random.uint32() | 0, random })
const senders = new Map<Interface, Socket>()
/** By link: how to stop speaking on it. */
const speaking = new Map<string, () => void>()
const installed = new Map<string, string>()
let timer: NodeJS.Timeout | undefined

const now = (): number => Math.round(performance.now() * 1000)

/** The kernel gives an interface its address a moment after the link is up. */
async function linkLocal(name: string): Promise<string> {
  for (let left = 50; left > 0; left--) {
    const found = networkInterfaces()[name]?.find(({ address }) => address.startsWith('fe80'))
    if (found !== undefined) return found.address
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${name} has no link-local address`)
}

function bind(address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp6', reuseAddr: true })
  return new Promise((resolve) => socket.bind({ address, port: PORT }, () => resolve(socket)))
}

/** What came for the group comes to a socket of its own: the authentication covers where a packet was sent to. */
async function attach({ name, nextHop4, key }: SpeakerOptions['interfaces'][number]): Promise<void> {
  const local = await linkLocal(name)
  const on = babel.attach(
    {
      name,
      type: 'wired',
      helloInterval: seconds(helloSeconds),
      updateInterval: seconds(4 * helloSeconds),
      rxcost: 96,
      splitHorizon: true,
      maxOctets: 1400,
      address: parseAddress(local),
      nextHop4: parseAddress(nextHop4).w3,
      authenticator:
        key === undefined
          ? null
          : new Authenticator([{ algorithm: 'hmac-sha256', key: Buffer.from(key, 'hex') }], random),
    },
    now(),
  )
  const single = await bind(`${local}%${name}`)
  single.setMulticastLoopback(false)
  const group = await bind(`${GROUP}%${name}`)
  group.addMembership(GROUP, `::%${name}`)
  senders.set(on, single)
  for (const [socket, to] of [
    [single, on.settings.address],
    [group, null],
  ] as const) {
    socket.on('message', (message, { address }) => {
      const [host = '', scope] = address.split('%')
      if (scope === name) babel.input(on, message, 0, message.length, parseAddress(host), to, now())
      pump()
    })
    socket.on('error', () => {}) // the link is down: hellos will tell
  }
  speaking.set(name, () => {
    babel.detach(on, now())
    senders.delete(on)
    single.close()
    group.close()
  })
}

/** Speaks on links while they are up. */
function watch(): void {
  const monitor = spawn('ip', ['-o', 'monitor', 'link'], { stdio: ['ignore', 'pipe', 'inherit'] })
  process.on('exit', () => monitor.kill())
  createInterface(monitor.stdout).on('line', (line) => {
    const [, name, flags = ''] = /^\d+: ([^:@]+)[^<]*<([^>]*)>/.exec(line) ?? []
    const one = options.interfaces.find((other) => other.name === name)
    if (one === undefined) return
    const up = flags.split(',').includes('LOWER_UP')
    if (up && !speaking.has(one.name)) {
      speaking.set(one.name, () => {})
      void attach(one).then(pump)
    } else if (!up) {
      speaking.get(one.name)?.()
      speaking.delete(one.name)
      pump()
    }
  })
}

function pump(): void {
  for (let packet = babel.output(); packet !== undefined; packet = babel.output()) {
    const { name } = packet.interface.settings
    const to = packet.to?.toString() ?? GROUP
    senders.get(packet.interface)?.send(packet.octets.slice(0, packet.length), PORT, `${to}%${name}`, () => {})
  }
  for (let changed = babel.take(); changed !== undefined; changed = babel.take()) install(changed)
  clearTimeout(timer)
  if (babel.deadline < Number.POSITIVE_INFINITY)
    timer = setTimeout(expire, Math.max(0, (babel.deadline - now()) / 1000) + 1)
}

function expire(): void {
  babel.expire(now())
  pump()
}

function install({ address, length, isIpv4, own, selected }: Destination): void {
  const prefix = `${address}/${length}`
  const dev = selected?.neighbour.interface.settings.name ?? ''
  const way = selected === null || own >= 0 ? '' : `via ${hop(selected.nextHop, isIpv4)} dev ${dev} onlink`
  if (way === (installed.get(prefix) ?? '')) return
  installed.set(prefix, way)
  const family = isIpv4 ? '-4' : '-6'
  route(family, 'del', prefix, '')
  if (way !== '') route(family, 'add', prefix, way)
  console.log(`${prefix} ${way}`)
}

const hop = (address: IpAddress, isIpv4: boolean): string =>
  isIpv4 && !address.isIpv4 ? `inet6 ${address}` : `${address}`

function route(family: string, verb: string, prefix: string, way: string): void {
  try {
    const words = `${family} route ${verb} ${prefix} proto ${ROUTE_PROTOCOL} ${way}`
    execFileSync('ip', words.trim().split(' '), { stdio: 'pipe' })
  } catch (error) {
    if (verb === 'add') console.log(String(error))
  }
}

for (const one of options.interfaces) await attach(one)
for (const prefix of options.announce) {
  const { address, length } = parsePrefix(prefix)
  babel.announce({ address, length, isIpv4: address.isIpv4 }, 0, now())
}
process.on('SIGTERM', () => {
  babel.close()
  for (let packet = babel.output(); packet !== undefined; packet = babel.output()) {
    const { name } = packet.interface.settings
    senders.get(packet.interface)?.send(packet.octets.slice(0, packet.length), PORT, `${packet.to ?? GROUP}%${name}`)
  }
  console.log(`drops ${JSON.stringify([...babel.drops])}`)
  setTimeout(() => process.exit(0), 50)
})
if (watchLinks) watch()
console.log('READY')
pump()
