/**
 * Floods of hping3: SYN, ACK, RST and FIN, at least 50,000 packets a second for ten seconds each, and where a machine is too
 * slow for that as many in more time; from addresses that nobody has to the port where we listen, and then at the very
 * four-tuple of a transfer that runs meanwhile, with sequence numbers by chance.
 *
 * Before the device the kernel has a long queue, or it would lose what comes while another process has the processor, the
 * transfers' segments as well; and no more comes than a busy machine can take: it is the node that is tried here.
 */
import { setPriority } from 'node:os'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { packetsInUse } from '../../src/kernel/packet.ts'
import { oracle } from './helpers.ts'
import { besieged, dropped, halfOpen, memory, type Siege } from './hostile.ts'
import { OURS, THEIRS } from './stand.ts'

t.setTimeout(600_000)
const SECONDS = 10
const LEAST = 50_000 * SECONDS
/** Further seconds, for machines that are too slow for that. */
const MOST_SECONDS = 60
/** What one process must reach for no further one to be started. */
const ENOUGH_PER_SECOND = 60_000
const MOST_PER_SECOND = 75_000
const MOST_PROCESSES = 2
/** Packets of the kernel's queue. */
const QUEUE = 5000
/** Octets of hping3's packets; every segment of a transfer has timestamps, and so is longer. */
const FLOOD_OCTETS = 40
/** The most handshakes a node has open, by default. */
const MAX_SYN_RECEIVED = 1024
const HEAP_OCTETS = 16 << 20
const SLAB_OCTETS = 64 << 20

const skip = oracle('root', 'tun', 'ip', 'curl', 'hping3', 'nft')
// It is rates that are held here: node, flood and transfers come before whatever else the machine has to do.
if (skip === false) setPriority(-10)

const FLAGS = { SYN: '-S', ACK: '-A', RST: '-R', FIN: '-F' } as const

for (const [name, flag] of Object.entries(FLAGS)) {
  t.test(`a flood of ${name}`, { skip }, async (t) => {
    const before = packetsInUse()
    const siege = await besieged(t)
    const { node } = siege
    await prepare(siege)
    const heldBefore = memory()
    const began = { arrived: arrived(siege), kernel: await segmentsOfKernel(siege), drops: drops(siege) }
    let mostHalfOpen = 0
    let flooding = true
    const watching = (async () => {
      for (; flooding; await wait(100)) mostHalfOpen = Math.max(mostHalfOpen, halfOpen(node))
    })()
    const newcomer = wait(2000).then(() => connects(siege))
    await flood(siege, SECONDS / 2, flag, '--rand-source')
    t.ok(await newcomer, 'meanwhile a newcomer is let in')
    const [port = 0] = siege.ports
    await flood(siege, SECONDS / 2, flag, ...spoof(port))
    const ofKernel = async (): Promise<number> => (await segmentsOfKernel(siege)) - began.kernel
    const ofFlood = async (): Promise<number> => arrived(siege) - began.arrived - (await ofKernel())
    let lasted = SECONDS
    for (; lasted < SECONDS + MOST_SECONDS && (await ofFlood()) < LEAST; lasted++)
      await flood(siege, 1, flag, ...spoof(port))
    flooding = false
    await watching
    const fromKernel = await ofKernel()
    const hostile = arrived(siege) - began.arrived - fromKernel
    const dropCount = drops(siege) - began.drops
    t.comment(`${name}: ${hostile} arrived of the flood, ${dropCount} dropped, ${fromKernel} of the kernel`)
    t.ok(hostile >= LEAST, `${hostile} packets of the flood arrived, ${Math.round(hostile / lasted)} a second`)
    const kept = hostile - dropCount
    t.ok(Math.abs(kept) <= MAX_SYN_RECEIVED + hostile / 100, 'what began no handshake is a counted drop')
    t.ok(mostHalfOpen <= MAX_SYN_RECEIVED, `${mostHalfOpen} handshakes open at the most`)
    const held = memory()
    t.ok(held.heap - heldBefore.heap < HEAP_OCTETS, `heap: ${heldBefore.heap} octets before, ${held.heap} after`)
    t.ok(held.slab - heldBefore.slab < SLAB_OCTETS, `slab: ${heldBefore.slab} octets before, ${held.slab} after`)
    await siege.relieve()
    t.equal(packetsInUse(), before, 'no packet is left')
  })
}

/** A segment of a transfer, as far as an attacker who does not see it can know: it is from the kernel's own address. */
const spoof = (port: number): string[] => ['--spoof', THEIRS, '--baseport', `${port}`, '--keep']

async function prepare({ kernel }: Siege): Promise<void> {
  kernel.ip('link', 'set', 'x0', 'txqueuelen', `${QUEUE}`)
  const most = `limit rate over ${MOST_PER_SECOND}/second burst ${QUEUE / 2} packets`
  const rules = `
    table netdev siege {
      chain out {
        type filter hook egress device x0 priority 0
        ip length ${FLOOD_OCTETS} ${most} drop
      }
    }`
  await kernel.feed(Readable.from([rules]), 'nft', '-f', '-')
}

/** Floods for so many seconds, by one process, and by more where one is too slow. */
async function flood(siege: Siege, seconds: number, ...args: readonly string[]): Promise<void> {
  const { kernel } = siege
  const end = Date.now() + seconds * 1000
  const processes: Promise<unknown>[] = []
  let enough = false
  for (let left = end - Date.now(); left > 0; left = end - Date.now()) {
    if (!enough && processes.length < MOST_PROCESSES) {
      // The node comes first: it is to be given what it can take, not kept from taking it.
      const hping3 = ['nice', '-n', '5', 'hping3', '-q', '--flood', '-I', 'x0', '-p', '80', ...args, OURS]
      processes.push(kernel.run('timeout', '--signal=INT', `${left / 1000}`, ...hping3))
    }
    const before = arrived(siege)
    const waited = Math.min(left, 1000)
    await wait(waited)
    enough = arrived(siege) - before > (ENOUGH_PER_SECOND * waited) / 1000
  }
  await Promise.all(processes)
}

/** Can the kernel open another connection, while the flood lasts? */
async function connects({ kernel }: Siege): Promise<boolean> {
  const { code } = await kernel.run('timeout', '7', 'bash', '-c', `exec 3<>/dev/tcp/${OURS}/80`)
  return code === 0
}

/** Packets that came in by the TAP device. */
function arrived({ node }: Siege): number {
  return node.snapshot().find(({ name }) => name.endsWith('/tap'))?.rxPackets ?? 0
}

function drops({ node }: Siege): number {
  return ['tap', 'ethernet', 'ipv4', 'tcp'].reduce((sum, layer) => sum + dropped(node, layer), 0)
}

/** Segments the kernel's TCP has sent by itself: what hping3 sends is not among them. */
async function segmentsOfKernel({ kernel }: Siege): Promise<number> {
  const { output } = await kernel.run('cat', '/proc/net/snmp')
  const [names = [], values = []] = output
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '))
  const value = (name: string): number => Number(values[names.indexOf(name)])
  return value('OutSegs') + value('RetransSegs')
}
