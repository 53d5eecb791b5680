/**
 * What the interop tests share: oracles that may be missing, network namespaces that are always removed again, and the
 * smallest host that answers the kernel's ping.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, existsSync, openSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'
import { libc } from '../../layers/physical/libc.ts'
import { checksum } from '../../src/kernel/checksum.ts'
import type { Packet } from '../../src/kernel/packet.ts'

/** Debian's package of each oracle. */
const PACKAGES = {
  'apt-get': 'apt',
  babeld: 'babeld',
  bird: 'bird2',
  bridge: 'iproute2',
  busybox: 'busybox-static',
  cpio: 'cpio',
  curl: 'curl',
  dhclient: 'isc-dhcp-client',
  direwolf: 'direwolf',
  dnsmasq: 'dnsmasq-base',
  ethtool: 'ethtool',
  'g++': 'g++',
  hping3: 'hping3',
  ip: 'iproute2',
  iperf3: 'iperf3',
  'linux.uml': 'user-mode-linux',
  make: 'make',
  mariadb: 'mariadb-client-core',
  mariadbd: 'mariadb-server-core',
  mosquitto: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  'nats-server': 'nats-server',
  nft: 'nftables',
  nmap: 'nmap',
  'ovs-vswitchd': 'openvswitch-switch',
  openssl: 'openssl',
  pg_ctlcluster: 'postgresql',
  ping: 'iputils-ping',
  python3: 'python3',
  pppd: 'ppp',
  'qemu-system-x86_64': 'qemu-system-x86',
  rabbitmqctl: 'rabbitmq-server',
  radvd: 'radvd',
  rdisc6: 'ndisc6',
  'redis-server': 'redis-server',
  'slirp-fullbolt': 'slirp',
  socat: 'socat',
  ssh: 'openssh-client',
  sshd: 'openssh-server',
  'systemd-analyze': 'systemd',
  tcpdump: 'tcpdump',
  traceroute: 'traceroute',
  tshark: 'tshark',
  vde_plug: 'vde2',
  vde_switch: 'vde2',
} as const

/** A program, or something of the machine: root's rights over networks, the TUN driver, a library of Debian's Python. */
export type Oracle = keyof typeof PACKAGES | 'root' | 'tun' | 'scapy'

const SCAPY = '/usr/lib/python3/dist-packages/scapy'

/**
 * Whether the machine has the oracles a test needs: pass it as the test's `skip`.
 * @returns false when it has, else the sentence that says what is missing.
 * @throws Error — one is missing, and NETSTRATA_ORACLES=required says that none may.
 */
export function oracle(...needed: readonly Oracle[]): false | string {
  const missing = needed.map(lack).filter((sentence) => sentence !== undefined)
  if (missing.length === 0) return false
  const sentence = missing.join('; ')
  if (process.env.NETSTRATA_ORACLES === 'required') throw new Error(`an oracle is required, but missing: ${sentence}`)
  return sentence
}

function lack(needed: Oracle): string | undefined {
  if (needed === 'root') return process.getuid?.() === 0 ? undefined : 'needs root, to make network namespaces'
  if (needed === 'tun') return usable('/dev/net/tun', constants.R_OK) ? undefined : 'needs /dev/net/tun: modprobe tun'
  if (needed === 'scapy')
    return usable(SCAPY, constants.R_OK) ? undefined : 'needs scapy: apt-get install python3-scapy'
  // Root's tools are not on everyone's path.
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`
  const found = path.split(delimiter).some((folder) => usable(join(folder, needed), constants.X_OK))
  return found ? undefined : `needs ${needed}: apt-get install ${PACKAGES[needed]}`
}

function usable(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** What of a test the helpers use. */
export interface Cleaning {
  teardown(cleanup: () => unknown): unknown
}

/** A network namespace of the test's own, gone when the test or the process ends. */
export interface Namespace {
  readonly name: string
  /** `ip -n NAME …`, at once. @throws Error — with what it printed. */
  ip(...args: readonly string[]): string
  /** Runs a program inside. Settles with what it printed, also when it failed: the exit code says so. */
  run(program: string, ...args: readonly string[]): Promise<Finished>
  /** Runs a program inside with this as its input; otherwise as `run`. */
  feed(input: Readable, program: string, ...args: readonly string[]): Promise<Finished>
  /** Starts a program inside that runs until the test ends. Settles once it has printed `ready`, on either stream. */
  start(ready: RegExp, program: string, ...args: readonly string[]): Promise<void>
}

export interface Finished {
  readonly code: number
  readonly output: string
}

const alive = new Set<string>()
let made = 0

/** Makes a namespace with its loopback up. */
export function namespace(t: Cleaning): Namespace {
  if (made === 0) {
    removeStale()
    removeAtExit()
  }
  const name = `nst${process.pid}-${made++}`
  execFileSync('ip', ['netns', 'add', name])
  alive.add(name)
  const inside: Namespace = {
    name,
    ip: (...args) => execFileSync('ip', ['-n', name, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    run: (program, ...args) => run('ip', 'netns', 'exec', name, program, ...args),
    feed: (input, program, ...args) => feed(input, 'ip', 'netns', 'exec', name, program, ...args),
    start: (ready, program, ...args) => start(t, ready, ['netns', 'exec', name, program, ...args]),
  }
  // Registered first, so run last: what lives in the namespace has gone by then.
  t.teardown(() => remove(name))
  inside.ip('link', 'set', 'lo', 'up')
  return inside
}

/**
 * Gives an interface that is up an address, and CUBIC to the TCP that goes to its neighbours: a machine's default may be one that takes
 * little notice of loss (BBR). A namespace may not choose another than the machine allows everybody, a route may.
 * @param prefix the address with its length, /24: '10.9.0.1/24'.
 */
export function addAddress({ ip }: Namespace, device: string, prefix: string): void {
  const [address = ''] = prefix.split('/')
  const network = address.replace(/\d+$/, '0/24')
  ip('addr', 'add', prefix, 'dev', device)
  ip('route', 'change', network, 'dev', device, 'src', address, 'congctl', 'cubic')
}

/** Runs a program, for five minutes at the most. Settles with what it printed, also when it failed. */
export function run(program: string, ...args: readonly string[]): Promise<Finished> {
  return feed(undefined, program, ...args)
}

function feed(input: Readable | undefined, program: string, ...args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 300_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, output: stdout + stderr })
    })
    if (input === undefined || child.stdin === null) return
    child.stdin.on('error', () => input.destroy()) // It has ended without reading all; its exit code tells.
    input.pipe(child.stdin)
  })
}

function start(t: Cleaning, ready: RegExp, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    t.teardown(() => {
      child.kill()
      return gone
    })
    let output = ''
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      if (ready.test(output)) resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code}: ${output}`)))
  })
}

