/**
 * `bottleneck-relay.ts NEAR FAR`, a process of its own: carries frames between the TAP devices `near0` and `far0` of two
 * namespaces. What goes to the far one passes the impaired way: losses, a rate with its queue, and the delay.
 *
 *   near0 ──► losses ─► rate and queue ─► delay ──► far0
 *         ◄─────────────────────────────────────────
 */
import { impair } from '../layers/physical/index.ts'
import { tapDevice } from '../layers/physical/node.ts'
import type { PhysicalService } from '../layers/physical/service.ts'
import type { Packet } from '../src/kernel/packet.ts'
import { beside, stack } from '../src/kernel/stack.ts'
import { boot } from '../src/runtime/real-time.ts'
import type { LinkSettings, LinkState } from './bottleneck.ts'

const [nearNamespace = '', farNamespace = ''] = process.argv.slice(2)
const QUEUE = 4096

/** Loses packets by their index since the link was last set: the same ones for everybody with the same seed. */
class Fate {
  private loss = 0
  private seed = 0
  private first = 0
  private next = 0
  lost = 0

  set(loss: number, seed: number): void {
    this.loss = loss * 2 ** 32
    this.seed = seed
    this.first = this.next
    this.lost = 0
  }

  readonly dropIf = (index: number): boolean => {
    this.next = index + 1
    if (mixed(index - this.first + Math.imul(this.seed, 0x9e37_79b1)) >= this.loss) return false
    this.lost++
    return true
  }
}

/** A number that tells nothing of where it came from (the finalizer of MurmurHash3). */
function mixed(number: number): number {
  let h = number | 0
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const fate = new Fate()
const link = impair({ down: { dropIf: fate.dropIf } })

type Ends = Readonly<Record<'near' | 'far', PhysicalService<'ethernet'>>>

/** A bridge of two ports. */
function relay({ near, far }: Ends): Ends {
  const pass = (to: PhysicalService<'ethernet'>) => (packet: Packet) =>
    void to.send(packet.withRoom(to.headroom, to.tailroom), undefined)
  near.boundary.attach({ receive: pass(far) })
  far.boundary.attach({ receive: pass(near) })
  return { near, far }
}

const node = await boot(
  stack(
    beside({
      near: tapDevice({ name: 'near0', netns: nearNamespace, queueLength: QUEUE }),
      far: stack(tapDevice({ name: 'far0', netns: farNamespace, queueLength: QUEUE }), link<'ethernet'>),
    }),
    relay,
  ),
  'relay',
)

const overflows = (): number => node.snapshot().find(({ name }) => name.endsWith('/impair'))?.drops.queueFull ?? 0

process.on('message', (settings: LinkSettings | null) => {
  if (settings !== null) {
    const { loss, seed, delay, rate, queue } = settings
    fate.set(loss, seed)
    link.link.set({ down: { delay, rate, queue } })
  }
  const state: LinkState = { lost: fate.lost, overflowed: overflows() }
  process.send?.(state)
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
