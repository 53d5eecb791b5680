/** Our end of a PPP line, pppd over Linux's PPP in User-mode Linux at the other, and what tshark finds of a capture. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Blueprint,
  boot,
  ip,
  ipv4,
  type Node,
  type PhysicalService,
  type PppOptions,
  ppp,
  type Sockets,
  sockets,
  stack,
  stream,
  tcp,
  udp,
} from '../../src/index.ts'
import { type Cleaning, oracle, run } from './helpers.ts'
import { folder } from './payload.ts'

const MODULES = '/usr/lib/uml/modules'
const GUEST = fileURLToPath(new URL('guest/uml-ppp', import.meta.url))

/** Why pppd cannot be had here; false where it can. */
export const PPPD: ReturnType<typeof oracle> = oracle('linux.uml', 'pppd', 'tshark', 'root')

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export async function host(line: Blueprint<PhysicalService<'octets'>>, options: PppOptions): Promise<Node<Sockets>> {
  return boot(stack(line, ppp({ ipv6: false, ...options }), ip(ipv4()), sockets(tcp(), udp())), 'A')
}

/** Until the peer has given us an address. */
export async function addressed({ top }: Node<Sockets>): Promise<string | undefined> {
  for (let i = 0; i < 2400 && !top.network.links().some(({ state, addresses }) => state === 'up' && addresses[0]); i++)
    await sleep(50)
  return top.network.addresses().find((address) => !address.startsWith('127.'))
}

/**
 * Until the peer answers. It may have agreed on its address and not have its interface up yet: what comes by then is lost,
 * on a busy machine for a good while.
 */
export async function answers({ icmp }: Node<Sockets>, address: string): Promise<boolean> {
  for (let i = 0; i < 240; i++) {
    const outcome = await icmp.ping(address, { timeout: 500 }).catch(() => undefined)
    if (outcome?.outcome === 'reply') return true
  }
  return false
}

/** What tshark finds of the FCS of each frame, and how often. */
export async function fcsOf(path: string): Promise<{ correct: number; incorrect: number }> {
  const { output } = await run('tshark', '-n', '-r', path, '-o', 'ppp.fcs_type:16-Bit', '-V')
  return {
    correct: output.match(/FCS 16: 0x[0-9a-f]+ \[correct\]/g)?.length ?? 0,
    incorrect: output.match(/FCS 16: 0x[0-9a-f]+ \[incorrect/g)?.length ?? 0,
  }
}

/** Boots the other end of a serial line, which is a pair of sockets. @param options of pppd. */
export function pppd(t: Cleaning, options: string): Blueprint<PhysicalService<'octets'>> {
  const dir = folder(t)
  mkdirSync(join(dir, 'lib/modules'), { recursive: true })
  for (const version of readdirSync(MODULES)) symlinkSync(join(MODULES, version), join(dir, 'lib/modules', version))
  const uml = spawn(
    'linux.uml',
    [
      ...['mem=128M', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${GUEST}`, `modules=${dir}`, `pppd="${options}"`],
      ...[`umid=netstrata-ppp${process.pid}`, 'con=null', 'con0=null', 'ssl=null', 'ssl0=fd:0,fd:1'],
    ],
    // A group of its own: all of its processes end with it.
    { env: { ...process.env, HOME: dir, TMPDIR: dir }, stdio: ['pipe', 'pipe', 'ignore'], detached: true },
  )
  t.teardown(() => process.kill(-(uml.pid as number), 'SIGKILL'))
  // Short runs, each of which the line may damage.
  return stream({ readable: uml.stdout, writable: uml.stdin }, { mtu: 1500 })
}