/**
 * Moves this thread into a namespace until the test ends, so that its sockets are made there. Programs started
 * meanwhile start there too.
 */
export function enter(t: Cleaning, { name }: Namespace): void {
  const c = libc()
  const back = openSync('/proc/thread-self/ns/net', 'r')
  move(`/run/netns/${name}`)
  t.teardown(() => {
    move(`/proc/self/fd/${back}`)
    closeSync(back)
  })
  function move(path: string): void {
    const there = openSync(path, 'r')
    const failed = c.setns(there, 0x4000_0000) < 0
    closeSync(there)
    if (failed) throw new Error(`setns ${path}: errno ${c.errno()}`)
  }
}

let entered: Promise<unknown> = Promise.resolve()

/** Runs `work` with this thread in a namespace, one at a time: for sockets that are made in it, and outlast it. */
export function within<T>(inside: Namespace, work: () => Promise<T>): Promise<T> {
  const result = entered.then(async () => {
    let leave: () => unknown = () => {}
    enter({ teardown: (cleanup) => (leave = cleanup) }, inside)
    try {
      return await work()
    } finally {
      leave()
    }
  })
  entered = result.catch(() => {})
  return result
}

function remove(name: string): void {
  if (alive.delete(name)) removeWhole(name)
}

/** With the programs that still run in it: children of those that were started there. */
function removeWhole(name: string): void {
  const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).split('\n').filter(Boolean).map(Number)
  for (const pid of pids) if (pid !== process.pid) kill(pid)
  execFileSync('ip', ['netns', 'del', name])
}

function kill(pid: number): void {
  try {
    process.kill(pid)
  } catch {
    // It has ended by itself.
  }
}

/** For tests that were killed: what they left goes with the next test. */
function removeStale(): void {
  if (!existsSync('/run/netns')) return
  for (const name of readdirSync('/run/netns')) {
    const owner = /^nst(\d+)-\d+$/.exec(name)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeWhole(name)
  }
}

/** For tests that were stopped: their teardowns do not run. */
function removeAtExit(): void {
  process.on('exit', () => {
    for (const name of alive) {
      try {
        remove(name)
      } catch {
        // The next one has to go all the same.
      }
    }
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
}

/** Asks until it holds. @throws Error — `what` did not come to be within `limitMs`. */
export async function until(condition: () => boolean, what: string, limitMs = 60_000): Promise<void> {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`not within ${limitMs} ms: ${what}`)
}

const ETHERNET_OCTETS = 14
const ARP = 0x0806
const IPV4 = 0x0800

/** A host of one address: makes the packet the answer to itself. @returns false when there is nothing to answer. */
export function answerFrame(packet: Packet, mac: number, address: number): boolean {
  const { view, start } = packet
  if (packet.length < ETHERNET_OCTETS + 20) return false
  const type = view.getUint16(start + 12)
  const at = start + ETHERNET_OCTETS
  if (type === ARP ? !answerArp(packet, at, mac, address) : type !== IPV4 || !answerEcho(packet, at, address))
    return false
  packet.octets.copyWithin(start, start + 6, start + 12)
  setMac(view, start + 6, mac)
  return true
}

/** The same for an IPv4 packet at `at`: an echo request for `address` becomes its reply (RFC 792). */
export function answerEcho(packet: Packet, at: number, address: number): boolean {
  const { view, octets } = packet
  const icmp = at + (view.getUint8(at) & 15) * 4
  if (view.getUint8(at + 9) !== 1 || view.getInt32(at + 16) !== address || view.getUint8(icmp) !== 8) return false
  octets.copyWithin(at + 16, at + 12, at + 16)
  view.setInt32(at + 12, address)
  view.setUint8(icmp, 0)
  view.setUint16(icmp + 2, 0)
  view.setUint16(icmp + 2, checksum(icmp, at + view.getUint16(at + 2) - icmp))
  return true
}

function answerArp(packet: Packet, at: number, mac: number, address: number): boolean {
  const { view, octets } = packet
  if (packet.end - at < 28 || view.getUint16(at + 6) !== 1 || view.getInt32(at + 24) !== address) return false
  view.setUint16(at + 6, 2)
  octets.copyWithin(at + 18, at + 8, at + 18)
  setMac(view, at + 8, mac)
  view.setInt32(at + 14, address)
  return true
}

function setMac(view: DataView, at: number, mac: number): void {
  view.setUint16(at, Math.floor(mac / 0x1_0000_0000))
  view.setUint32(at + 2, mac % 0x1_0000_0000)
}
